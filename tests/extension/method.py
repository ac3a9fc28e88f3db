"""A method of the inverter system: every inverter a straight line between the rails, whatever it drives."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.methods import Method
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.voltages import Predictor
from spicetrain.inverter.training.walk import walk
from spicetrain.schema import Definition


class LinearSettings(Definition):
    """gain: -dv_out/dv_in around mid-rail."""

    gain: float = Field(default=5.0, gt=1)


def linear(circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: LinearSettings) -> Predictor:
    rails = circuit.rails

    def invert(v: Tensor) -> Tensor:
        return (rails.mid_V - settings.gain * (v - rails.mid_V)).clamp(rails.vss_V, rails.vdd_V)

    def pair(layer: int, v_col: Tensor, driven: Conductances | None, size: Tensor) -> tuple[Tensor, Tensor | None]:
        v_n = invert(v_col)
        return v_n, None if driven is None else invert(v_n)

    return lambda crossbars, sizes, signal: walk(crossbars, sizes, signal, circuit.technology, pair)


LINEAR = Method(linear, ratios=True, settings=LinearSettings)
