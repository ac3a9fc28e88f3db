"""Devices that were measured, by name: netlists/devices/<name>.toml, which a technology's [memristor] may name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spicetrain import assets
from spicetrain.array.devices import AnyDevice
from spicetrain.errors import TechnologyError
from spicetrain.schema import Definition, find_toml, parse, read_toml


class DevicePreset(Definition):
    """A file of a device: its [memristor] table, and what it is."""

    description: str
    memristor: AnyDevice


def devices_folder() -> Path:
    """The shipped ones."""
    return assets.netlists_folder() / "devices"


def load_preset(name: str, beside: Path | None = None) -> DevicePreset:
    """A shipped device by name, or one by the path of its TOML, relative to the folder `beside`.

    Raises TechnologyError: unknown name, missing file, unknown key, impossible value, itself with a preset.
    """
    return parse(DevicePreset, *_content(name, beside), TechnologyError)


def with_preset(table: dict[str, Any], source: Path) -> dict[str, Any]:
    """The [memristor] `table` of the technology `source` with what its key `preset` names: keys of its own, also whole
    tables, stand in place of the preset's. Raises TechnologyError as `load_preset`."""
    own = {key: value for key, value in table.items() if key != "preset"}
    if "preset" not in table:
        return own
    name = table["preset"]
    if not isinstance(name, str):
        raise TechnologyError(f"{source}: memristor.preset = {name!r} is not the name of a device, nor a path.")
    content, path = _content(name, source.parent)
    parse(DevicePreset, content, path, TechnologyError)  # what is wrong in there is said of that file
    return {**content["memristor"], **own}


def _content(name: str, beside: Path | None) -> tuple[dict[str, Any], str]:
    """(what a preset's file holds, its path)."""
    place: str | Path = name
    if beside is not None and name.endswith(".toml"):
        place = beside / Path(name).expanduser()
    path = find_toml(place, devices_folder(), "device preset", TechnologyError)
    content = read_toml(path)
    table = content.get("memristor")
    if isinstance(table, dict) and "preset" in table:
        raise TechnologyError(f"{path}: a device preset names no other one (memristor.preset = {table['preset']!r}).")
    return content, str(path)
