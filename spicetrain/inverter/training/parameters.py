"""Crossbars while they are trained: tensors of conductances, and the parameters behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.inverter.network import Encoding
from spicetrain.rails import Rails


def row_signal(inputs: Tensor, encoding: Encoding, rails: Rails) -> Tensor:
    """Deviation from mid-rail of the positive row of each pair, volts, for inputs in 0..1; see network.encode."""
    swing = rails.half_swing_V
    return inputs * swing if encoding == "unipolar" else inputs * (2 * swing) - swing


# Most devices start near g_min: a column's signal is a mean over its rows, and high conductances everywhere drown it.
# From the second crossbar on they are also a load, so they start lower still. A column of few rows would then be so
# weak that the leakage of the gates it drives shows (4 rows: 40 uV at the outputs): it starts higher.
INITIAL_MEAN, INITIAL_MEAN_OF_LOADS, INITIAL_MEAN_OF_FEW, INITIAL_SPREAD = -5.0, -6.0, -3.0, 1.5
FEW_ROWS = 32


class CrossbarParameters(nn.Module):
    """A crossbar's trainables: one real number a device, through a logistic to the device's range.

    absolute  g = g_min + (g_max - g_min) sigmoid(theta): what a load-aware method trains
    ratios    theta_hat = 1 + K sigmoid(theta) with K = g_max / g_min - 1, and the column then scaled so that its
              smallest conductance is g_min (PHAX, IEEE TCAD 2018): a column's voltage knows only ratios

    loads     inverters drive it: from the second crossbar on
    bias_pairs  a bias conductance is that of so many equal devices
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        memristor: Device,
        *,
        ratios: bool,
        generator: torch.Generator | None,
        loads: bool = False,
        bias_pairs: int = 1,
    ):
        super().__init__()
        self.devices = (1, 1, bias_pairs, bias_pairs)  # of a conductance of pos, neg, bias_pos, bias_neg
        self.g_min_S, self.g_max_S, self.ratios = memristor.g_min_S, memristor.g_max_S, ratios

        mean = INITIAL_MEAN_OF_FEW if rows < FEW_ROWS else INITIAL_MEAN_OF_LOADS if loads else INITIAL_MEAN

        def initial(*shape: int) -> nn.Parameter:
            return nn.Parameter(mean + INITIAL_SPREAD * torch.randn(*shape, generator=generator))

        self.pos, self.neg = initial(rows, columns), initial(rows, columns)
        self.bias_pos, self.bias_neg = initial(columns), initial(columns)

    def forward(self) -> Conductances:
        span = self.g_max_S - self.g_min_S
        g = Conductances(*(_Logistic.apply(theta, self.g_min_S, span) for theta in self._thetas()))
        if self.ratios:
            rows = torch.cat([g.pos, g.neg, g.bias_pos[None], g.bias_neg[None]])
            scale = self.g_min_S / rows.amin(0)
            g = Conductances(*(value * scale for value in g))
        return Conductances(*(value * n if n > 1 else value for value, n in zip(g, self.devices, strict=True)))

    @torch.no_grad()
    def assign(self, crossbar: Crossbar) -> None:
        """Start from given conductances; those at the ends of the range move in by a ten-thousandth of it."""
        wanted = Conductances.of(crossbar, torch.float64)
        for theta, g, n in zip(self._thetas(), wanted, self.devices, strict=True):
            share = (g / n - self.g_min_S) / (self.g_max_S - self.g_min_S)
            theta.copy_(torch.logit(share.clamp(1e-4, 1 - 1e-4)))

    @torch.no_grad()
    def crossbar(self) -> Crossbar:
        """The conductances as they are programmed, float64, inside the device's range to the last digit."""
        values = zip((value.double().cpu().numpy() for value in self()), self.devices, strict=True)
        return Crossbar(*(np.clip(value, n * self.g_min_S, n * self.g_max_S) for value, n in values))

    def _thetas(self) -> tuple[nn.Parameter, ...]:
        return self.pos, self.neg, self.bias_pos, self.bias_neg


class _Logistic(torch.autograd.Function):
    """low + span sigmoid(theta), in as few passes over memory as can be."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, low: float, span: float) -> Tensor:
        share = torch.sigmoid(theta)
        ctx.save_for_backward(share)
        ctx.span = span
        return (share * span).add_(low)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None, None]:
        (share,) = ctx.saved_tensors
        return torch.ops.aten.sigmoid_backward(up, share).mul_(ctx.span), None, None
