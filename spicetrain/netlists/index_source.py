"""One swept index, many voltages looked up from it: a whole set of samples in one .dc analysis.

Altering every source and asking for one .op per sample makes ngspice order its matrix anew each time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit

INDEX = "index"
_PLATEAU = 0.25  # half of it


def add_index(circuit: Circuit) -> None:
    """The source that is swept; its voltage is the number of the sample."""
    circuit.V(INDEX, INDEX, circuit.gnd, 0.0)


def sweep(samples: int) -> str:
    """The analysis over `samples` samples."""
    return f".dc v{INDEX} 0 {samples - 1} 1"


def add_lookup(circuit: Circuit, node: str, voltages: ArrayLike) -> None:
    """Hold `node` at voltages[index]: a plain source when they are all equal, else a B source of
    ngspice's pwl function.

    The curve has a plateau around each index (one around a run of equal voltages), where it is exact. Not XSPICE's pwl
    code model: that lets its input move by 0.3 of a segment an iteration, so the lookups alone take nine iterations a
    sample, and searches its table from the beginning.
    """
    values = np.asarray(voltages, dtype=np.float64)
    if np.all(values == values[0]):
        circuit.V(node, node, circuit.gnd, float(values[0]))
        return
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    ends = np.r_[starts[1:] - 1, len(values) - 1]
    low, high = _edges(len(values))
    points = ",".join(
        f"{low[a]},{v},{high[b]},{v}"
        for a, b, v in zip(starts.tolist(), ends.tolist(), map(repr, values[starts].tolist()), strict=True)
    )
    circuit.raw_spice += f"B{node} {node} 0 v=pwl(v({INDEX}),{points})\n"


@lru_cache(maxsize=4)
def _edges(samples: int) -> tuple[list[str], list[str]]:
    """Where the plateau of each sample begins and ends, as text: a deck has hundreds of lookups of the same samples."""
    return [repr(k - _PLATEAU) for k in range(samples)], [repr(k + _PLATEAU) for k in range(samples)]
