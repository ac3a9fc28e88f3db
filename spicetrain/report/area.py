"""What the network takes of a chip, a row a layer."""

from __future__ import annotations

from spicetrain.report.blocks import Block, Table
from spicetrain.report.units import quantity
from spicetrain.verification.area import AreaFigures, LayerArea, area_text


def area_blocks(area: AreaFigures | None) -> list[Block]:
    """Nothing of a verification of an older version."""
    if area is None:
        return []
    rows = [(f"layer {index}", *_cells(layer)) for index, layer in enumerate(area.layers, start=1)]
    total = f"{area.memristors:,}", _area(area.memristor_area_m2), f"{area.transistor_count:,}"
    farads = sum(layer.capacitance_F for layer in area.layers)
    last = _area(area.gate_area_m2), quantity(farads, "F") if farads else "", _area(area.capacitor_area_m2)
    head = ("", "memristors", "their cells", "transistors", "gates", "capacitance", "capacitors")
    caption = (
        "What is on the chip: cells are the memristors' pitch squared, gates w times l of every finger as drawn; "
        "sources of input rows and latches, which are ideal, are not in it."
    )
    if area.left_out:
        caption += f" Left out: {'; '.join(area.left_out)}."
    return [Table(head, [*rows, ("all", *total, *last)], caption)]


def _cells(layer: LayerArea) -> tuple[str, ...]:
    parts = [
        f"{name} {'unknown' if part.count is None else f'{part.count:,}'}" for name, part in layer.transistors.items()
    ]
    farads = quantity(layer.capacitance_F, "F") if layer.capacitance_F else ""
    cells = f"{layer.memristors:,}", _area(layer.memristor_area_m2), ", ".join(parts)
    return *cells, _area(layer.gate_area_m2), farads, _area(layer.capacitor_area_m2)


def _area(area_m2: float | None) -> str:
    return area_text(area_m2).replace("um2", "µm²").replace("mm2", "mm²")
