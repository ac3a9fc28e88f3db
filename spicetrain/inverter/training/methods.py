"""The methods by name. Each is a view of the circuit: it trains a network, and it predicts the voltages of any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.ideal import ideal
from spicetrain.inverter.training.kcl import kcl
from spicetrain.inverter.training.latim import latim, latim_nn
from spicetrain.inverter.training.phax import phax
from spicetrain.inverter.training.rim import rim
from spicetrain.inverter.training.voltages import LayerVoltages

# (crossbars, sizes, signal) -> voltages of every layer
Predictor = Callable[[Sequence[Conductances], Sequence[Tensor], Tensor], list[LayerVoltages]]


@dataclass(frozen=True)
class Method:
    """What sets a method apart for the trainer.

    predictor  (circuit, sizes of the network, its ground_S) -> Predictor; what has to be fitted is fitted here
    ratios     it sees no load, so it trains ratios of conductances, mapped to conductances afterwards
    """

    predictor: Callable[[Circuit, Sequence[Tensor], float], Predictor]
    ratios: bool


METHODS = {
    "kcl": Method(kcl, ratios=False),
    "ideal": Method(ideal, ratios=True),
    "phax": Method(phax, ratios=True),
    "rim": Method(rim, ratios=True),
    "latim": Method(latim, ratios=False),
    "latim-nn": Method(latim_nn, ratios=False),
}
