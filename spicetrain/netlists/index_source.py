"""One swept index, many voltages looked up from it: a whole set of samples in one .dc analysis.

Altering every source and asking for one .op per sample makes ngspice order its matrix anew each time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit

INDEX = "index"
_PLATEAU, _ROUNDED = 0.25, 0.125  # half a plateau; how far from a corner pwl rounds it


def add_index(circuit: Circuit) -> None:
    """The source that is swept; its voltage is the number of the sample."""
    circuit.V(INDEX, INDEX, circuit.gnd, 0.0)


def sweep(samples: int) -> str:
    """The analysis over `samples` samples."""
    return f".dc v{INDEX} 0 {samples - 1} 1"


def add_lookup(circuit: Circuit, node: str, voltages: ArrayLike) -> None:
    """Hold `node` at voltages[index]: a plain source when they are all equal, else XSPICE's pwl code model.

    The curve has a plateau around each index (one around a run of equal voltages), so no sample lies on a corner: there
    pwl rounds with a parabola about x = 0, and loses index^2 / (4 input_domain) units in the last place.
    """
    values = np.asarray(voltages, dtype=np.float64)
    if np.all(values == values[0]):
        circuit.V(node, node, circuit.gnd, float(values[0]))
        return
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    ends = np.r_[starts[1:] - 1, len(values) - 1]
    xs = " ".join(f"{a - _PLATEAU} {b + _PLATEAU}" for a, b in zip(starts, ends, strict=True))
    ys = " ".join(f"{v!r} {v!r}" for v in values[starts].tolist())
    circuit.raw_spice += (
        f"A{node} %v({INDEX}) %v({node}) t_{node}\n"
        f".model t_{node} pwl(x_array=[{xs}] y_array=[{ys}] input_domain={_ROUNDED} fraction=FALSE)\n"
    )
