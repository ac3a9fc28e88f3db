"""What a crossbar is to the nodes on both sides: currents, their slopes, and the gradient in its devices; in torch.

Rows n and p of every pair stand at v_n, v_p [samples, rows], the columns at v_col [samples, columns]. Newton's method
on all of them needs of the crossbar

    into_n, into_p, into_c    currents that it feeds into the nodes
    G_n, G_p, S               by how much these fall with the node's own voltage: sums of slopes over its devices
    the slopes s_n, s_p [rows, columns] of the devices themselves, in products only

Ohmic devices have one slope for all voltages: it is their conductance. Those of (g / b) sinh(b v) have

    I = (g / b) (sinh b v_row cosh b v_col - cosh b v_row sinh b v_col)
    s = g (cosh b v_row cosh b v_col - sinh b v_row sinh b v_col),

hyperbolic functions of nodes and not of devices. Any other law is evaluated device by device.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.rails import Rails

Gradients = tuple[Tensor, Tensor, Tensor, Tensor]
"""With respect to pos, neg, bias_pos, bias_neg."""


class Tangent(Protocol):
    """The slopes at one point: G_n, G_p [samples or 1, rows], S [samples or 1, columns], siemens."""

    G_n: Tensor
    G_p: Tensor
    S: Tensor

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        """s_n' x_n + s_p' x_p, [samples, columns], of [samples, rows]."""

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(s_n y, s_p y), [samples, rows], of [samples, columns]."""

    def matrix(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """S - s_n' a s_n - s_p' b s_p - s_p' t s_n, [samples, columns, columns], of [samples, rows] on diagonals."""


class Coupling(Protocol):
    """A crossbar between its rows and its columns."""

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(into_n, into_p, into_c), amperes."""

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent: ...

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        """Of -(l_n into_n + l_p into_p + l_c into_c), summed over samples."""


def coupling(g: Conductances, rails: Rails, device: Device | None) -> Coupling:
    """Of devices `device` (None: ohmic) with conductances `g`."""
    if device is None or device.sinh_per_V == 0:
        return _Ohmic(g, rails)
    return _Sinh(g, rails, device) if device.sinh_per_V else _Any(g, rails, device)


class _Ohmic:
    def __init__(self, g: Conductances, rails: Rails):
        self.g_n, self.g_p, self.rails = g.pos, g.neg, rails
        self.G_n, self.G_p = g.row_sums()
        self.S, self.i_bias = g.column_sum(), g.bias_current(rails)
        rows, columns = g.pos.shape
        # The matrix is linear in a, b, t: one product with these tables assembles it for all samples.
        pairs = [(g.pos, g.pos), (g.neg, g.neg), (g.neg, g.pos)]
        self.outer = torch.cat([(x[:, :, None] * y[:, None, :]).view(rows, columns * columns) for x, y in pairs])

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        into_n = (v_col @ self.g_n.T).addcmul_(self.G_n, v_n, value=-1)
        into_p = (v_col @ self.g_p.T).addcmul_(self.G_p, v_p, value=-1)
        into_c = torch.addmm(self.i_bias, v_n, self.g_n).addmm_(v_p, self.g_p).addcmul_(self.S, v_col, value=-1)
        return into_n, into_p, into_c

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return self

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return (x_n @ self.g_n).addmm_(x_p, self.g_p)

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y @ self.g_n.T, y @ self.g_p.T

    def matrix(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        columns = len(self.S)
        A = (torch.cat([a, b, t], dim=1) @ self.outer).neg_().view(-1, columns, columns)
        A.diagonal(dim1=1, dim2=2).add_(self.S)
        return A

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


class _Slopes:
    """A tangent of devices whose slopes differ from sample to sample: s [samples, 2 rows, columns], n before p; bias
    [samples, columns]."""

    def __init__(self, s: Tensor, bias: Tensor):
        self.s, self.rows = s, s.shape[1] // 2
        G = s.sum(2)
        self.G_n, self.G_p, self.S = G[:, : self.rows], G[:, self.rows :], s.sum(1) + bias

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return (torch.cat((x_n, x_p), 1)[:, None] @ self.s)[:, 0]

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        along = (self.s @ y[:, :, None])[:, :, 0]
        return along[:, : self.rows], along[:, self.rows :]

    def matrix(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        s_n, s_p = self.s[:, : self.rows], self.s[:, self.rows :]
        left = torch.cat((torch.addcmul(a[:, :, None] * s_n, t[:, :, None], s_p), b[:, :, None] * s_p), 1)
        A = torch.bmm(left.mT, self.s).neg_()
        A.diagonal(dim1=1, dim2=2).add_(self.S)
        return A


class _Bending:
    """What all devices that bend have in common: both sides as one, 2 rows, n before p; bias rows apart."""

    def __init__(self, g: Conductances, rails: Rails, device: Device):
        self.g, self.rails, self.device = torch.cat((g.pos, g.neg)), rails, device
        self.bias = (g.bias_pos, rails.vdd_V), (g.bias_neg, rails.vss_V)

    def bias_current(self, v_col: Tensor) -> Tensor:
        (pos, high), (neg, low) = self.bias
        into: Tensor = self.device.current(pos, high - v_col) + self.device.current(neg, low - v_col)
        return into

    def bias_slope(self, v_col: Tensor) -> Tensor:
        (pos, high), (neg, low) = self.bias
        slope: Tensor = self.device.slope(pos, high - v_col) + self.device.slope(neg, low - v_col)
        return slope

    def bias_gradients(self, l_c: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor]:
        pos, neg = (-(l_c * self.device.per_siemens(g, v - v_col)).sum(0) for g, v in self.bias)
        return pos, neg


class _Sinh(_Bending):
    def __init__(self, g: Conductances, rails: Rails, device: Device):
        super().__init__(g, rails, device)
        assert device.sinh_per_V
        self.b_per_V = device.sinh_per_V

    def _of_nodes(self, *voltages: Tensor) -> tuple[Tensor, Tensor]:
        """(sinh, cosh) of b v, counted from mid-rail."""
        x = torch.cat(voltages, 1).sub_(self.rails.mid_V).mul_(self.b_per_V)
        return x.sinh(), x.cosh_()

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sh, ch = self._of_nodes(v_n, v_p)
        sh_c, ch_c = self._of_nodes(v_col)
        into_rows = (ch * (sh_c @ self.g.T)).sub_(sh * (ch_c @ self.g.T)).div_(self.b_per_V)
        into_c = (ch_c * (sh @ self.g)).sub_(sh_c * (ch @ self.g)).div_(self.b_per_V).add_(self.bias_current(v_col))
        into_n, into_p = into_rows.tensor_split(2, 1)
        return into_n, into_p, into_c

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        (sh, ch), (sh_c, ch_c) = self._of_nodes(v_n, v_p), self._of_nodes(v_col)
        s = (ch[:, :, None] * ch_c[:, None]).addcmul_(sh[:, :, None], sh_c[:, None], value=-1).mul_(self.g)
        return _Slopes(s, self.bias_slope(v_col))

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        (sh, ch), (sh_c, ch_c), l_row = self._of_nodes(v_n, v_p), self._of_nodes(v_col), torch.cat((l_n, l_p), 1)
        of_rows = (l_row * sh).T @ ch_c - (l_row * ch).T @ sh_c
        of_columns = sh.T @ (l_c * ch_c) - ch.T @ (l_c * sh_c)
        pos, neg = ((of_rows - of_columns) / self.b_per_V).tensor_split(2)
        return pos, neg, *self.bias_gradients(l_c, v_col)


class _Any(_Bending):
    def _across(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tensor:
        return torch.cat((v_n, v_p), 1)[:, :, None] - v_col[:, None]

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        i = self.device.current(self.g, self._across(v_n, v_p, v_col))
        into_n, into_p = (-i.sum(2)).tensor_split(2, 1)
        return into_n, into_p, i.sum(1) + self.bias_current(v_col)

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        return _Slopes(self.device.slope(self.g, self._across(v_n, v_p, v_col)), self.bias_slope(v_col))

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        per_siemens = self.device.per_siemens(self.g, self._across(v_n, v_p, v_col))
        l_across = torch.cat((l_n, l_p), 1)[:, :, None] - l_c[:, None]
        pos, neg = (l_across * per_siemens).sum(0).tensor_split(2)
        return pos, neg, *self.bias_gradients(l_c, v_col)
