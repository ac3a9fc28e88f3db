"""What a crossbar is to the nodes on both sides: currents, their slopes, and the gradient in its devices; in torch.

Rows n and p of every pair stand at v_n, v_p [samples, rows], the columns at v_col [samples, columns]. Newton's method
on all of them needs of the crossbar

    into_n, into_p, into_c    currents that it feeds into the nodes
    G_n, G_p, S               by how much these fall with the node's own voltage: sums of slopes over its devices
    the slopes s_n, s_p [rows, columns] of the devices themselves, in products only

Ohmic devices have one slope for all voltages: it is their conductance. Those of (g / b) sinh(b v) have, by the addition
theorem, products of a function of the row and one of the column: products of matrices do for all devices at once what
any other law needs device by device.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Protocol

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.wired import WiredCrossbar
from spicetrain.rails import Rails

# b times half the swing: below it a device is ohmic to 3e-7, and differences of exponentials lose more in float32.
_STRAIGHT = 1e-3

Gradients = tuple[Tensor, ...]
"""With respect to what the crossbar is given by: pos, neg, bias_pos, bias_neg, or the fields of a WiredCrossbar."""


class Tangent(Protocol):
    """At one point: G_n, G_p [samples or 1, rows], S [samples or 1, columns], siemens."""

    G_n: Tensor
    G_p: Tensor
    S: Tensor

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(into_n, into_p, into_c), amperes, there: where voltages are that point's."""

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        """s_n' x_n + s_p' x_p, [samples, columns], of [samples, rows]."""

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(s_n y, s_p y), [samples, rows], of [samples, columns]."""

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        """S - s_n' a s_n - s_p' b s_p - s_p' t s_n, [samples, columns, columns], of [samples, rows] on diagonals.

        rough  a third of the work will do: more steps follow
        """

    @property
    def adjoint(self) -> Tangent:
        """With the slopes of currents into rows and into columns in each other's place."""
        return self  # of a crossbar without wires they are the same

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        """Of -(l_n into_n + l_p into_p + l_c into_c) there, summed over samples."""


class Coupling(Protocol):
    """A crossbar between its rows and its columns."""

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        """About where the columns float, [samples, columns] volts, the rows held."""

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent: ...


def coupling(g: Conductances, rails: Rails, device: Device | None) -> Coupling:
    """Of devices `device` (None: ohmic) with conductances `g`."""
    b_per_V = 0.0 if device is None else device.sinh_per_V
    if b_per_V is not None and b_per_V * rails.half_swing_V < _STRAIGHT:
        return _Ohmic(g, rails)
    if b_per_V is not None:
        return _Sinh(g, rails, b_per_V)
    assert device is not None
    return _Any(g, rails, device)


class WiredCoupling(Tangent):
    """Of a crossbar with wires, in the fast form of `wired`: columns are sums of row voltages, rows deliver to a mean
    of the columns. What a correction adds to the currents, Y, is in the equations but not in their slopes."""

    def __init__(self, crossbar: WiredCrossbar, rails: Rails, correction_S: Tensor | None = None):
        self.T_n, self.T_p, self.t_bias, self.b_n, self.b_p = crossbar
        self.mid_V, self.half_V, self.Y = rails.mid_V, rails.half_swing_V, correction_S
        self.G_n, self.G_p = self.b_n.sum(1), self.b_p.sum(1)
        self.S = torch.ones_like(self.t_bias)
        pairs = [(self.T_n, self.b_n), (self.T_p, self.b_p), (self.T_p, self.b_n)]
        self.outer = torch.cat([(x[:, :, None] * y[:, None, :]).flatten(1) for x, y in pairs])

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        above = torch.addmm(self.t_bias, v_n - self.mid_V, self.T_n).addmm_(v_p - self.mid_V, self.T_p)
        return above.add_(self.mid_V)

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return self

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n, p, c = v_n - self.mid_V, v_p - self.mid_V, v_col - self.mid_V
        into_n = (c @ self.b_n.T).addcmul_(self.G_n, n, value=-1)
        into_p = (c @ self.b_p.T).addcmul_(self.G_p, p, value=-1)
        if self.Y is not None:
            bias = n.new_tensor([self.half_V, -self.half_V]).expand(len(n), 2)
            more = torch.cat((torch.stack((n, p), 2).flatten(1), bias), 1) @ self.Y.T
            into_n.sub_(more[:, :-2:2])
            into_p.sub_(more[:, 1:-2:2])
        return into_n, into_p, torch.addmm(self.t_bias, n, self.T_n).addmm_(p, self.T_p).sub_(c)

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return (x_n @ self.T_n).addmm_(x_p, self.T_p)

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y @ self.b_n.T, y @ self.b_p.T

    @property
    def adjoint(self) -> Tangent:
        other = copy(self)
        other.T_n, other.T_p, other.b_n, other.b_p = self.b_n, self.b_p, self.T_n, self.T_p
        return other

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        return _matrix(a, b, t, self.outer, self.S)

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        n, p, c = v_n - self.mid_V, v_p - self.mid_V, v_col - self.mid_V
        of_b = [(l_row * v).sum(0)[:, None] - l_row.T @ c for l_row, v in ((l_n, n), (l_p, p))]
        return -(n.T @ l_c), -(p.T @ l_c), -l_c.sum(0), *of_b


def _matrix(a: Tensor, b: Tensor, t: Tensor, outer: Tensor, S: Tensor) -> Tensor:
    columns = len(S)
    A = (torch.cat([a, b, t], dim=1) @ outer).neg_().view(-1, columns, columns)
    A.diagonal(dim1=1, dim2=2).add_(S)
    return A


class _Ohmic(Tangent):
    def __init__(self, g: Conductances, rails: Rails):
        self.g_n, self.g_p, self.rails = g.pos, g.neg, rails
        self.G_n, self.G_p = g.row_sums()
        self.S, self.i_bias = g.column_sum(), g.bias_current(rails)
        self.outer = _outer(g.pos, g.neg)

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        into_n = (v_col @ self.g_n.T).addcmul_(self.G_n, v_n, value=-1)
        into_p = (v_col @ self.g_p.T).addcmul_(self.G_p, v_p, value=-1)
        into_c = torch.addmm(self.i_bias, v_n, self.g_n).addmm_(v_p, self.g_p).addcmul_(self.S, v_col, value=-1)
        return into_n, into_p, into_c

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        return torch.addmm(self.i_bias, v_n, self.g_n).addmm_(v_p, self.g_p).div_(self.S)

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return self

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return (x_n @ self.g_n).addmm_(x_p, self.g_p)

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y @ self.g_n.T, y @ self.g_p.T

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        return _matrix(a, b, t, self.outer, self.S)

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        return (
            _ohmic_gradient(l_n, l_c, v_n, v_col),
            _ohmic_gradient(l_p, l_c, v_p, v_col),
            (l_c * (v_col - self.rails.vdd_V)).sum(0),
            (l_c * (v_col - self.rails.vss_V)).sum(0),
        )


def exponentials(x: Tensor) -> Tensor:
    """exp(x) and exp(-x), [2, ...]."""
    both = x.new_empty((2, *x.shape))
    torch.exp(x, out=both[0])
    torch.reciprocal(both[0], out=both[1])
    return both


def _outer(g_n: Tensor, g_p: Tensor) -> Tensor:
    """The matrix is linear in a, b, t: one product with this table assembles it for all samples."""
    rows, columns = g_n.shape
    pairs = [(g_n, g_n), (g_p, g_p), (g_p, g_n)]
    return torch.cat([(x[:, :, None] * y[:, None, :]).view(rows, columns * columns) for x, y in pairs])


def _ohmic_gradient(l_row: Tensor, l_col: Tensor, v_row: Tensor, v_col: Tensor) -> Tensor:
    """Sum over samples of (l_row - l_col)(v_row - v_col) for every device, [rows, columns]."""
    crossed = l_row.T @ v_col + v_row.T @ l_col
    return (l_row * v_row).sum(0)[:, None] + (l_col * v_col).sum(0) - crossed


class _Sinh:
    """In exponentials E = exp(b v), R = 1 / E of the nodes, v from mid-rail:

    I = (g / 2b) (E_row R_col - R_row E_col)        s = (g / 2) (E_row R_col + R_row E_col)
    """

    def __init__(self, g: Conductances, rails: Rails, b_per_V: float):
        self.half_g, self.mid_V, self.b_per_V = torch.stack((g.pos, g.neg)) / 2, rails.mid_V, b_per_V
        self.rail = math.exp(b_per_V * rails.half_swing_V)
        bias = self.rail * g.bias_pos + g.bias_neg / self.rail, g.bias_pos / self.rail + self.rail * g.bias_neg
        self.half_bias = torch.stack(bias)[:, None] / 2
        self.outer = _outer(g.pos, g.neg).div_(4).tensor_split(3)

    def rows(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        """Of the rows, [2 (E, R), 2 (n, p), samples, rows]."""
        return exponentials(torch.stack((v_n, v_p)).sub_(self.mid_V).mul_(self.b_per_V))

    def columns(self, v_col: Tensor) -> Tensor:
        """Of the columns, [2 (R, E), samples, columns]: what meets the rows' E comes first."""
        return exponentials((self.mid_V - v_col).mul_(self.b_per_V))

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        half_n, half_p = self.half_g
        return (x_n @ half_n).add_(x_p @ half_p)

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        rows = self.rows(v_n, v_p)
        up, down = self.to_columns(rows[:, 0], rows[:, 1]).add_(self.half_bias)
        return up.div_(down).log_().div_(2 * self.b_per_V).add_(self.mid_V)

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return _SinhTangent(self, self.rows(v_n, v_p), self.columns(v_col))


class _SinhTangent(Tangent):
    """rows [2 (E, R), 2 (n, p), samples, rows], columns [2 (R, E), samples, columns]."""

    def __init__(self, of: _Sinh, rows: Tensor, columns: Tensor):
        self.of, self.rows, self.columns = of, rows, columns
        self.at_rows = self._to_rows(columns).mul_(rows)
        self.at_columns = self.of.to_columns(rows[:, 0], rows[:, 1]).add_(of.half_bias).mul_(columns)
        self.G_n, self.G_p = self.at_rows[0] + self.at_rows[1]
        self.S = self.at_columns[0] + self.at_columns[1]

    def _to_rows(self, y: Tensor) -> Tensor:
        return y[:, None] @ self.of.half_g.mT

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        into_rows = (self.at_rows[1] - self.at_rows[0]).div_(self.of.b_per_V)
        return into_rows[0], into_rows[1], (self.at_columns[0] - self.at_columns[1]).div_(self.of.b_per_V)

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        into = self.of.to_columns(x_n * self.rows[:, 0], x_p * self.rows[:, 1]).mul_(self.columns)
        return into[0].add_(into[1])

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        into = self._to_rows(y * self.columns).mul_(self.rows)
        n, p = into[0].add_(into[1])
        return n, p

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        (E_n, E_p), (R_n, R_p) = self.rows
        (R_k, E_k), (R_l, E_l) = self.columns[..., None], self.columns[:, :, None]
        nn, pp, pn = self.of.outer
        columns = self.S.shape[1]
        if rough:  # cosh b(v - v_col) as cosh bv cosh bv_col: as many steps, measured at b = 4 / V
            cosh_n, cosh_p = E_n + R_n, E_p + R_p
            products = (a * cosh_n).mul_(cosh_n).mm(nn).addmm_((b * cosh_p).mul_(cosh_p), pp)
            products.addmm_((t * cosh_p).mul_(cosh_n), pn).mul_(-1 / 4)
            A = products.view(-1, columns, columns).mul_(R_k + E_k).mul_(R_l + E_l)
            A.diagonal(dim1=1, dim2=2).add_(self.S)
            return A
        # A slope is a sum of two products, a product of two slopes one of four; E R = 1 in two of them.
        t_E, t_R, one = t * E_p, t * R_p, (a @ nn).addmm_(b, pp)
        products = (
            (a * E_n).mul_(E_n).mm(nn).addmm_((b * E_p).mul_(E_p), pp).addmm_(t_E * E_n, pn),
            torch.addmm(one, t_E * R_n, pn),
            one.addmm_(t_R * E_n, pn),
            (a * R_n).mul_(R_n).mm(nn).addmm_((b * R_p).mul_(R_p), pp).addmm_(t_R * R_n, pn),
        )
        EE, ER, RE, RR = (product.view(-1, columns, columns) for product in products)
        A = EE.mul_(R_l).addcmul_(ER, E_l).mul_(R_k)
        A.addcmul_(RE.mul_(R_l).addcmul_(RR, E_l), E_k).neg_()
        A.diagonal(dim1=1, dim2=2).add_(self.S)
        return A

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        rail, twice_b, l_columns = self.of.rail, 2 * self.of.b_per_V, l_c * self.columns
        l_rows = torch.stack((l_n, l_p)) * self.rows
        of_both = l_rows.mT @ self.columns[:, None] - self.rows.mT @ l_columns[:, None]
        pos, neg = (of_both[0] - of_both[1]) / twice_b
        by_R, by_E = l_columns.sum(1) / twice_b
        return pos, neg, by_E / rail - by_R * rail, by_E * rail - by_R / rail


class _Any:
    """Device by device; both sides as one, 2 rows, n before p."""

    def __init__(self, g: Conductances, rails: Rails, device: Device):
        self.g, self.device, self.mid_V = torch.cat((g.pos, g.neg)), device, rails.mid_V
        self.bias = (g.bias_pos, rails.vdd_V), (g.bias_neg, rails.vss_V)

    def across(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tensor:
        return torch.cat((v_n, v_p), 1)[:, :, None] - v_col[:, None]

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        start = v_n.new_full((len(v_n), self.g.shape[1]), self.mid_V)
        return start + self.currents(v_n, v_p, start)[2] / self.tangent(v_n, v_p, start).S

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        (pos, high), (neg, low) = self.bias
        bias = self.device.slope(pos, high - v_col) + self.device.slope(neg, low - v_col)
        return _AnyTangent(self, self.device.slope(self.g, self.across(v_n, v_p, v_col)), bias)

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (pos, high), (neg, low) = self.bias
        i = self.device.current(self.g, self.across(v_n, v_p, v_col))
        into_n, into_p = (-i.sum(2)).tensor_split(2, 1)
        bias = self.device.current(pos, high - v_col) + self.device.current(neg, low - v_col)
        return into_n, into_p, i.sum(1) + bias

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        per_siemens = self.device.per_siemens(self.g, self.across(v_n, v_p, v_col))
        l_across = torch.cat((l_n, l_p), 1)[:, :, None] - l_c[:, None]
        pos, neg = (l_across * per_siemens).sum(0).tensor_split(2)
        bias_pos, bias_neg = (-(l_c * self.device.per_siemens(g, v - v_col)).sum(0) for g, v in self.bias)
        return pos, neg, bias_pos, bias_neg


class _AnyTangent(Tangent):
    """s [samples, 2 rows, columns], slopes; bias [samples, columns]."""

    def __init__(self, of: _Any, s: Tensor, bias: Tensor):
        self.of, self.s = of, s
        self.G_n, self.G_p = s.sum(2).tensor_split(2, 1)
        self.S = s.sum(1) + bias

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.of.currents(v_n, v_p, v_col)

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        return self.of.gradients(l_n, l_p, l_c, v_n, v_p, v_col)

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return (torch.cat((x_n, x_p), 1)[:, None] @ self.s)[:, 0]

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        n, p = (self.s @ y[:, :, None])[:, :, 0].tensor_split(2, 1)
        return n, p

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        s_n, s_p = self.s.tensor_split(2, 1)
        left = torch.cat((torch.addcmul(a[:, :, None] * s_n, t[:, :, None], s_p), b[:, :, None] * s_p), 1)
        A = torch.bmm(left.mT, self.s).neg_()
        A.diagonal(dim1=1, dim2=2).add_(self.S)
        return A
