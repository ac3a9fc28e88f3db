"""Columns of 1t1r cells: membranes that currents of a closed form charge; the form: spiking/cell_curves.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spicetrain.spiking.circuit import SIDES
from spicetrain.spiking.surrogates.laws import Range
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.membrane import current, steepness, toward

_POINTS = 4001  # between the rails: 0.25 mV apart where these are +-0.5 V


class Table(NamedTuple):
    """volts [points, M] of both sides and their slopes, over membranes from `low` on, `spacing` apart, in volts."""

    volts: Tensor
    slopes: Tensor
    low: float
    spacing: float

    @classmethod
    def of(cls, fitted: FittedSpikingCircuit) -> Table:
        rails, rest_V = fitted.circuit.rails, fitted.circuit.rest_V
        u = np.linspace(rails.vss_V - rest_V, rails.vdd_V - rest_V, _POINTS)
        volts, slopes = (np.concatenate(both, 1) for both in zip(*_of_sides(fitted, u), strict=True))
        return cls(fitted.tensor(volts), fitted.tensor(slopes), float(u[0]), float(u[1] - u[0]))

    def at(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(volts, slopes) [..., M] along the tangent at the nearest point."""
        nearest = ((u - self.low) / self.spacing).round().clamp(0, _POINTS - 1)
        index = nearest.long()
        slopes = self.slopes[index]
        return torch.addcmul(self.volts[index], slopes, (u - self.low - nearest * self.spacing)[..., None]), slopes


@dataclass(frozen=True)
class Exact:
    """The same without a table."""

    fitted: FittedSpikingCircuit

    def at(self, u: Tensor) -> tuple[Tensor, Tensor]:
        sides = _of_sides(self.fitted, u.detach().cpu().numpy())
        volts, slopes = (self.fitted.tensor(np.concatenate(both, -1)) for both in zip(*sides, strict=True))
        return volts, slopes


Volts = Table | Exact


def volts_of(fitted: FittedSpikingCircuit) -> Volts:
    """For training a table, which is quicker, else the form itself."""
    return Table.of(fitted) if fitted.coarse else Exact(fitted)


def _of_sides(fitted: FittedSpikingCircuit, u: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [fitted.laws.cells[side].volts(u) for side in SIDES]


def advance_cells(
    u: Tensor, shares: Tensor, volts: Volts, a: Sequence[Tensor], C: float, t: float, domain: Range | None, parts: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(u after t seconds of C du/dt = sum_m shares_m volts_m(u) + sum_k a_k u^k, the current at its end and its slope,
    A / V, which passes no gradient).

    shares  [samples, columns, M] of both sides, siemens
    a       A / V^k; beyond `domain` along the tangent
    parts   equal ones of t, one after another
    """

    def flowing(u: Tensor) -> tuple[Tensor, Tensor]:
        i, slope = _Cells.apply(u, shares, volts)
        held = u if domain is None else u.clamp(*domain)
        steep = steepness(held, a)
        return i + current(held, a) + steep * (u - held), slope + steep.detach()

    for _ in range(parts):
        u = toward(u, flowing, C, t / parts)
    return u, *flowing(u)


class _Cells(torch.autograd.Function):
    """(sum_m shares_m volts_m(u), its slope, which passes no gradient) of u [..., samples, columns]; by hand, because
    autograd's own keeps and adds up far more."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, shares: Tensor, volts: Volts) -> tuple[Tensor, Tensor]:
        at, slopes = volts.at(u)
        slope = (shares * slopes).sum(-1)
        ctx.save_for_backward(shares, at, slope)
        ctx.mark_non_differentiable(slope)
        return (shares * at).sum(-1), slope

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        up, _ = upstream
        shares, at, slope = ctx.saved_tensors
        return up * slope, (up[..., None] * at).sum_to_size(shares.shape), None
