"""Membranes that pull on each other through the rows of their array, in time.

With a_k what flows into a membrane whatever the others do, and R what couples them,

    C du_j/dt = sum_k a_kj u_j^k + R_j(u)

R is small beside the rest. It is taken as a parabola in time through its values at the start, in the middle and at the
end of a phase: predicted with R of the start, then corrected.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spicetrain.spiking.surrogates.laws import Range
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.columns import Fired, Reset, added, leaving
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.latch import late_V
from spicetrain.spiking.training.membrane import advance, current, steepness
from spicetrain.spiking.training.phases import Phases
from spicetrain.surrogates.extrapolation import NONE, Extrapolation

# Of a stretch that one parabola covers, in time constants of the fastest membrane; in training and otherwise.
COARSE_STRETCH, STRETCH = 4.0, 2.0
_LEAST_V = 1e-9
_SERIES, _SERIES_TERMS = 0.05, 9  # up to where; to the last digit of float64

Coupling = Callable[[Tensor], Tensor]


class CoupledColumns(ABC):
    """The columns of one layer, with their neurons; the same interface as columns.Columns.

    pull     [steps, samples, columns] amperes into membranes at rest while the rows spike, and at_rest [columns] while
             none does; R without what is in them
    own_S    [columns] siemens: of a column's own, to its rows
    C        of a membrane with all that hangs on it
    """

    def __init__(
        self,
        pull: Tensor,
        at_rest: Tensor,
        own_S: Tensor,
        C: float,
        layer: int,
        fitted: FittedSpikingCircuit,
        deviation: Deviation | None,
        charge: NeuronCharge | None,
        extrapolation: Extrapolation = NONE,
    ) -> None:
        self.phases, self.C, self.charge = Phases.of(fitted.circuit, fitted.laws), C, charge
        self.fitted = fitted
        self.extrapolation = extrapolation
        leak = leaving(layer, fitted, deviation)
        self.fastest_S, self.corrections = float(own_S.detach().max()), 1 if fitted.coarse else 2
        self.longest = COARSE_STRETCH if fitted.coarse else STRETCH
        self.domain = self.reached = fitted.domain("leak")
        self.silent_rows = added([at_rest, -own_S], leak)
        self.reset = Reset([at_rest, -own_S], layer, C, fitted)
        self.rate_per_s = float(own_S.detach().mean()) / C
        self.pull = (pull + leak[0]).unbind()

    @abstractmethod
    def driven(self, step: int) -> Coupling:
        """R while the rows are driven as the spikes of a step say, u [..., columns]."""

    @abstractmethod
    def silent(self) -> Coupling:
        """R while all rows are silent."""

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(u at the latch, its slope there in V/s, and by how much beyond its threshold a neuron trips, V, nearly)."""
        a = [self.pull[step], *self.silent_rows[1:]]
        u, slope = self._advanced(u, a, self.driven(step), self.phases.driven_s)
        return u, slope, late_V(slope, steepness(u, a) / self.C, self.fitted)

    def rest(self, u: Tensor, fired: Tensor, step: int) -> Tensor:
        """u after the rest phase; `fired` [samples, columns], 0 or 1."""
        firing, pull = Fired.of(u, fired), self.silent()
        if not len(firing.u):  # of an integrator always
            return self._advanced(u, self.silent_rows, pull, self.phases.rest_s)[0]
        trajectory = self._trajectory(firing)
        # Neurons in reset fall much faster than the others move: they pull with a mean of their trajectory.
        mean, resetting = u.detach().index_put(firing.where, self._remembered(trajectory)), fired.bool()

        def coupling(u: Tensor) -> Tensor:
            return pull(torch.where(resetting, mean, u))

        settled, _ = self._advanced(u, self.silent_rows, coupling, self.phases.rest_s)
        with torch.no_grad():
            between = torch.lerp(u, settled, self._middles(u, len(trajectory))[:, None, None])
            between[:, *firing.where] = trajectory
            onto = pull(between)[:, *firing.where]
        return settled.index_put(firing.where, self.reset.after(firing, onto))

    def _trajectory(self, firing: Fired) -> Tensor:
        """[parts, fired]: logarithmic means of neurons that nothing pulls, in equal parts of their reset."""
        path = torch.stack(self.reset.path(firing)).clamp_min(_LEAST_V)
        start, stop = path[:-1], path[1:]
        ratio = torch.log(start / stop)
        return torch.where(ratio.abs() < 1e-3, (start + stop) / 2, (start - stop) / ratio)

    def _remembered(self, trajectory: Tensor) -> Tensor:
        """The mean of a trajectory, weighted with what the other membranes still remember of it at its end."""
        weight = torch.exp(self.rate_per_s * self.phases.reset_s * (self._middles(trajectory, len(trajectory)) - 1))
        return weight @ trajectory / weight.sum()

    @staticmethod
    def _middles(like: Tensor, spans: int) -> Tensor:
        """Of equal spans of 0..1."""
        return (torch.arange(spans, dtype=like.dtype, device=like.device) + 0.5) / spans

    def _advanced(self, u: Tensor, a: Sequence[Tensor], coupling: Coupling, t: float) -> tuple[Tensor, Tensor]:
        """(u after t seconds of C du/dt = sum_k a_k u^k + R(u), its slope there, nearly)."""
        stretches = max(1, math.ceil(self.fastest_S * t / self.C / self.longest))
        end = u
        for _ in range(stretches):
            end, coupled = _stretch(end, a, coupling, self.C, t / stretches, self.corrections, self.domain)
        slope = (current(end, a) + coupled) / self.C
        return (end if self.charge is None else self.charge.corrected(u, end, slope, self.C, t)), slope


def _stretch(
    u: Tensor,
    a: Sequence[Tensor],
    coupling: Coupling,
    C: float,
    t: float,
    corrections: int,
    domain: Range | None,
) -> tuple[Tensor, Tensor]:
    before = coupling(u)
    held = [a[0] + before, *a[1:]]
    ends = predicted = [advance(u, held, C, share * t, domain) for share in (0.5, 1.0)]
    z = -a[1] * (t / C)
    weights = [(share, *_weights(share * z)) for share in (0.5, 1.0)]
    for _ in range(corrections):
        middle, end = coupling(torch.stack(ends)).unbind()
        linear, square = 4 * middle - end - 3 * before, 2 * (end + before) - 4 * middle
        ends = [
            start + (share**2 * t / C) * (first * linear + (share * second) * square)
            for start, (share, first, second) in zip(predicted, weights, strict=True)
        ]
    return ends[1], end


def _weights(z: Tensor) -> tuple[Tensor, Tensor]:
    """The integrals over s = 0..1 of exp(-z (1 - s)) times s and times s^2.

    Where z is small the closed forms lose all their digits (the second one of float32 at 1e-3); there it is the series
    2 sum_k (-z)^k / (k + 3)!, and the first follows from the second.
    """
    small = z.detach().abs() < _SERIES
    if not small.any():
        return _weights_in_closed_form(z)
    near, far = torch.where(small, z, 0), torch.where(small, 1, z)  # no gradient of 0 / 0
    series = torch.ones_like(near)
    for k in range(_SERIES_TERMS + 3, 3, -1):
        series = 1 - near / k * series
    closed = _weights_in_closed_form(far)
    return torch.where(small, (1 - near * series / 3) / 2, closed[0]), torch.where(small, series / 3, closed[1])


def _weights_in_closed_form(z: Tensor) -> tuple[Tensor, Tensor]:
    first = (1 + torch.expm1(-z) / z) / z
    return first, (1 - 2 * first) / z
