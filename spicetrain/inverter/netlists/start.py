"""Where Newton starts at each image of an index sweep: at given voltages, as `.nodeset` has it for the first point.

Left alone, ngspice starts a point at what the transistors of the last two extrapolate to. Images do not follow from one
another, so inverters in cascade settle one after the other: 12 iterations for two crossbars, 16 for three. Here a
switch holds every inverter output in the second and third iteration of a point and lets go. From the third on the
transistors stand at voltages that belong together, the fourth is Newton's step from there, and where the start was
right to some microvolts the fifth finds it settled.

`index` is the swept source and new at once; a B source sees the voltages of the iteration before, so two behind it in a
row are late by one and by two, and while the last is late the switches are closed. A point cannot end so: a switch that
changes asks for one more iteration, and a settled point has no late copy. Open, a switch is 1e15 ohm to a node some
microvolts away. So the answer is that of the circuit alone; only the way there is shorter.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.netlists.index_source import INDEX

Start = Mapping[str, NDArray]
"""Voltages [samples] by the names of nodes."""

# ohm: a microvolt of what inverters carry, and nothing a gate or a memristor would notice.
_CLOSED, _OPEN = 1e-3, 1e15
_DIGITS = 7  # of a volt: reading the text is a good part of a short sweep


def add_start(circuit: Circuit, start: Start) -> None:
    """Newton starts each sample of the index sweep with the nodes of `start` at its voltages."""
    source, lines = INDEX, []
    for late in ("late_1", "late_2"):
        lines.append(f"B{late} {late} 0 v=floor(v({source})+0.5)\n")
        source = late
    lines.append(f".model hold sw(vt=0.5 vh=0.0 ron={_CLOSED!r} roff={_OPEN!r})\n")
    for node, voltages in start.items():
        lines.append(_lookup(f"hold_{node}", voltages))
        lines.append(f"Shold_{node} {node} hold_{node} {INDEX} {source} hold\n")
        lines.append(f".nodeset v({node})={float(voltages[0])!r}\n")
    circuit.raw_spice += "".join(lines)


def _lookup(node: str, voltages: NDArray) -> str:
    """The line of a source that is nearly at voltages[index]: straight from one to the next, half the text of exact."""
    values = np.round(voltages, _DIGITS).tolist()
    if len(values) == 1:
        return f"V{node} {node} 0 {values[0]!r}\n"
    return f"B{node} {node} 0 v=pwl(v({INDEX}),{','.join(f'{k},{v!r}' for k, v in enumerate(values))})\n"
