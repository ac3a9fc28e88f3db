"""A crossbar in torch, differentiable in its conductances: the same laws as `Crossbar`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.sent import sent
from spicetrain.array.variation import ArrayStatistics, disturbed
from spicetrain.rails import Rails


class Conductances(NamedTuple):
    """One crossbar in siemens, as in Crossbar: pos, neg [rows, columns]; bias_pos, bias_neg [columns]."""

    pos: Tensor
    neg: Tensor
    bias_pos: Tensor
    bias_neg: Tensor

    def column_sum(self) -> Tensor:
        """All conductances of a column, [columns], siemens."""
        return self.pos.sum(-2) + self.neg.sum(-2) + self.bias_pos + self.bias_neg

    def row_sums(self) -> tuple[Tensor, Tensor]:
        """All conductances of every positive and of every negative row, [rows] each, siemens."""
        return self.pos.sum(-1), self.neg.sum(-1)

    def in_order(self, pairs: Tensor) -> Conductances:
        """The row pairs in another order, [rows]."""
        return self._replace(pos=self.pos[pairs], neg=self.neg[pairs])

    def bias_current(self, rails: Rails) -> Tensor:
        """Current of the two bias rows into a column held at 0 V, [columns], amperes."""
        return self.bias_pos * rails.vdd_V + self.bias_neg * rails.vss_V

    def bias_currents_into(self, v_col: Tensor, rails: Rails, device: Device) -> tuple[Tensor, Tensor]:
        """Currents of the upper and of the lower rail into all columns at v_col [samples, columns]: [samples], A."""
        if device.sinh_per_V == 0:
            return (rails.vdd_V - v_col) @ self.bias_pos, (rails.vss_V - v_col) @ self.bias_neg
        into_pos = device.current(self.bias_pos, rails.vdd_V - v_col)
        return into_pos.sum(1), device.current(self.bias_neg, rails.vss_V - v_col).sum(1)

    def open_columns(self, signal: Tensor, rails: Rails) -> Tensor:
        """Column voltages [samples, columns], ideal sources holding the pairs at mid-rail +- signal [samples, rows]."""
        found: Tensor = _OpenColumns.apply(signal, *self, rails.half_swing_V)
        return found + rails.mid_V

    def column_voltages(self, v_n: Tensor, v_p: Tensor, rails: Rails) -> Tensor:
        """Column voltages [samples, columns] when the rows are held at v_n, v_p [samples, rows], volts."""
        return (v_n @ self.pos + v_p @ self.neg + self.bias_current(rails)) / self.column_sum()

    def pair_currents(self, up_V: float, down_V: float) -> tuple[Tensor, Tensor]:
        """Of an active row pair, its positive row `up_V` and its negative row `down_V` above the columns: the current
        into every column, ([rows, columns], the bias pair's [columns]), amperes."""
        return up_V * self.pos + down_V * self.neg, up_V * self.bias_pos + down_V * self.bias_neg

    @classmethod
    def of(cls, crossbar: Crossbar, dtype: torch.dtype, device: torch.device | str = "cpu") -> Conductances:
        values = (crossbar.pos, crossbar.neg, crossbar.bias_pos, crossbar.bias_neg)
        return cls(*(torch.as_tensor(value, dtype=dtype, device=device) for value in values))


class _OpenColumns(torch.autograd.Function):
    """From mid-rail. Its own gradient: a first crossbar is large, and every pass over it counts."""

    @staticmethod
    def forward(
        ctx: Any, signal: Tensor, pos: Tensor, neg: Tensor, bias_pos: Tensor, bias_neg: Tensor, half_V: float
    ) -> Tensor:
        S = Conductances(pos, neg, bias_pos, bias_neg).column_sum()
        v = torch.addmm(half_V * (bias_pos - bias_neg), signal, pos - neg).div_(S)
        ctx.save_for_backward(signal, pos, neg, S, v)
        ctx.half_V = half_V
        return v

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        signal, pos, neg, S, v = ctx.saved_tensors
        up = up / S
        of_sum, of_bias = -(up * v).sum(0), up.sum(0).mul_(ctx.half_V)
        of_difference = signal.T @ up
        of_pos = of_sum + of_difference
        of_neg = torch.sub(of_sum, of_difference, out=of_difference)
        of_signal = up @ (pos - neg).T if ctx.needs_input_grad[0] else None
        return of_signal, of_pos, of_neg, of_sum + of_bias, of_sum - of_bias, None


def drawn(g: Tensor, device: Device, statistics: ArrayStatistics, random: torch.Generator) -> Tensor:
    """Devices that were to be `g`, siemens, any shape, as they are on a chip that is drawn now; differentiable in `g`.
    Random numbers come from the CPU, wherever `g` is."""
    if not statistics:
        return g
    found: Tensor = disturbed(
        g, statistics, device.g_min_S, device.g_max_S,
        lambda source: sent(torch.randn(g.shape, generator=random, dtype=g.dtype), g),
        lambda source: sent(torch.rand(g.shape, generator=random, dtype=g.dtype), g),
    )  # fmt: skip
    return found
