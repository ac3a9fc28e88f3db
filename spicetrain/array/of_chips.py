"""Crossbars of many chips at once, each with its own ohmic devices: samples are chips x images, chip by chip."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.tangent import Gradients, Tangent, outer_products
from spicetrain.rails import Rails


class ChipConductances(Conductances):
    """The same crossbar of several chips in siemens: pos, neg [chips, rows, columns]; bias_pos, bias_neg [chips,
    columns]."""

    @classmethod
    def of_chips(cls, crossbars: Sequence[Crossbar], dtype: torch.dtype, device: torch.device) -> ChipConductances:
        each = [Conductances.of(crossbar, dtype) for crossbar in crossbars]
        return cls(*(torch.stack(values).to(device) for values in zip(*each, strict=True)))

    def open_columns(self, signal: Tensor, rails: Rails) -> Tensor:
        """Column voltages [chips * images, columns], of every chip for the same signal [images, rows]."""
        bias = rails.half_swing_V * (self.bias_pos - self.bias_neg)
        driven = signal @ (self.pos - self.neg) + bias[:, None]
        return rails.mid_V + (driven / self.column_sum()[:, None]).flatten(0, 1)


class OhmicOfChips(Tangent):
    """What `Ohmic` is of one crossbar."""

    def __init__(self, g: ChipConductances, rails: Rails):
        self.g_n, self.g_p, self.rails = g.pos, g.neg, rails
        self.G_n, self.G_p = g.row_sums()
        self.S, self.i_bias = g.column_sum(), g.bias_current(rails)
        self.outer = outer_products((g.pos, g.neg), (g.pos, g.neg))

    def _by_chip(self, of_samples: Tensor) -> Tensor:
        """[chips, images, ...]"""
        return of_samples.unflatten(0, (len(self.g_n), -1))

    def _through(self, x: Tensor, g: Tensor) -> Tensor:
        return (self._by_chip(x) @ g).flatten(0, 1)

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        into = self._by_chip(self.to_columns(v_n, v_p)) + self.i_bias[:, None]
        return (into / self.S[:, None]).flatten(0, 1)

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent:
        """With sums of every sample's chip."""
        found, images = copy(self), len(v_n) // len(self.g_n)
        sums = (self.G_n, self.G_p, self.S, self.i_bias)
        found.G_n, found.G_p, found.S, found.i_bias = (each.repeat_interleave(images, 0) for each in sums)
        return found

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        into_n, into_p = self.to_rows(v_col)
        into_c = self.to_columns(v_n, v_p).add_(self.i_bias).addcmul_(self.S, v_col, value=-1)
        return into_n.addcmul_(self.G_n, v_n, value=-1), into_p.addcmul_(self.G_p, v_p, value=-1), into_c

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        return self._through(x_n, self.g_n).add_(self._through(x_p, self.g_p))

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return self._through(y, self.g_n.mT), self._through(y, self.g_p.mT)

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        columns = self.g_n.shape[2]
        A = self._through(torch.cat([a, b, t], dim=1), self.outer).neg_().view(-1, columns, columns)
        A.diagonal(dim1=1, dim2=2).add_(self.S)
        return A

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        l_col, col = self._by_chip(l_c), self._by_chip(v_col)

        def of(l_of: Tensor, v_of: Tensor) -> Tensor:
            l_row, row = self._by_chip(l_of), self._by_chip(v_of)
            crossed = l_row.mT @ col + row.mT @ l_col
            return (l_row * row).sum(1)[:, :, None] + (l_col * col).sum(1)[:, None] - crossed

        high, low = ((l_col * (col - rail)).sum(1) for rail in (self.rails.vdd_V, self.rails.vss_V))
        return of(l_n, v_n), of(l_p, v_p), high, low
