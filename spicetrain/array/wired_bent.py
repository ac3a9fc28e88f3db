"""A crossbar with its wires, of devices of (g / b) sinh(b v), for the trainer: the fast form of `wired`, bent.

What wires do to a column depends on the slopes that its devices have, which are every sample's own. Here they are the
devices' mean over the samples, s of a row: the linear fast form of g s gives the share T that a row has in a column;

    sum_i W_ij sinh b(v_i - v_col_j) / b - leak_j sinh(b v_col_j) / b = 0       W = T / s,   leak = 1 - sum_i T_ij

is where it floats, and sum_j b_ij sinh b(v_i - v_col_j) / b what row i delivers, b = g (1 - delta). Of b = 0 it is
`wired`. Exact is `bent_mesh`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from spicetrain.array.columns import twice_hyperbolic
from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.wired import fast_form, of_pairs, row_wires_of
from spicetrain.array.wires import Segments
from spicetrain.rails import Rails


class BentCrossbar(NamedTuple):
    """What counts to a column: W_n, W_p [rows, columns], of the bias rows W_high, W_low and to mid-rail leak [columns];
    to a row: b_n, b_p [rows, columns] siemens."""

    W_n: Tensor
    W_p: Tensor
    W_high: Tensor
    W_low: Tensor
    leak: Tensor
    b_n: Tensor
    b_p: Tensor

    @property
    def W(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.W_n, self.W_p, self.W_high, self.W_low


@torch.no_grad()
def mean_slopes(v_n: Tensor, v_p: Tensor, rails: Rails, device: Device) -> Tensor:
    """Per siemens, of devices between rows at v_n, v_p [samples, rows] and columns at mid-rail: [row wires]."""
    rows = torch.stack((v_n, v_p), 2).flatten(1) - rails.mid_V
    bias = rows.new_tensor([rails.half_swing_V, -rails.half_swing_V])
    means = [device.slope(torch.ones_like(v), v).mean(0) for v in (rows, bias[None])]
    return torch.cat(means)


def wired_bent(g: Conductances, segments: Segments, slopes: Tensor) -> BentCrossbar:
    """Differentiable in g; slopes [row wires] as of `mean_slopes`."""
    T, b, *_ = fast_form(row_wires_of(g) * slopes[:, None], segments)
    b_n, b_p, *_ = of_pairs(b / slopes[:, None])
    return BentCrossbar(*of_pairs(T / slopes[:, None]), 1 - T.sum(0), b_n, b_p)


def driven_bent_columns(crossbar: BentCrossbar, signal: Tensor, rails: Rails, b_per_V: float) -> Tensor:
    """Column voltages [samples, columns], ideal sources driving the pairs at mid-rail +- signal [samples, rows]."""
    W, x = crossbar, b_per_V * rails.half_swing_V
    sinh, cosh = twice_hyperbolic(b_per_V * signal)
    A = torch.addmm(2 * math.sinh(x) * (W.W_high - W.W_low), sinh, W.W_n - W.W_p)
    B = torch.addmm(2 * math.cosh(x) * (W.W_high + W.W_low) + 2 * W.leak, cosh, W.W_n + W.W_p)
    return rails.mid_V + torch.atanh(A / B) / b_per_V
