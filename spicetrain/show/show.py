"""`spicetrain show`: settings, tables and rooms of a target, for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spicetrain.characterization.stored import Stored
from spicetrain.run import Run
from spicetrain.runfolder import DEFINITION
from spicetrain.show.rooms import Room, rooms_of, tables_of
from spicetrain.show.settings import Setting, settings_of
from spicetrain.systems import read_definition


@dataclass(frozen=True)
class Shown:
    """A target: the TOML that defines it, the folder of its run, and what is known of both."""

    definition: Path
    folder: Path
    system: str
    settings: list[Setting]
    tables: list[Stored]
    rooms: list[Room]


def show(target: str, run: Run, by_flag: Collection[str] = ()) -> Shown:
    """What `run`, opened of `target`, is and would do. Nothing is started and nothing is written.

    by_flag  dotted names of settings that flags changed

    ConfigurationError: the plan is none; StorageError: the folder is damaged.
    """
    path, content = read_definition(target)
    settings = settings_of(run.experiment, content, "run folder" if path.name == DEFINITION else "TOML", by_flag)
    tables = tables_of(run)
    return Shown(path, run.folder, run.experiment.system, settings, tables, rooms_of(run, tables))


def as_json(shown: Shown) -> dict[str, Any]:
    return asdict(shown) | {"definition": str(shown.definition), "folder": str(shown.folder)}


def as_lines(shown: Shown) -> Iterator[str]:
    there = "" if shown.folder.exists() else ", which is not there yet"
    yield f"{shown.definition}: system {shown.system}, run folder {shown.folder}{there}"
    yield from ("", "settings; * differs from the default")
    name, value = _width(one.name for one in shown.settings), _width(_text(one.value) for one in shown.settings)
    for one in shown.settings:
        mark = "*" if one.differs else " "
        yield f"{mark} {one.name:{name}}  {_text(one.value):{min(value, 30)}}  {one.source}"
    yield from ("", "tables")
    name = _width(table.name for table in shown.tables)
    yield from (f"  {table.name:{name}}  {_where(table)}" for table in shown.tables)
    yield from ("", "rooms")
    yield from (f"  {room.verb:14}  {room.state:12}  {room.why}".rstrip() for room in shown.rooms)


def _where(table: Stored) -> str:
    if not table.ngspice_versions:
        return "to be measured"
    return f"measured by ngspice {', '.join(map(str, table.ngspice_versions))}; another version measures again"


def _text(value: Any) -> str:
    return json.dumps(value)


def _width(texts: Iterator[str]) -> int:
    return max(map(len, texts), default=0)
