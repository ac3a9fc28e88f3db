"""Tables of a technology that ship under a name: netlists/<kind>s/<name>.toml, or a TOML of one's own.

A technology says `[memristor] preset = "..."`, `[wires] preset = "..."`; its own keys stand in place of the preset's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from spicetrain import assets
from spicetrain.errors import TechnologyError
from spicetrain.schema import Definition, find_toml, parse, read_toml

Preset = TypeVar("Preset", bound=Definition)


@dataclass(frozen=True)
class PresetKind(Generic[Preset]):
    """definition: of such a file; table: its one table, as in a technology; what: one is called; folder: of those that
    ship, in netlists/."""

    definition: type[Preset]
    table: str
    what: str
    folder: str

    @property
    def shipped(self) -> Path:
        """Their folder."""
        return assets.netlists_folder() / self.folder

    def load(self, name: str, beside: Path | None = None) -> Preset:
        """A shipped one by name, or one by the path of its TOML, relative to the folder `beside`.

        Raises TechnologyError: unknown name, missing file, unknown key, impossible value, itself with a preset.
        """
        return parse(self.definition, *self._content(name, beside), TechnologyError)

    def applied(self, table: dict[str, Any], source: Path) -> dict[str, Any]:
        """The `table` of the technology `source` with what its key `preset` names: keys of its own, also whole tables,
        stand in place of the preset's. Raises TechnologyError as `load`."""
        own = {key: value for key, value in table.items() if key != "preset"}
        if "preset" not in table:
            return own
        name = table["preset"]
        if not isinstance(name, str):
            raise TechnologyError(
                f"{source}: {self.table}.preset = {name!r} is not the name of a {self.what}, nor a path."
            )
        content, path = self._content(name, source.parent)
        parse(self.definition, content, path, TechnologyError)  # what is wrong in there is said of that file
        return {**content[self.table], **own}

    def _content(self, name: str, beside: Path | None) -> tuple[dict[str, Any], str]:
        """(what a preset's file holds, its path)."""
        place: str | Path = name
        if beside is not None and name.endswith(".toml"):
            place = beside / Path(name).expanduser()
        path = find_toml(place, self.shipped, self.what, TechnologyError)
        content = read_toml(path)
        table = content.get(self.table)
        if isinstance(table, dict) and "preset" in table:
            raise TechnologyError(
                f"{path}: a {self.what} names no other one ({self.table}.preset = {table['preset']!r})."
            )
        return content, str(path)
