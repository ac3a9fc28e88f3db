"""What the columns of a crossbar with wires are to whatever hangs on them, when ideal sources drive its rows; in numpy.

At rest that is exact: a column stands at its open voltage behind a resistance, that of the mesh at its sensed end. In
time it is one pole: the capacitance that, behind that resistance, delays a step of the whole column by Elmore's time
constant

    tau_j = C sum_n z_jn,    z_jn volts at node n of column j for an ampere into its sensed end,

the first moment of its response (W. C. Elmore, J. Appl. Phys. 19, 55, 1948, 10.1063/1.1697872). Left out: that the
column's far end moves later than its near one, what neighbours move meanwhile, and the capacitance of the rows, which
ideal sources charge through feeds.
"""

from __future__ import annotations

from typing import NamedTuple

from spicetrain.array.crossbar import Array, Crossbar
from spicetrain.array.mesh import Mesh
from spicetrain.array.mesh_ports import column_ends
from spicetrain.array.wires import SegmentFarads, Segments, row_voltages, row_wires
from spicetrain.rails import Rails


class OnePole(NamedTuple):
    """Of every column, [columns]: siemens that it is behind, farads to ground."""

    source_S: Array
    farads: Array


def one_pole(crossbar: Crossbar, segments: Segments, farads: SegmentFarads) -> OnePole:
    """Raises SimulationError when the mesh cannot be solved."""
    _, ohms, reach = column_ends(Mesh(row_wires(crossbar), segments))
    return OnePole(1 / ohms.diagonal(), farads.column_F * reach)


def mesh_heat(crossbar: Crossbar, v_pos: Array, v_neg: Array, rails: Rails, segments: Segments) -> Array:
    """What ohmic devices and their wires turn into heat, [samples], watts, ideal sources driving the pairs' wires at
    v_pos, v_neg [samples, rows] and the rails those of the bias rows: all of it comes from these sources."""
    v_rows = row_voltages(v_pos, v_neg, rails.vdd_V, rails.vss_V)
    heat: Array = (v_rows * Mesh(row_wires(crossbar), segments).delivered(v_rows)).sum(1)
    return heat
