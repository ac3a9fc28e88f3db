"""What a network takes of a chip, layer by layer: devices counted, and areas of what is drawn, as far as it is known.

Gates are w times l of every finger as drawn; wells, contacts and wires between transistors are not counted, and a cell
of an array may lie above transistors: the three areas are not added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spicetrain.array.crossbar import Crossbar
from spicetrain.technology import Technology
from spicetrain.verification.summary import Record


class Transistors(Record):
    """count, gate_area_m2  None: not known; the area is the sum of w l fingers"""

    count: int | None
    gate_area_m2: float | None


class LayerArea(Record):
    """memristor_area_m2  of cells of the memristors' pitch; None: there is no pitch
    transistors        by what they are of: inverters, neurons, row drivers, access
    capacitance_F      of all membranes; 0 where there are none
    capacitor_area_m2  None: no capacitors, or nobody said what a square metre of them holds
    """

    memristors: int
    memristor_area_m2: float | None
    transistors: dict[str, Transistors]
    capacitance_F: float = 0.0
    capacitor_area_m2: float | None = None

    @property
    def transistor_count(self) -> int:
        """Of those that are known."""
        return sum(part.count or 0 for part in self.transistors.values())

    @property
    def gate_area_m2(self) -> float:
        """Of those that are known."""
        return sum(part.gate_area_m2 or 0.0 for part in self.transistors.values())


class AreaFigures(Record):
    """left_out: what no figure has, and why, a sentence each."""

    layers: tuple[LayerArea, ...]
    left_out: tuple[str, ...] = ()

    @property
    def memristors(self) -> int:
        return sum(layer.memristors for layer in self.layers)

    @property
    def transistor_count(self) -> int:
        """Of those that are known."""
        return sum(layer.transistor_count for layer in self.layers)

    @property
    def gate_area_m2(self) -> float:
        """Of those that are known."""
        return sum(layer.gate_area_m2 for layer in self.layers)

    @property
    def memristor_area_m2(self) -> float | None:
        return _sum(layer.memristor_area_m2 for layer in self.layers)

    @property
    def capacitor_area_m2(self) -> float | None:
        return _sum(layer.capacitor_area_m2 for layer in self.layers)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def gate_m2(geometry: Mapping[str, float], technology: Technology) -> float | None:
    """w times l of one finger as drawn; None where the instance parameters do not say both."""
    sizes = {name.lower(): value * technology.transistors.geometry_unit_m for name, value in geometry.items()}
    return sizes["w"] * sizes["l"] if {"w", "l"} <= sizes.keys() else None


def transistors(parts: Iterable[tuple[int, float, Mapping[str, float]]], technology: Technology) -> Transistors:
    """parts: (how many, how many fingers all of them have, instance parameters of a finger)."""
    counts, areas = [], []
    for count, fingers, geometry in parts:
        counts.append(count)
        area = gate_m2(geometry, technology)
        areas.append(None if area is None else fingers * area)
    known = [area for area in areas if area is not None]
    return Transistors(count=sum(counts), gate_area_m2=sum(known) if len(known) == len(areas) else None)


def pitch_m(technology: Technology) -> float | None:
    """From one cell to the next: the memristor's, else that of the wires; None where neither says."""
    wires = None if technology.wires is None else technology.wires.pitch_m
    return technology.memristor.pitch_m or wires


def memristors_of(crossbar: Crossbar, technology: Technology, bias_pairs: int = 1) -> tuple[int, float | None]:
    """(how many, area of so many cells); each bias conductance is bias_pairs devices."""
    count, pitch = 2 * crossbar.columns * (crossbar.rows + bias_pairs), pitch_m(technology)
    return count, None if pitch is None else count * pitch**2


def left_out(layers: Iterable[LayerArea], technology: Technology) -> list[str]:
    """What is not known of memristors and gates."""
    layers, found = tuple(layers), list[str]()
    if pitch_m(technology) is None:
        found.append(
            f"the memristors' area: technology {technology.name} gives no memristor.pitch_m, nor wires.pitch_m"
        )
    unknown = {name: part for layer in layers for name, part in layer.transistors.items() if part.gate_area_m2 is None}
    for name, part in unknown.items():
        why = "a subcircuit of its own" if part.count is None else "instance parameters without w and l"
        found.append(f"the {'transistors' if part.count is None else 'gate area'} of {name}: {why}")
    return found


def area_text(area_m2: float | None) -> str:
    """3e-12 -> "3 um2", 2e-7 -> "0.2 mm2"; empty where it is not known."""
    if area_m2 is None:
        return ""
    return f"{area_m2 * 1e6:.3g} mm2" if area_m2 >= 1e-9 else f"{area_m2 * 1e12:.3g} um2"


def area_row(area: AreaFigures) -> tuple[str, str]:
    """For a terminal: (figure, value)."""
    cells, capacitors = area_text(area.memristor_area_m2), area_text(area.capacitor_area_m2)
    unknown = {name for layer in area.layers for name, part in layer.transistors.items() if part.gate_area_m2 is None}
    without = f" (without {', '.join(sorted(unknown))})" if unknown else ""
    words = [
        f"{area.memristors:,} memristors" + (f" on {cells}" if cells else ""),
        f"{area.transistor_count:,} transistors, gates {area_text(area.gate_area_m2)}{without}",
        *([f"capacitors {capacitors}"] if capacitors else []),
    ]
    return "area", "; ".join(words)
