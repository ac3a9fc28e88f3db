"""The PHAX-style method: two fitted tanh a neuron, v_col -> v_n and v_col -> v_p, under one frozen load.

After IEEE TCAD 2018 (10.1109/TCAD.2017.2764070). Our reading: slope and shift are fitted, the amplitude is half the
swing and the offset mid-rail; fitted to our own inverter, each hidden output loaded by `load_S` to mid-rail, whatever
the weights. The output inverters drive nothing, so their curve has no such load. Resistors that the network has at its
outputs (RIM's) are in all curves. Weights are ratios, mapped to conductances after training.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor

from spicetrain.inverter.methods import Method
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.tanh_vtc import tanh_pairs, tanh_voltages
from spicetrain.inverter.training.voltages import Predictor
from spicetrain.schema import Definition


class PhaxSettings(Definition):
    """load_S  frozen load, siemens from every hidden inverter's output to mid-rail. The default lies between what a
    trained 100-10 crossbar puts on first (2e-6) and on second inverters (1.2e-5)."""

    load_S: float = Field(default=5e-6, ge=0)


def phax(circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: PhaxSettings) -> Predictor:
    """The method's predictor; see methods.Method. Fitted here to `sizes`; those of a later call are not looked at."""
    loads_S = [ground_S + settings.load_S] * (len(sizes) - 1) + [ground_S]
    curves = [tanh_pairs(circuit, size, load, free=False) for size, load in zip(sizes, loads_S, strict=True)]
    return lambda crossbars, sizes, signal, mismatch=None: tanh_voltages(
        crossbars, sizes, signal, circuit.technology, curves, offsets=circuit.offsets(mismatch)
    )


PHAX = Method(phax, ratios=True, takes_mismatch=True, settings=PhaxSettings)
