"""A crossbar with wires as a dense network of resistors, element by element, reduced to its ends: an oracle for small
ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.wires import Segments

Array = NDArray[np.float64]


class DensePorts(NamedTuple):
    """As `mesh_ports.MeshPorts`."""

    B: Array
    Y: Array
    A: Array
    reach: float


def dense_ports(g: Array, segments: Segments) -> DensePorts:
    """g [row wires, columns]."""
    rows, columns = g.shape
    heads = np.arange(rows)
    row = rows + np.arange(rows * columns).reshape(rows, columns)
    column = row + rows * columns
    sensed = segments.sensed(rows)
    for k in sensed[1:]:  # tied
        column[k] = column[sensed[0]]
    L = np.zeros((rows + 2 * rows * columns,) * 2)

    def resistor(a: int, b: int, siemens: float) -> None:
        for p, q in ((a, b), (b, a)):
            L[p, p] += siemens
            L[p, q] -= siemens

    for i in range(rows):
        for j in segments.driven(columns):
            resistor(heads[i], row[i, j], 1 / segments.feed_ohm)
        for j in range(columns - 1):
            resistor(row[i, j], row[i, j + 1], 1 / segments.row_ohm)
        for j in range(columns):
            resistor(row[i, j], column[i, j], g[i, j])
            if i + 1 < rows and column[i, j] != column[i + 1, j]:
                resistor(column[i, j], column[i + 1, j], 1 / segments.column_ohm)
    ends = column[sensed[0]]
    ports = np.concatenate([heads, ends])
    used = np.unique(np.concatenate([row.ravel(), column.ravel()]))
    inner = np.setdiff1d(used, ends)
    follows = -np.linalg.solve(L[np.ix_(inner, inner)], L[np.ix_(inner, ports)])
    P = L[np.ix_(ports, ports)] + L[np.ix_(ports, inner)] @ follows
    voltages = np.zeros((len(L), len(ports)))
    voltages[inner], voltages[ports] = follows, np.eye(len(ports))
    # Of a current into one end, the others open, the share of its voltage at each node of its own column.
    at_ends = np.linalg.inv(P[rows:, rows:])
    profiles = voltages[:, rows:] @ at_ends
    reach = np.mean([profiles[column[:, j], j].sum() / at_ends[j, j] for j in range(columns)])
    return DensePorts(-P[:rows, rows:], P[rows:, rows:], P[:rows, :rows], float(reach))
