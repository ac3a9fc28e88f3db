"""Docstrings as they are written here, for Sphinx: paragraphs, lists of `name  what it is`, indented derivations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ENTRY = re.compile(r"(?P<name>\S+(?:, \S+)*(?: \([^)]*\))?)(?P<gap> {2,})(?P<text>\S.*)")


def escaped(text: str) -> str:
    """Prose in reStructuredText: `code` is literal, and nothing else means anything."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a lone backtick is none
        return _without_meaning(text.replace("`", "'"))
    literal = "".join(f"\\ ``{part}``\\ " if k % 2 else _without_meaning(part) for k, part in enumerate(parts))
    return literal.removeprefix("\\ ")


def _without_meaning(text: str) -> str:
    return re.sub(r"([\\*_|])", r"\\\1", text)


def entries(lines: list[str]) -> list[tuple[str, str]] | None:
    """(name, text) of a paragraph that is a list of them, each with indented lines that go on; None: it is none."""
    found: list[tuple[str, str]] = []
    for line in lines:
        if found and line.startswith("  "):
            found[-1] = found[-1][0], f"{found[-1][1]} {line.strip()}"
        elif match := _ENTRY.fullmatch(line):
            found.append((match["name"], match["text"]))
        else:
            return None
    return found


def converted(docstring: list[str]) -> list[str]:
    """The lines of a docstring in reStructuredText."""
    paragraphs = [part.split("\n") for part in re.split(r"\n\s*\n", "\n".join(docstring).strip("\n"))]
    lines: list[str] = []
    for paragraph in paragraphs:
        indent = [index for index, line in enumerate(paragraph) if line.startswith("    ")]
        if (listed := entries(paragraph)) is not None:
            for name, text in listed:
                lines += [f"``{name}``", f"    {escaped(text)}"]
        elif indent and indent[0] == 0:
            lines += ["::", "", *(f"    {line}" for line in paragraph)]
        elif indent:  # a sentence, and what it introduces
            lines += [escaped(" ".join(paragraph[: indent[0]])), "", "::", ""]
            lines += [f"    {line}" for line in paragraph[indent[0] :]]
        else:
            lines += [escaped(line) for line in paragraph]
        lines.append("")
    return lines


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines) if any(lines) else []


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
