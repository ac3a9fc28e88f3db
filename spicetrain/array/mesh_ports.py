"""A crossbar with its wires as what it is to its rows' sources and to whatever draws current at its columns' sensed
ends, exactly; in numpy.

With the sources at v_row and the ends at v_col, [row wires] and [columns],

    into the ends   B' v_row - Y v_col          out of the sources   A v_row - B v_col

An end is a source of the open column's voltage, T' v_row (`Mesh.transfer`), behind resistances R that the columns share
with each other as far as they share row wires: Y = R^-1, B = T Y.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.mesh import Array, Mesh, feeds_of
from spicetrain.array.wires import Segments, row_wires

_AT_ONCE = 8_000_000  # cells x right sides
_KEPT = 2


class MeshPorts(NamedTuple):
    """Siemens. B [row wires, columns]; Y [columns, columns]; A [row wires, row wires], None where it was not asked for.

    reach  of all nodes of a column, the sum of the shares in which they follow its end, the mean over columns: as many
           segments' capacitance stands at the end
    """

    B: Array
    Y: Array
    A: Array | None
    reach: float


def mesh_ports(mesh: Mesh, *, rows: bool) -> MeshPorts:
    """By as many solutions as there are columns; `rows`: A too, by as many more as there are row wires.

    Raises SimulationError when the mesh cannot be solved.
    """
    T, R, reach = column_ends(mesh)
    Y = np.asarray(np.linalg.inv((R + R.T) / 2), dtype=np.float64)
    B = T @ Y
    return MeshPorts(B, Y, mesh.conductance() + B @ T.T if rows else None, float(reach.mean()))


def column_ends(mesh: Mesh) -> tuple[Array, Array, Array]:
    """(T, R, of every column the sum of the shares in which its nodes follow its end [columns])."""
    columns = mesh.g.shape[1]
    unit, feeds = np.eye(columns), feeds_of(mesh.segments, columns)
    T, R, followed = np.empty(mesh.g.shape), np.empty((columns, columns)), np.empty(columns)
    at_once = max(1, _AT_ONCE // mesh.g.size)
    for start in range(0, columns, at_once):
        part = slice(start, start + at_once)
        at = mesh.adjoint(unit[part])
        T[:, part], R[part] = (at.row_nodes @ feeds).T, at.sensed
        own = np.arange(columns)[part]
        followed[part] = at.column_nodes[np.arange(len(own)), :, own].sum(1) / R[own, own]
    return T, R, followed


def ports_of(crossbar: Crossbar, segments: Segments) -> MeshPorts:
    """Of a crossbar whose rows ideal sources drive; the last ones are kept."""
    g = row_wires(crossbar)
    return _kept(np.ascontiguousarray(g).tobytes(), g.shape, segments)


@lru_cache(_KEPT)
def _kept(g: bytes, shape: tuple[int, int], segments: Segments) -> MeshPorts:
    return mesh_ports(Mesh(np.frombuffer(g).reshape(shape), segments), rows=False)
