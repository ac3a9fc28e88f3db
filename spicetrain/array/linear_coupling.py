"""Crossbars whose slopes are the same at all voltages: ohmic devices, by themselves or with wires. See `tangent`."""

from __future__ import annotations

from copy import copy
from functools import cached_property

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.tangent import WIDE, Gradients, Tangent, matrix_by_products, matrix_of, outer_products
from spicetrain.array.wired import WiredCrossbar
from spicetrain.rails import Rails


class _Linear(Tangent):
    """T_n, T_p, b_n, b_p [rows, columns]: slopes of what flows into the columns, and into the rows."""

    T_n: Tensor
    T_p: Tensor
    b_n: Tensor
    b_p: Tensor

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return self

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return (x_n @ self.T_n).addmm_(x_p, self.T_p)

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y @ self.b_n.T, y @ self.b_p.T

    @cached_property
    def outer(self) -> Tensor:
        return outer_products((self.T_n, self.T_p), (self.b_n, self.b_p))

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        if len(self.S) > WIDE:
            return matrix_by_products(a, b, t, (self.T_n, self.T_p), (self.b_n, self.b_p), self.S)
        return matrix_of(torch.cat([a, b, t], dim=1), self.outer, self.S)


class Ohmic(_Linear):
    """Devices that have one slope for all voltages: their conductance."""

    def __init__(self, g: Conductances, rails: Rails):
        self.T_n, self.T_p, self.rails = g.pos, g.neg, rails
        self.b_n, self.b_p = g.pos, g.neg
        self.G_n, self.G_p = g.row_sums()
        self.S, self.i_bias = g.column_sum(), g.bias_current(rails)

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        into_n = (v_col @ self.b_n.T).addcmul_(self.G_n, v_n, value=-1)
        into_p = (v_col @ self.b_p.T).addcmul_(self.G_p, v_p, value=-1)
        into_c = torch.addmm(self.i_bias, v_n, self.T_n).addmm_(v_p, self.T_p).addcmul_(self.S, v_col, value=-1)
        return into_n, into_p, into_c

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        return torch.addmm(self.i_bias, v_n, self.T_n).addmm_(v_p, self.T_p).div_(self.S)

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        return (
            _ohmic_gradient(l_n, l_c, v_n, v_col),
            _ohmic_gradient(l_p, l_c, v_p, v_col),
            (l_c * (v_col - self.rails.vdd_V)).sum(0),
            (l_c * (v_col - self.rails.vss_V)).sum(0),
        )


def _ohmic_gradient(l_row: Tensor, l_col: Tensor, v_row: Tensor, v_col: Tensor) -> Tensor:
    """Sum over samples of (l_row - l_col)(v_row - v_col) for every device, [rows, columns]."""
    crossed = l_row.T @ v_col + v_row.T @ l_col
    return (l_row * v_row).sum(0)[:, None] + (l_col * v_col).sum(0) - crossed


class Wired(_Linear):
    """Of a crossbar with wires, in the fast form of `wired`: columns are sums of row voltages, rows deliver to a mean
    of the columns. What a correction adds to the currents, Y, is in the equations but not in their slopes."""

    def __init__(self, crossbar: WiredCrossbar, rails: Rails):
        self.T_n, self.T_p, self.t_bias, self.b_n, self.b_p, self.Y = crossbar
        self.mid_V, self.half_V = rails.mid_V, rails.half_swing_V
        self.G_n, self.G_p = self.b_n.sum(1), self.b_p.sum(1)
        self.S = torch.ones_like(self.t_bias)

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        above = torch.addmm(self.t_bias, v_n - self.mid_V, self.T_n).addmm_(v_p - self.mid_V, self.T_p)
        return above.add_(self.mid_V)

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

    @property
    def adjoint(self) -> Tangent:
        other = copy(self)
        other.T_n, other.T_p, other.b_n, other.b_p = self.b_n, self.b_p, self.T_n, self.T_p
        return other

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        n, p, c = v_n - self.mid_V, v_p - self.mid_V, v_col - self.mid_V
        of_b = [(l_row * v).sum(0)[:, None] - l_row.T @ c for l_row, v in ((l_n, n), (l_p, p))]
        return -(n.T @ l_c), -(p.T @ l_c), -l_c.sum(0), *of_b, None
