"""Devices that were measured, by name: netlists/devices/<name>.toml, which a technology's [memristor] may name."""

from __future__ import annotations

from pathlib import Path

from spicetrain.array.devices import AnyDevice
from spicetrain.array.presets import PresetKind
from spicetrain.schema import Definition


class DevicePreset(Definition):
    """A file of a device: its [memristor] table, and what it is."""

    description: str
    memristor: AnyDevice


DEVICE_PRESETS = PresetKind(DevicePreset, "memristor", "device preset", "devices")


def devices_folder() -> Path:
    """The shipped ones."""
    return DEVICE_PRESETS.shipped


def load_preset(name: str, beside: Path | None = None) -> DevicePreset:
    """A shipped device by name, or one by the path of its TOML, relative to the folder `beside`; see `PresetKind`."""
    return DEVICE_PRESETS.load(name, beside)
