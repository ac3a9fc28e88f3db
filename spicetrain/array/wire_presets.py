"""Wires by name: netlists/wires/<name>.toml, which a technology's [wires] may name."""

from __future__ import annotations

from spicetrain.array.presets import PresetKind
from spicetrain.array.wires import Wires
from spicetrain.schema import Definition


class WiresPreset(Definition):
    """A file of wires: its [wires] table, and what they are."""

    description: str
    wires: Wires


WIRE_PRESETS = PresetKind(WiresPreset, "wires", "wires preset", "wires")
