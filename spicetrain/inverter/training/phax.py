"""The PHAX-style method: two fitted tanh a neuron, v_col -> v_n and v_col -> v_p, under one frozen load.

After IEEE TCAD 2018 (10.1109/TCAD.2017.2764070). Our reading: slope and shift are fitted, the amplitude is half the
swing and the offset mid-rail; fitted to our own inverter, each hidden output loaded by `Circuit.phax_load_S` to
mid-rail, whatever the weights. The output inverters drive nothing, so their curve has no such load. Resistors that the
network has at its outputs (RIM's) are in all curves. Weights are ratios, mapped to conductances after training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.tanh_vtc import tanh_pairs, tanh_voltages
from spicetrain.inverter.training.voltages import LayerVoltages


def phax(circuit: Circuit, sizes: Sequence[Tensor], ground_S: float) -> Callable[..., list[LayerVoltages]]:
    """The method's predictor; see methods.Method. Fitted here to `sizes`; those of a later call are not looked at."""
    loads_S = [ground_S + circuit.phax_load_S] * (len(sizes) - 1) + [ground_S]
    curves = [tanh_pairs(circuit, size, load, free=False) for size, load in zip(sizes, loads_S, strict=True)]
    return lambda crossbars, sizes, signal: tanh_voltages(crossbars, curves, signal, circuit.rails)
