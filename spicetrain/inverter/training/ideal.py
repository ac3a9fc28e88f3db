"""The ideal method: every inverter a tanh between the rails that no load can move.

The textbook view that circuit-aware methods are measured against. Our reading: the slope is the unloaded inverter's own
at its threshold, the threshold is mid-rail; weights are ratios, mapped to conductances after training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.tabulated import Current
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.rails import Rails


def ideal_voltages(crossbars: Sequence[Conductances], signal: Tensor, rails: Rails, gain: float) -> list[LayerVoltages]:
    """Voltages of every layer, volts; `signal` [samples, rows] as in kcl_voltages, `gain` = -dv_out/dv_in > 0."""
    mid, swing = rails.mid_V, rails.half_swing_V

    def invert(v: Tensor) -> Tensor:
        return mid - swing * torch.tanh(gain / swing * (v - mid))

    layers = []
    v_col = crossbars[0].open_columns(signal, rails)
    for crossbar in crossbars[1:]:
        v_n = invert(v_col)
        v_p = invert(v_n)
        layers.append(LayerVoltages(v_col, v_n, v_p))
        v_col = crossbar.column_voltages(v_n, v_p, rails)
    return [*layers, LayerVoltages(v_col, invert(v_col))]


@torch.no_grad()
def unloaded_gain(current: Current, rails: Rails) -> float:
    """-dv_out/dv_in of the unloaded inverter where its output is at mid-rail; `current` in float64."""
    mid = torch.full((1,), rails.mid_V, dtype=torch.float64)
    v_in = mid.clone()
    for _ in range(50):  # i_out(v_in, mid) falls monotonically with v_in
        i, di_in, di_out = current(v_in, mid)
        v_in = (v_in - i / di_in).clamp(rails.vss_V, rails.vdd_V)
    return float(di_in / di_out)


def ideal(circuit: Circuit, sizes: Sequence[Tensor], ground_S: float) -> Callable[..., list[LayerVoltages]]:
    """The method's predictor; see methods.Method. Neither sizes nor resistors to mid-rail matter to it."""
    gain = unloaded_gain(circuit.exact_inverters.current, circuit.rails)
    return lambda crossbars, sizes, signal: ideal_voltages(crossbars, signal, circuit.rails, gain)
