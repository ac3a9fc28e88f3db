"""What is shipped to begin with: presets and comparisons by system, and what their TOMLs say that they are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from spicetrain.assets import comparisons_folder, presets_folder

_USUAL_SYSTEM = "inverter"  # of a TOML that names none


@dataclass(frozen=True)
class Shipped:
    """A preset, or a comparison; `about` is the first sentence of its TOML."""

    name: str
    system: str
    about: str


def shipped() -> dict[str, list[Shipped]]:
    """Presets and comparisons, each by system and name."""
    folders = {"presets": presets_folder(), "comparisons": comparisons_folder()}
    return {kind: _in_folder(folder) for kind, folder in folders.items()}


def as_json() -> dict[str, Any]:
    return {kind: [asdict(one) for one in found] for kind, found in shipped().items()}


def as_lines() -> Iterator[str]:
    """A heading a kind and system, and a line each below it."""
    kinds = shipped()
    width = max(len(one.name) for found in kinds.values() for one in found)
    for kind, found in kinds.items():
        for system, ones in groupby(found, key=lambda one: one.system):
            yield f"{kind}, {system}"
            yield from (f"  {one.name:{width}}  {one.about}" for one in ones)
            yield ""
    yield "`spicetrain show NAME` says what a preset would do, `spicetrain run NAME` does it, `compare` a comparison."


def _in_folder(folder: Path) -> list[Shipped]:
    found = [_shipped(path) for path in folder.glob("*.toml")]
    return sorted(found, key=lambda one: (one.system, one.name))


def _shipped(path: Path) -> Shipped:
    text = path.read_text(encoding="utf-8")
    return Shipped(path.stem, tomllib.loads(text).get("system", _USUAL_SYSTEM), first_sentence(text))


def first_sentence(text: str) -> str:
    """Of the comment that a TOML begins with; empty where there is none."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    joined = " ".join(line.removeprefix("#").strip() for line in comment)
    return re.split(r"(?<=\.)\s", joined, maxsplit=1)[0]
