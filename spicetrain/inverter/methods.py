"""The methods of the inverter system by name. Each is a view of the circuit: it trains a network, and it predicts the
voltages of any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spicetrain.registry import Registry
from spicetrain.schema import Definition
from spicetrain.training.settings import NoSettings


@dataclass(frozen=True)
class Method:
    """What sets a method apart.

    predictor      (FittedCircuit, sizes of the network, its ground_S, the method's settings) -> a function (crossbars,
                   sizes, signal) -> Prediction; what has to be fitted is fitted here
    ratios         it sees no load, so it trains ratios of conductances, mapped to conductances afterwards
    settings       what it brings of its own: the table [training.<name>]
    surrogates     those that it needs, by table
    extrapolation  (FittedCircuit, crossbars, sizes, ground_S) -> Extrapolation: what it asks of the surrogates outside
                   the domain they were measured in, whatever the inputs; None: nothing
    knows_circuit  it claims to predict what ngspice says: a verification judges it by that unless told otherwise
    takes_mismatch  the function takes `mismatch`, a current_surface.Mismatch a crossbar, besides: it can be trained
                   under mismatch
    takes_wires    it knows the wires of crossbars, and the function takes `corrections`, a wired_stage.Held a crossbar;
                   to another method wires are ideal
    """

    predictor: Callable[..., Callable[..., Any]]
    ratios: bool
    settings: type[Definition] = NoSettings
    surrogates: tuple[str, ...] = ("current_surface",)
    extrapolation: Callable[..., Any] | None = None
    knows_circuit: bool = False
    takes_mismatch: bool = False
    takes_wires: bool = False


_TRAINING = "spicetrain.inverter.training"
METHODS: Registry[Method] = Registry(
    "method",
    {
        "kcl": f"{_TRAINING}.kcl:KCL",
        "ideal": f"{_TRAINING}.ideal:IDEAL",
        "phax": f"{_TRAINING}.phax:PHAX",
        "rim": f"{_TRAINING}.rim:RIM",
        "latim": f"{_TRAINING}.latim:LATIM",
        "latim-nn": f"{_TRAINING}.latim:LATIM_NN",
    },
)
