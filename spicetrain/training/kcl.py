"""The kcl method: node voltages from Kirchhoff's current law, the inverter known by its current surface alone.

No load is assumed and none is neglected: each stage is solved together with the crossbar that loads it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spicetrain.technology import Rails
from spicetrain.training.crossbar import Conductances
from spicetrain.training.inverters import Inverters
from spicetrain.training.stage import Effort, Tolerance, solve_stage, solve_unloaded
from spicetrain.training.voltages import LayerVoltages


def kcl_voltages(
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    signal: Tensor,
    rails: Rails,
    inverters: Inverters,
    tolerance: Tolerance,
    effort: Effort,
) -> list[LayerVoltages]:
    """Voltages of every layer, volts, differentiable in conductances, sizes and signal.

    crossbars  siemens; sizes  per crossbar the fingers behind it, [columns, 2], the last [columns, 1]
    signal     [samples, rows]: deviation of the positive input rows from mid-rail, volts
    effort     notes how far the solver converged
    """
    layers = []
    v_col = crossbars[0].open_columns(signal, rails)
    for crossbar, size in zip(crossbars[1:], sizes, strict=False):
        v_n, v_p, v_next = solve_stage(v_col, *crossbar, size[:, 0], size[:, 1], inverters, tolerance, effort)
        layers.append(LayerVoltages(v_col, v_n, v_p))
        v_col = v_next
    v_out = solve_unloaded(v_col, inverters, tolerance, effort)
    return [*layers, LayerVoltages(v_col, v_out)]
