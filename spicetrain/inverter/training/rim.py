"""The RIM-style method: a resistor to mid-rail at every inverter output, so stiff that the crossbar's load is ignored.

After IEEE TCAS-II 2020 (10.1109/TCSII.2020.2997384), whose text is not public in full. Our reading: the network has the
resistors (`network.ground_ohm`, in the netlist too), two tanh a neuron with all four coefficients are fitted to our own
inverter loaded by that resistor alone. Weights are ratios, mapped to conductances after training. The fitted offset and
amplitude may put an output beyond a rail by as much as the fit is off.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spicetrain.inverter.methods import Method
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.tanh_vtc import tanh_pairs, tanh_voltages
from spicetrain.inverter.training.voltages import Predictor
from spicetrain.schema import Definition


def rim(circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: Definition) -> Predictor:
    """The method's predictor; see methods.Method. Fitted here to `sizes`; those of a later call are not looked at.

    A network without resistors is seen through its unloaded curves.
    """
    curves = [tanh_pairs(circuit, size, ground_S, free=True) for size in sizes]
    return lambda crossbars, sizes, signal, mismatch=None: tanh_voltages(
        crossbars, sizes, signal, circuit.technology, curves, offsets=circuit.offsets(mismatch)
    )


RIM = Method(rim, ratios=True, takes_mismatch=True)
