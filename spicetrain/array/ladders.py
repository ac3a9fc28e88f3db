"""Wires as ladders, for the trainer: chains of equal segments with a conductance to elsewhere at every node, solved in
any precision by what lies behind a node, which is a sum of positive numbers and so as good in float32.

With Y_k what node k and all behind it conduct, r a segment, J currents, eliminated from the last node to the first,

    Y_k = s_k + q_k+1 Y_k+1      q_k = 1 / (1 + r Y_k)      J_k = i_k + q_k+1 J_k+1
    v_0 = J_0 / Y_0              v_k = q_k (v_k-1 + r J_k).

Compiled by numba: side by side wires are solved by vector instructions, where LAPACK goes from node to node.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.floating]
_BLOCK = 32  # wires whose running sums stay in registers or the first cache


class Ladders:
    """to_elsewhere [nodes, wires] siemens, between nodes segment_ohm; as precise as to_elsewhere."""

    def __init__(self, segment_ohm: float, to_elsewhere: Array):
        self.segment_ohm = to_elsewhere.dtype.type(segment_ohm)
        self.share, self.Y_0 = _eliminated(self.segment_ohm, to_elsewhere)

    def solve(self, into: Array) -> Array:
        """Voltages of currents into the nodes, both [nodes, wires]."""
        found: Array = _solved(self.segment_ohm, self.share, self.Y_0, into)
        return found


@njit(cache=True, nogil=True)
def _eliminated(segment_ohm: Any, to_elsewhere: Any) -> Any:
    """(q [nodes, wires], Y_0 [wires])."""
    nodes, wires = to_elsewhere.shape
    share, Y = np.empty_like(to_elsewhere), np.zeros(wires, to_elsewhere.dtype)
    for start in range(0, wires, _BLOCK):
        stop = min(start + _BLOCK, wires)
        for k in range(nodes - 1, -1, -1):
            for j in range(start, stop):
                behind = Y[j] * share[k + 1, j] if k + 1 < nodes else Y[j]
                Y[j] = to_elsewhere[k, j] + behind
                share[k, j] = 1 / (1 + segment_ohm * Y[j])
    return share, Y


@njit(cache=True, nogil=True)
def _solved(segment_ohm: Any, share: Any, Y_0: Any, into: Any) -> Any:
    nodes, wires = into.shape
    v, J = np.empty_like(share), np.zeros(wires, share.dtype)
    for start in range(0, wires, _BLOCK):
        stop = min(start + _BLOCK, wires)
        for k in range(nodes - 1, -1, -1):
            for j in range(start, stop):
                behind = J[j] * share[k + 1, j] if k + 1 < nodes else J[j]
                J[j] = into[k, j] + behind
                v[k, j] = J[j]
        for j in range(start, stop):
            v[0, j] = J[j] / Y_0[j]
        for k in range(1, nodes):
            for j in range(start, stop):
                v[k, j] = share[k, j] * (v[k - 1, j] + segment_ohm * v[k, j])
    return v
