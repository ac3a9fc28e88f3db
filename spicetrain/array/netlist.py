"""A crossbar in a deck: every device, and its wires where they resist; or its columns as what they are when ideal
sources hold its rows.

Nodes: c<layer>_<j> where column j is sensed. With wires also w<layer>_<wire>_<j>, row wire <wire> at column j, and
u<layer>_<wire>_<j>, column j at that row wire; wires are 0p, 0n, 1p, 1n, ..., bp, bn, in the order of `row_wires`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PySpice.Spice.Netlist import Circuit

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.wires import SegmentFarads, Segments, row_wires

Pair = tuple[str, str]
"""Nodes of a positive and of a negative row."""


def add_crossbar(
    circuit: Circuit,
    layer: int,
    crossbar: Crossbar,
    rows: Sequence[Pair],
    bias: Pair,
    device: Device,
    segments: Segments | None = None,
    farads: SegmentFarads | None = None,
) -> None:
    """Every device of a crossbar, from its `rows` and `bias` nodes to the columns c<layer>_<j>; with `segments` every
    segment of its wires and every feed, too, and with `farads` what they have to ground."""
    if segments is not None:
        heads = [*(node for pair in rows for node in pair), *bias]
        _add_with_wires(circuit, layer, crossbar, heads, device, segments, farads)
        return
    sides = (("p", crossbar.pos, crossbar.bias_pos, bias[0]), ("n", crossbar.neg, crossbar.bias_neg, bias[1]))
    # Column by column: written row by row, ngspice's Sparse needs eight times as long to order the matrix.
    for j in range(crossbar.columns):
        column = f"c{layer}_{j}"
        for i, pair in enumerate(rows):
            for node, (sign, g, _, _) in zip(pair, sides, strict=True):
                device.add(circuit, f"m{layer}_{i}_{j}{sign}", node, column, float(g[i, j]))
        for sign, _, g_bias, rail in sides:
            device.add(circuit, f"b{layer}_{j}{sign}", rail, column, float(g_bias[j]))


def _add_with_wires(
    circuit: Circuit, layer: int, crossbar: Crossbar, heads: Sequence[str], device: Device, segments: Segments,
    farads: SegmentFarads | None,
) -> None:  # fmt: skip
    """`heads`: what drives the row wires, in their order."""
    g, names = row_wires(crossbar), wire_names(crossbar.rows)
    sensed = segments.sensed(len(g))
    for j in range(crossbar.columns):
        for k, wire in enumerate(names):
            column = _column_node(layer, names, k, j, sensed)
            device.add(circuit, f"m{layer}_{wire}_{j}", f"w{layer}_{wire}_{j}", column, float(g[k, j]))
    # As text: there are twice as many as devices.
    circuit.raw_spice += "".join(_wires(layer, names, heads, crossbar.columns, segments))
    if farads is not None:
        circuit.raw_spice += "".join(_capacitances(layer, names, crossbar.columns, sensed, farads))


def _wires(layer: int, names: Sequence[str], heads: Sequence[str], columns: int, segments: Segments) -> Iterator[str]:
    """The lines of all segments and feeds."""
    sensed = segments.sensed(len(names))
    for wire, head in zip(names, heads, strict=True):
        for j in segments.driven(columns):
            yield f"Rf{layer}_{wire}_{j} {head} w{layer}_{wire}_{j} {segments.feed_ohm!r}\n"
        for j in range(columns - 1):
            yield f"Rw{layer}_{wire}_{j} w{layer}_{wire}_{j} w{layer}_{wire}_{j + 1} {segments.row_ohm!r}\n"
    for j in range(columns):
        nodes = [_column_node(layer, names, k, j, sensed) for k in range(len(names))]
        for wire, one, other in zip(names, nodes, nodes[1:], strict=False):
            if one != other:  # tied
                yield f"Ru{layer}_{wire}_{j} {one} {other} {segments.column_ohm!r}\n"


def _capacitances(
    layer: int, names: Sequence[str], columns: int, sensed: tuple[int, ...], farads: SegmentFarads
) -> Iterator[str]:
    """The lines of all that is not 0, a cell's half segments to both sides at its own nodes."""
    for j in range(columns):
        for k, wire in enumerate(names):
            nodes = f"w{layer}_{wire}_{j}", _column_node(layer, names, k, j, sensed)
            for kind, node, farad in zip("wu", nodes, farads, strict=True):
                if farad:
                    yield f"C{kind}{layer}_{wire}_{j} {node} 0 {farad!r}\n"


def _column_node(layer: int, names: Sequence[str], k: int, j: int, sensed: tuple[int, ...]) -> str:
    return f"c{layer}_{j}" if k in sensed else f"u{layer}_{names[k]}_{j}"


def wire_names(rows: int) -> list[str]:
    """Of the row wires of a crossbar with so many row pairs, in their order."""
    return [*(f"{i}{sign}" for i in range(rows) for sign in "pn"), "bp", "bn"]


def add_sinh_column(
    circuit: Circuit, sums: tuple[str, str], column: str, g: float, b_per_V: float, mid_V: float
) -> None:
    """What an open column of devices of (g / b) sinh(b v) is, exactly, when ideal sources hold its rows: the nodes
    `sums` stand at A / g and B / g of `open_column`, in volts for ones; `g` is any conductance."""
    x = f"{b_per_V!r}*(v({column})-{mid_V!r})"
    law = f"{{{g / b_per_V!r}*(v({sums[1]})*sinh({x})-v({sums[0]})*cosh({x}))}}"
    circuit.B(f"o_{column}", column, circuit.gnd, current_expression=law)


def add_open_column(circuit: Circuit, source: str, column: str, g: float) -> None:
    """What a column of `g` siemens in all is behind the node `source`, which stands at its Thevenin voltage."""
    circuit.R(source, source, column, float(1 / g))
