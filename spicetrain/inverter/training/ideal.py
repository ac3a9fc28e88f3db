"""The ideal method: every inverter a tanh between the rails that no load can move.

The textbook view that circuit-aware methods are measured against. Our reading: the slope is the unloaded inverter's own
at its threshold, the threshold is mid-rail; weights are ratios, mapped to conductances after training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.methods import Method
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.voltages import Prediction, Predictor
from spicetrain.inverter.training.walk import Offsets, walk
from spicetrain.schema import Definition
from spicetrain.technology import Technology


def ideal_voltages(
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    signal: Tensor,
    technology: Technology,
    gain: float,
    *,
    offsets: Offsets | None = None,
) -> Prediction:
    """Voltages of every layer; `gain` = -dv_out/dv_in > 0. Sizes do not matter."""
    mid, swing = technology.rails.mid_V, technology.rails.half_swing_V

    def invert(v: Tensor) -> Tensor:
        return mid - swing * torch.tanh(gain / swing * (v - mid))

    def pair(layer: int, v_col: Tensor, driven: Conductances | None, size: Tensor) -> tuple[Tensor, Tensor | None]:
        v_n = invert(v_col)
        return v_n, None if driven is None else invert(v_n)

    return walk(crossbars, sizes, signal, technology, pair, offsets)


def ideal(circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: Definition) -> Predictor:
    """The method's predictor; see methods.Method. Neither sizes nor resistors to mid-rail matter to it."""
    gain = circuit.threshold.gain
    return lambda crossbars, sizes, signal, mismatch=None: ideal_voltages(
        crossbars, sizes, signal, circuit.technology, gain, offsets=circuit.offsets(mismatch)
    )


IDEAL = Method(ideal, ratios=True, takes_mismatch=True)
