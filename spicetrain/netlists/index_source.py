"""One swept index, many voltages looked up from it: a whole set of samples in one .dc analysis.

Altering every source and asking for one .op per sample makes ngspice order its matrix anew each time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit

INDEX = "index"


def add_index(circuit: Circuit) -> None:
    """The source that is swept; its voltage is the number of the sample."""
    circuit.V(INDEX, INDEX, circuit.gnd, 0.0)


def sweep(samples: int) -> str:
    """The analysis over `samples` samples."""
    return f".dc v{INDEX} 0 {samples - 1} 1"


def add_lookup(circuit: Circuit, node: str, voltages: ArrayLike) -> None:
    """Hold `node` at voltages[index]: a plain source when they are all equal, else XSPICE's pwl code model.

    Inside a run of equal voltages nothing is written: ngspice searches the points one after another.
    """
    values = np.asarray(voltages, dtype=np.float64)
    if np.all(values == values[0]):
        circuit.V(node, node, circuit.gnd, float(values[0]))
        return
    corners = np.flatnonzero(np.r_[True, (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:]), True])
    xs = " ".join(str(i) for i in corners)
    ys = " ".join(repr(float(v)) for v in values[corners])
    # input_domain rounds the corners of the curve, and the samples are its corners: keep it far below 1.
    circuit.raw_spice += (
        f"A{node} %v({INDEX}) %v({node}) t_{node}\n"
        f".model t_{node} pwl(x_array=[{xs}] y_array=[{ys}] input_domain=1e-9 fraction=FALSE)\n"
    )
