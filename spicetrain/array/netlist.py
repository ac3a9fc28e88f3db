"""A crossbar in a deck: every device, or its columns as what they are when ideal sources hold its rows."""

from __future__ import annotations

from collections.abc import Sequence

from PySpice.Spice.Netlist import Circuit

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device

Pair = tuple[str, str]
"""Nodes of a positive and of a negative row."""


def add_crossbar(
    circuit: Circuit, layer: int, crossbar: Crossbar, rows: Sequence[Pair], bias: Pair, device: Device
) -> None:
    """Every device of a crossbar, from its `rows` and `bias` nodes to the columns c<layer>_<j>."""
    sides = (("p", crossbar.pos, crossbar.bias_pos, bias[0]), ("n", crossbar.neg, crossbar.bias_neg, bias[1]))
    # Column by column: written row by row, ngspice's Sparse needs eight times as long to order the matrix.
    for j in range(crossbar.columns):
        column = f"c{layer}_{j}"
        for i, pair in enumerate(rows):
            for node, (sign, g, _, _) in zip(pair, sides, strict=True):
                device.add(circuit, f"m{layer}_{i}_{j}{sign}", node, column, float(g[i, j]))
        for sign, _, g_bias, rail in sides:
            device.add(circuit, f"b{layer}_{j}{sign}", rail, column, float(g_bias[j]))


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
