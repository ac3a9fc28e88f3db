"""What an inverter-based network takes of a chip."""

from __future__ import annotations

from spicetrain.inverter.network import Network
from spicetrain.technology import Technology
from spicetrain.verification.area import AreaFigures, LayerArea, left_out, memristors_of, transistors


def area_of(network: Network, technology: Technology) -> AreaFigures:
    """Of every crossbar its memristors, and the inverters behind its columns; what drives the first rows is ideal and
    has none."""
    layers = []
    for crossbar, sizes in zip(network.crossbars, network.sizes, strict=True):
        memristors, cells_m2 = memristors_of(crossbar, technology, network.bias_pairs)
        pair = technology.inverter.nmos, technology.inverter.pmos
        inverters = transistors([(sizes.size, float(sizes.sum()), one) for one in pair], technology)
        layers.append(
            LayerArea(memristors=memristors, memristor_area_m2=cells_m2, transistors={"inverters": inverters})
        )
    return AreaFigures(layers=tuple(layers), left_out=tuple(left_out(layers, technology)))
