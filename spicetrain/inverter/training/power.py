"""Static power of a network, from the fitted supply currents: what sizing trades accuracy against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spicetrain.array.bent_mesh import BentMesh
from spicetrain.array.conductances import Conductances
from spicetrain.array.wired import bias_currents
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, supply_currents
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.inverter.training.wired_stage import Held
from spicetrain.rails import Rails
from spicetrain.technology import Technology


def rail_power(
    layers: Sequence[LayerVoltages],
    loads: Sequence[Conductances],
    sizes: Sequence[Tensor],
    technology: Technology,
    surface: CurrentSurface,
    corrections: Sequence[Held] | None = None,
) -> Tensor:
    """Power drawn from both rails at each operating point, [samples], watts; potentials are referred to mid-rail.

    Of all inverters and of the bias rows of `loads`, the crossbars from the second on. The first crossbar, bias rows
    included, is fed by the input sources and not counted. With wires what they turn into heat is in it: rows take what
    the fast form of `wired` says, with `corrections` of the loads what the mesh says; devices of bias rows that bend
    are taken without wires.
    """
    total, rails = torch.zeros(()), technology.rails
    for layer, size in zip(layers, sizes, strict=True):
        total = total + _inverter_power(layer.v_col, layer.v_n, size[:, 0], rails, surface)
        if layer.v_p is not None:
            total = total + _inverter_power(layer.v_n, layer.v_p, size[:, 1], rails, surface)
    held: Sequence[Held] = corrections or [None] * len(loads)
    for before, layer, crossbar, correction in zip(layers, layers[1:], loads, held, strict=False):
        if technology.segments is None or technology.memristor.sinh_between(rails):
            upper, lower = crossbar.bias_currents_into(layer.v_col, rails, technology.memristor)
        else:
            assert before.v_p is not None  # only the last layer has none
            nodes = before.v_n, before.v_p, layer.v_col
            assert not isinstance(correction, BentMesh)
            upper, lower = bias_currents(crossbar, technology.segments, rails, *nodes, correction)
        total = total + rails.half_swing_V * (upper - lower)
    return total


def _inverter_power(v_in: Tensor, v_out: Tensor, m: Tensor, rails: Rails, surface: CurrentSurface) -> Tensor:
    i_vdd, i_vss = supply_currents(surface, v_in, v_out)
    return rails.half_swing_V * ((i_vdd + i_vss) @ m)
