"""Every device of a network as a row of a table: where it is, and what it is programmed to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.layered import Layered
from spicetrain.array.wires import Segments, row_wires
from spicetrain.exporting import Export
from spicetrain.verification.conditions import conditions_of

Map = dict[str, NDArray[Any]]
"""Columns of equal length by name, in this order:

device         m<crossbar>_<row>_<column>p or n, of the bias b<crossbar>_<column>p or n: as its element in the flat deck
               of an inverter-based network without wires
crossbar       from 0
row            the row pair, from 0: the input, or the neuron before; the bias pair is the one behind the last
column         the neuron, from 0
side           pos, neg, bias_pos, bias_neg
parallel       equal devices in parallel that it stands for: of a bias, network.bias_pairs
conductance_S  of one of them, siemens
resistance_ohm 1 / conductance_S
level          of the memristor's levels, ascending from 0, the nearest; -1: it has none
level_S        that level, siemens; NaN: it has none
row_wire       the place of its row wire in the crossbar, from 0, pairs as the wires' row_order has them
tile           the tile that the row wire is in, from 0
"""

_SIDES = np.array(["pos", "neg", "bias_pos", "bias_neg"])


def map_of(export: Export) -> Map:
    """Of the devices and wires that the run is verified with. ConfigurationError when the wires ask for an order of
    rows that the network does not know."""
    bench = export.bench
    technology = conditions_of(bench.technology, bench.experiment.verification.conditions).simulated
    return programming_map(export.network, technology.memristor, technology.segments)


def programming_map(network: Layered, device: Device, segments: Segments | None) -> Map:
    """Crossbar by crossbar, row by row, column by column. ConfigurationError as of `map_of`."""
    order = network.row_order(segments)
    maps = [
        _of_crossbar(k, crossbar, network.bias_pairs, device, segments, order if k == 0 else None)
        for k, crossbar in enumerate(network.crossbars)
    ]
    return {name: np.concatenate([one[name] for one in maps]) for name in maps[0]}


def _of_crossbar(
    k: int,
    crossbar: Crossbar,
    bias_pairs: int,
    device: Device,
    segments: Segments | None,
    order: NDArray[np.int64] | None,
) -> Map:
    all_g = row_wires(crossbar)
    wire, column = (index.ravel() for index in np.indices(all_g.shape))
    row, sign = wire // 2, wire % 2
    bias = row == crossbar.rows
    parallel = np.where(bias, bias_pairs, 1)
    g = all_g.ravel() / parallel
    level, level_S = _levels(g, device)
    place = 2 * _places(crossbar.rows, order)[row] + sign
    return {
        "device": np.array(
            [_name(k, *of_one) for of_one in zip(row.tolist(), column.tolist(), sign.tolist(), bias, strict=True)]
        ),
        "crossbar": np.full(len(g), k),
        "row": row,
        "column": column,
        "side": _SIDES[sign + 2 * bias],
        "parallel": parallel,
        "conductance_S": g,
        "resistance_ohm": 1 / g,
        "level": level,
        "level_S": level_S,
        "row_wire": place,
        "tile": _tiles(len(all_g), segments)[place],
    }


def _name(k: int, row: int, column: int, sign: int, bias: bool) -> str:
    return f"b{k}_{column}{'pn'[sign]}" if bias else f"m{k}_{row}_{column}{'pn'[sign]}"


def _levels(g: NDArray[np.float64], device: Device) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(index, siemens) of the level nearest to each conductance."""
    if device.levels is None:
        return np.full(len(g), -1), np.full(len(g), np.nan)
    level_S = device.levels.nearest(g, device.g_min_S, device.g_max_S)
    return np.searchsorted(device.levels.between(device.g_min_S, device.g_max_S), level_S), level_S


def _places(rows: int, order: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Of every row pair's wires, the bias pair's last, in pairs."""
    return np.arange(rows + 1) if order is None else np.append(np.argsort(order), rows)


def _tiles(wires: int, segments: Segments | None) -> NDArray[np.int64]:
    """Of every row wire, by its place, the tile that it is in."""
    if segments is None:
        return np.zeros(wires, np.int64)
    starts = [tile.start for tile in segments.tiles(wires)]
    return np.searchsorted(starts, np.arange(wires), side="right") - 1
