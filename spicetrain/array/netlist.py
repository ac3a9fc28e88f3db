"""A crossbar in a deck: every device, and its wires where they resist; or its columns as what they are when ideal
sources hold its rows.

Nodes: c<layer>_<j> where column j is sensed, or another letter for c. With wires also w<layer>_<wire>_<j>, row wire
<wire> at column j, and u<layer>_<wire>_<j>, column j at that row wire; wires are 0p, 0n, 1p, 1n, ..., bp, bn, in the
order of `row_wires`.
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
    column: str = "c",
    farads: SegmentFarads | None = None,
) -> None:
    """Every device of a crossbar, from its `rows` and `bias` nodes to the columns <column><layer>_<j>; with `segments`
    every segment of its wires and every feed, too, and with `farads` what they have to ground."""
    if segments is not None:
        heads = [*(node for pair in rows for node in pair), *bias]
        _add_with_wires(circuit, layer, crossbar, heads, device, segments, column, farads)
        return
    sides = (("p", crossbar.pos, crossbar.bias_pos, bias[0]), ("n", crossbar.neg, crossbar.bias_neg, bias[1]))
    # Column by column: written row by row, ngspice's Sparse needs eight times as long to order the matrix.
    for j in range(crossbar.columns):
        end = f"{column}{layer}_{j}"
        for i, pair in enumerate(rows):
            for node, (sign, g, _, _) in zip(pair, sides, strict=True):
                device.add(circuit, f"m{layer}_{i}_{j}{sign}", node, end, float(g[i, j]))
        for sign, _, g_bias, rail in sides:
            device.add(circuit, f"b{layer}_{j}{sign}", rail, end, float(g_bias[j]))


def _add_with_wires(
    circuit: Circuit,
    layer: int,
    crossbar: Crossbar,
    heads: Sequence[str],
    device: Device,
    segments: Segments,
    column: str,
    farads: SegmentFarads | None,
) -> None:
    """`heads`: what drives the row wires, in their order."""
    g, names = row_wires(crossbar), wire_names(crossbar.rows)
    nodes = column_nodes(layer, crossbar, segments, column)
    for j, of_column in enumerate(nodes):
        for k, (wire, node) in enumerate(zip(names, of_column, strict=True)):
            device.add(circuit, f"m{layer}_{wire}_{j}", f"w{layer}_{wire}_{j}", node, float(g[k, j]))
    # As text: there are twice as many as devices.
    circuit.raw_spice += "".join(_wires(layer, names, heads, nodes, segments))
    if farads is not None:
        circuit.raw_spice += "".join(_capacitances(layer, names, nodes, farads))


def column_nodes(layer: int, crossbar: Crossbar, segments: Segments, column: str) -> list[list[str]]:
    """Of every column's wire, in the order of the row wires."""
    names = wire_names(crossbar.rows)
    sensed = segments.sensed(len(names))
    return [
        [f"{column}{layer}_{j}" if k in sensed else f"u{layer}_{wire}_{j}" for k, wire in enumerate(names)]
        for j in range(crossbar.columns)
    ]


def _wires(
    layer: int, names: Sequence[str], heads: Sequence[str], column_nodes: Sequence[Sequence[str]], segments: Segments
) -> Iterator[str]:
    """The lines of all segments and feeds."""
    columns = len(column_nodes)
    for wire, head in zip(names, heads, strict=True):
        for j in segments.driven(columns):
            yield f"Rf{layer}_{wire}_{j} {head} w{layer}_{wire}_{j} {segments.feed_ohm!r}\n"
        for j in range(columns - 1):
            yield f"Rw{layer}_{wire}_{j} w{layer}_{wire}_{j} w{layer}_{wire}_{j + 1} {segments.row_ohm!r}\n"
    for j, nodes in enumerate(column_nodes):
        for k in (k for tile in segments.tiles(len(names)) for k in tile[:-1]):
            if nodes[k] != nodes[k + 1]:  # tied
                yield f"Ru{layer}_{names[k]}_{j} {nodes[k]} {nodes[k + 1]} {segments.column_ohm!r}\n"


def _capacitances(
    layer: int, names: Sequence[str], column_nodes: Sequence[Sequence[str]], farads: SegmentFarads
) -> Iterator[str]:
    """The lines of all that is not 0, a cell's half segments to both sides at its own nodes."""
    for j, nodes in enumerate(column_nodes):
        for wire, of_column in zip(names, nodes, strict=True):
            for kind, node, farad in zip("wu", (f"w{layer}_{wire}_{j}", of_column), farads, strict=True):
                if farad:
                    yield f"C{kind}{layer}_{wire}_{j} {node} 0 {farad!r}\n"


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
