"""Where the columns of a crossbar with wires float when ideal sources drive its rows, of any devices; in numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.bent_mesh import BentMesh
from spicetrain.array.crossbar import Array, Crossbar
from spicetrain.array.device import Device
from spicetrain.array.mesh import Mesh
from spicetrain.array.wires import Segments, row_voltages, row_wires
from spicetrain.rails import Rails

_KEPT = 2  # matrices: of 784 x 100 cells one has a megabyte


def mesh_columns(
    crossbar: Crossbar, v_pos: NDArray, v_neg: NDArray, rails: Rails, device: Device, segments: Segments
) -> Array:
    """Column voltages [samples, columns], ideal sources driving the pairs' wires at v_pos, v_neg [samples, rows], and
    the rails those of the bias rows, volts. Of ohmic devices and many samples it is one matrix, found once.

    Raises SimulationError when the mesh cannot be solved.
    """
    g, v_rows = row_wires(crossbar), row_voltages(v_pos, v_neg, rails.vdd_V, rails.vss_V)
    if device.sinh_per_V != 0:
        return BentMesh(g, segments, device).columns(v_rows)
    if len(v_rows) < crossbar.columns:
        return Mesh(g, segments).columns(v_rows)
    found: Array = v_rows @ _transfer(g.tobytes(), g.shape, segments)
    return found


@lru_cache(_KEPT)
def _transfer(g: bytes, shape: tuple[int, int], segments: Segments) -> Array:
    return Mesh(np.frombuffer(g).reshape(shape), segments).transfer()
