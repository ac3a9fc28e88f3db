"""The Markdown of the repository, and the links in it, as GitHub reads them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
SOURCES = [*sorted(ROOT.glob("*.md")), *PAGES, *TUTORIALS]

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_ELSEWHERE = ("http://", "https://", "mailto:")


def text_of(path: Path) -> str:
    """Markdown; of a script in percent format that of its text cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    prose = [cell for cell in cells if cell.startswith(" [markdown]")]
    return re.sub(r"^# ?", "", "".join(prose), flags=re.MULTILINE)


def links(text: str) -> list[str]:
    """Those that point into the repository."""
    return [link for link in _LINK.findall(text) if not link.startswith(_ELSEWHERE)]


def anchors(text: str) -> set[str]:
    """What headings are called: small letters, hyphens for blanks, nothing else that is no letter or digit."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(links: list[str], page: Path) -> list[str]:
    """Of links as they stand on `page`, those that lead nowhere."""
    found = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(text_of(target))):
            found.append(link)
    return found


def included(text: str) -> list[tuple[str, dict[str, str]]]:
    """(file, options) of every directive that takes in a file."""
    found = []
    for file, options in re.findall(r"^:::\{(?:literal)?include\} (\S+)\n((?::.*\n)*)", text, flags=re.MULTILINE):
        pairs = re.findall(r"^:([\w-]+): (.*)$", options, flags=re.MULTILINE)
        found.append((file, {key: value.strip('"') for key, value in pairs}))
    return found
