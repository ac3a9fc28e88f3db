"""A crossbar with its wires for the trainer: what its columns stand at and its rows are loaded by; differentiable.

`Mesh` is exact and takes seconds; a step of training has milliseconds. Fast is the mesh to second order in the wires:
with a the share that a cell has in its column's end (its column's wire alone), 1 - delta what is left of its row's
voltage at it (its row's wire alone, columns at mid-rail) and R the resistance that two columns share of a row,

    v_col = (1 - K)^-1 (a (1 - delta))' v_row        K_jk = R_jk sum_i a_ij (1 - delta_ij) g_ik

and a row delivers  sum_j g_ij (1 - delta_ij) (v_row_i - v_col_j).  All voltages from mid-rail. What the mesh has beyond
that hardly moves with g: it is measured now and then, and added (`Correction`); measured at g itself, it makes the fast
form exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.ladders import Ladders
from spicetrain.array.mesh import Chains, Mesh, column_chains, feeds_of
from spicetrain.array.wires import Segments
from spicetrain.rails import Rails

# How near the mesh is solved, for a correction that will change and for a last one.
ROUGHLY, EXACTLY = 1e-5, 1e-11


class Correction(NamedTuple):
    """What the mesh has beyond the fast form: T [row wires, columns]; Y [row wires, row wires] siemens, None of rows
    that sources drive."""

    T: Tensor
    Y: Tensor | None


class WiredCrossbar(NamedTuple):
    """Voltages from mid-rail. T_n, T_p [rows, columns] and t_bias [columns] volts: v_col = v_n T_n + v_p T_p + t_bias;
    b_n, b_p [rows, columns] siemens: a row of a pair delivers b 1 v_row - b v_col, and beyond that what `Correction.Y`
    has of all row wires."""

    T_n: Tensor
    T_p: Tensor
    t_bias: Tensor
    b_n: Tensor
    b_p: Tensor
    Y: Tensor | None = None


def wired(g: Conductances, segments: Segments, rails: Rails, correction: Correction | None = None) -> WiredCrossbar:
    """The fast form, with a correction if there is one. Differentiable in g, the correction being held."""
    cells = row_wires_of(g)
    T, b, *_ = fast_form(cells, segments)
    Y = None
    if correction is not None:
        T, Y = T + correction.T, correction.Y
    (T_n, T_p, T_high, T_low), (b_n, b_p, *_) = of_pairs(T), of_pairs(b)
    return WiredCrossbar(T_n, T_p, rails.half_swing_V * (T_high - T_low), b_n, b_p, Y)


def driven_columns(crossbar: WiredCrossbar, signal: Tensor, rails: Rails) -> Tensor:
    """Column voltages [samples, columns], ideal sources driving the pairs at mid-rail +- signal [samples, rows]."""
    return rails.mid_V + torch.addmm(crossbar.t_bias, signal, crossbar.T_n - crossbar.T_p)


def bias_currents(
    g: Conductances, segments: Segments, rails: Rails, v_n: Tensor, v_p: Tensor, v_col: Tensor,
    correction: Correction | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What the upper and the lower rail deliver to the bias rows, [samples] amperes each, the rows of the pairs driven
    at v_n, v_p [samples, rows], the columns at v_col. Differentiable in all but the correction."""
    cells = torch.stack((g.bias_pos, g.bias_neg))
    drop: Tensor = _RowDrop.apply(cells, segments)
    b = cells * (1 - drop)
    bias = v_col.new_tensor([rails.half_swing_V, -rails.half_swing_V]).expand(len(v_col), 2)
    delivered = bias * b.sum(1) - (v_col - rails.mid_V) @ b.T
    if correction is not None and correction.Y is not None:
        pairs = torch.stack((v_n - rails.mid_V, v_p - rails.mid_V), 2).flatten(1)
        delivered = delivered + torch.cat((pairs, bias), 1) @ correction.Y[-2:].T
    return delivered[:, 0], delivered[:, 1]


@torch.no_grad()
def corrections(crossbars: Sequence[Conductances], segments: Segments, *, near: float = ROUGHLY) -> list[Correction]:
    """Of all crossbars of a network; inverters drive those from the second on."""
    return [correction(g, segments, loads=layer > 0, near=near) for layer, g in enumerate(crossbars)]


@torch.no_grad()
def correction(g: Conductances, segments: Segments, *, loads: bool, near: float = ROUGHLY) -> Correction:
    """What the mesh has beyond the fast form at g.

    loads  inverters drive the rows: what they deliver is wanted too
    near   to which the mesh is solved; in float64 far below it, `Mesh`'s own
    """
    cells = row_wires_of(g)
    T, b, *_ = fast_form(cells.double(), segments)
    mesh = Mesh(cells.double().cpu().numpy(), segments, tolerance=near)
    off_T = torch.from_numpy(mesh.transfer()).to(T) - T
    if not loads:
        return Correction(off_T.to(cells.dtype), None)
    fast_Y = torch.diag(b.sum(1)) - b @ (T + off_T).T
    off_Y = torch.from_numpy(mesh.conductance()).to(T) - fast_Y
    return Correction(off_T.to(cells.dtype), off_Y.to(cells.dtype))


def row_wires_of(g: Conductances) -> Tensor:
    """In the order of `wires.row_wires`."""
    pairs = torch.stack((g.pos, g.neg), 1).flatten(0, 1)
    return torch.cat((pairs, g.bias_pos[None], g.bias_neg[None]))


def of_pairs(rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of row wires in their order: of the pairs' positive and negative ones [rows, columns], of the bias rows
    [columns]."""
    pairs, bias = rows.tensor_split((len(rows) - 2,))
    return *pairs.unflatten(0, (-1, 2)).unbind(1), *bias.unbind()


class FastForm(NamedTuple):
    """T; b siemens; end: what a current into a column's sensed end makes of that column's nodes, and one into a node of
    the end, its wire alone, the rows held, ohms; all three [row wires, columns]. shared_ohm [columns, columns]: R."""

    T: Tensor
    b: Tensor
    end: Tensor
    shared_ohm: Tensor


def fast_form(cells: Tensor, segments: Segments) -> FastForm:
    """Of conductances [row wires, columns], differentiable in them."""
    shared = torch.as_tensor(_shared_ohm(segments, cells.shape[1])).to(cells)
    end: Tensor = _IntoEnd.apply(cells, segments)
    a = end * cells
    delta: Tensor = _RowDrop.apply(cells, segments)
    left = 1 - delta
    alone = a * left
    K = shared * (alone.T @ cells)
    unit = torch.eye(len(shared), dtype=cells.dtype, device=cells.device)
    return FastForm(alone @ torch.linalg.inv(unit - K).T, cells * left, end, shared)


def _shared_ohm(segments: Segments, columns: int) -> Any:
    """R [columns, columns]: what a current into a row wire at one column makes of its voltage at another, ohms."""
    to_elsewhere = feeds_of(segments, columns)[None]
    chains = Chains(1 / segments.row_ohm, to_elsewhere)
    return chains.solve(np.eye(columns)[:, None])[:, 0]


class _IntoEnd(torch.autograd.Function):
    """[row wires, columns] ohms: what a current into a cell's column node makes of the column's sensed end."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, segments: Segments) -> Tensor:
        g = _numbers(cells)
        sensed = segments.sensed(len(g))
        ctx.columns, into = _columns(g, segments), np.zeros_like(g)
        into[sensed[0]] = 1
        ctx.found = ctx.columns.solve(into)
        return torch.from_numpy(ctx.found).to(cells.device)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (up,) = upstream
        return torch.from_numpy(-ctx.columns.solve(_numbers(up)) * ctx.found).to(up.device), None


class _RowDrop(torch.autograd.Function):
    """[row wires, columns]: by what share of the source's voltage a row is lower at a cell, its columns at mid-rail."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, segments: Segments) -> Tensor:
        g = _numbers(cells)
        feeds = feeds_of(segments, g.shape[1]).astype(g.dtype)
        ctx.ladders = Ladders(segments.row_ohm, (g + feeds).T)
        ctx.delta = ctx.ladders.solve(g.T).T
        return torch.from_numpy(ctx.delta).to(cells.device)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (up,) = upstream
        back = ctx.ladders.solve(_numbers(up).T).T
        return torch.from_numpy(back * (1 - ctx.delta)).to(up.device), None


def _columns(g: Any, segments: Segments) -> Ladders | _TiedColumns:
    return Ladders(segments.column_ohm, g) if len(segments.sensed(len(g))) == 1 else _TiedColumns(g, segments)


class _TiedColumns:
    """What `Ladders` is to one chain, of columns that are sensed in several tied places."""

    def __init__(self, g: Any, segments: Segments):
        self.chains = column_chains(segments, np.ascontiguousarray(g.T, dtype=np.float64))

    def solve(self, into: Any) -> Any:
        found = self.chains.solve(np.ascontiguousarray(into.T, dtype=np.float64)[None])[0]
        return np.ascontiguousarray(found.T, dtype=into.dtype)


def _numbers(of: Tensor) -> Any:
    """[row wires, columns], as a ladder takes them."""
    return of.detach().cpu().contiguous().numpy()
