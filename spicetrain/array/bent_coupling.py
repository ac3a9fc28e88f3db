"""Crossbars of devices that bend: their slopes are those at the present voltages. See `tangent`."""

from __future__ import annotations

import math
from copy import copy

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.tangent import Gradients, Tangent, outer_products
from spicetrain.array.wired_bent import BentCrossbar
from spicetrain.rails import Rails


class Sinh:
    """In exponentials E = exp(b v), R = 1 / E of the nodes, v from mid-rail:

    I = (g / 2b) (E_row R_col - R_row E_col)        s = (g / 2) (E_row R_col + R_row E_col)

    With wires a device counts to its column with another g than to its row (`wired_bent`).
    """

    def __init__(self, g: Conductances | BentCrossbar, rails: Rails, b_per_V: float):
        self.mid_V, self.b_per_V, self.wired = rails.mid_V, b_per_V, isinstance(g, BentCrossbar)
        to_columns = g.W if isinstance(g, BentCrossbar) else g
        to_rows = (g.b_n, g.b_p) if isinstance(g, BentCrossbar) else (g.pos, g.neg)
        self.half_W = torch.stack(to_columns[:2]) / 2
        self.half_b = torch.stack(to_rows) / 2 if self.wired else self.half_W
        self.rail = math.exp(b_per_V * rails.half_swing_V)
        high, low = to_columns[2:]
        bias = torch.stack((self.rail * high + low / self.rail, high / self.rail + self.rail * low))
        if isinstance(g, BentCrossbar):
            bias = bias + g.leak
        self.half_bias = bias[:, None] / 2
        self.outer = outer_products(to_columns[:2], to_rows).div_(4).tensor_split(3)

    def rows(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        """Of the rows, [2 (E, R), 2 (n, p), samples, rows]."""
        return _exponentials(torch.stack((v_n, v_p)).sub_(self.mid_V).mul_(self.b_per_V))

    def columns(self, v_col: Tensor) -> Tensor:
        """Of the columns, [2 (R, E), samples, columns]: what meets the rows' E comes first."""
        return _exponentials((self.mid_V - v_col).mul_(self.b_per_V))

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        half_n, half_p = self.half_W
        return (x_n @ half_n).add_(x_p @ half_p)

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        rows = self.rows(v_n, v_p)
        up, down = self.to_columns(rows[:, 0], rows[:, 1]).add_(self.half_bias)
        return up.div_(down).log_().div_(2 * self.b_per_V).add_(self.mid_V)

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return _SinhTangent(self, self.rows(v_n, v_p), self.columns(v_col))


class _SinhTangent(Tangent):
    """rows [2 (E, R), 2 (n, p), samples, rows], columns [2 (R, E), samples, columns]."""

    def __init__(self, of: Sinh, rows: Tensor, columns: Tensor):
        self.of, self.rows, self.columns = of, rows, columns
        self.at_rows = self._to_rows(columns).mul_(rows)
        self.at_columns = self.of.to_columns(rows[:, 0], rows[:, 1]).add_(of.half_bias).mul_(columns)
        self.G_n, self.G_p = self.at_rows[0] + self.at_rows[1]
        self.S = self.at_columns[0] + self.at_columns[1]

    def _to_rows(self, y: Tensor) -> Tensor:
        return y[:, None] @ self.of.half_b.mT

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

    @property
    def adjoint(self) -> Tangent:
        other, other.of = copy(self), copy(self.of)
        other.of.half_W, other.of.half_b = self.of.half_b, self.of.half_W
        return other

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
        of_rows, of_columns = l_rows.mT @ self.columns[:, None], -(self.rows.mT @ l_columns[:, None])
        by_R, by_E = l_columns.sum(1) / twice_b
        of_bias = by_E / rail - by_R * rail, by_E * rail - by_R / rail
        if self.of.wired:
            (W_n, W_p), (b_n, b_p) = ((of[0] - of[1]) / twice_b for of in (of_columns, of_rows))
            return W_n, W_p, *of_bias, by_E - by_R, b_n, b_p
        of_both = of_rows.add_(of_columns)
        pos, neg = (of_both[0] - of_both[1]) / twice_b
        return pos, neg, *of_bias


def _exponentials(x: Tensor) -> Tensor:
    """exp(x) and exp(-x), [2, ...]."""
    both = x.new_empty((2, *x.shape))
    torch.exp(x, out=both[0])
    torch.reciprocal(both[0], out=both[1])
    return both


class AnyLaw:
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

    def __init__(self, of: AnyLaw, s: Tensor, bias: Tensor):
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
