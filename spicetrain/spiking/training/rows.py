"""Columns whose rows are driven by transistors, and pull on them: rows and membranes together.

A row has no capacitor of its own that counts, so at every moment (y, u: voltages from rest; h: pull of the columns)

    driver_current(state, y_i) = G_i y_i - h_i,   h_i = sum_j g_ij u_j,   G_i = sum_j g_ij

which eliminates it: y_i = y_i(h_i) depends on its state (spiking or silent), and on samples through h_i alone, so it is
solved once a row and state, at h = 0, by Newton, and continued in h by its derivatives, which follow from those of the
driver's current. The gradient is that of one more Newton step with the Jacobian held constant, as in the stage solver
(training/stage.py): the implicit function's. The membranes then obey

    C du_j/dt = sum_i g_ij y_i(h_i) - S_j u_j - leak(u_j)

where only sum_i g_ij (y_i(h_i) - y_i(0)) =: R_j(u) couples them. It is taken as a parabola in time through its values
at the start, in the middle and at the end of a phase: predicted with R of the start, then corrected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import SIDES, Side
from spicetrain.spiking.surrogates.laws import Range
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.columns import Fired, Reset, added, leaving, product
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.membrane import advance, current
from spicetrain.spiking.training.phases import Phases
from spicetrain.surrogates.extrapolation import Extrapolation, outside

# Of a stretch that one parabola covers, in time constants of the fastest membrane; in training and otherwise.
COARSE_STRETCH, STRETCH = 4.0, 2.0
_NEWTON_STEPS, _CONVERGED_V = 30, 1e-13
_LEAST_V = 1e-9
_SERIES, _SERIES_TERMS = 0.05, 9  # up to where; to the last digit of float64

Coupling = Callable[[Tensor], Tensor]


class DrivenColumns:
    """The columns of one layer, with their rows and their neurons; the same interface as columns.Columns."""

    def __init__(
        self,
        spikes: Tensor,
        g: Conductances,
        layer: int,
        fitted: FittedSpikingCircuit,
        deviation: Deviation | None = None,
        charge: NeuronCharge | None = None,
    ) -> None:
        self.phases, self.C, self.charge = Phases.of(fitted.circuit, fitted.laws), fitted.capacitance_F(layer), charge
        # Excitatory rows and their bias row, then inhibitory ones and theirs.
        self.g = torch.cat([g.pos, g.bias_pos[None], g.neg, g.bias_neg[None]])
        (silent, below), (spiking, above) = (_rows(self.g, fitted, state) for state in (False, True))
        self.extrapolation = below + above
        self.silent, self.change = silent, [b - a for a, b in zip(silent, spiking, strict=True)]
        active = torch.cat([spikes, torch.ones_like(spikes[..., :1])], 2)
        active = torch.cat([active, active], 2)
        at_rest, S = silent[0] @ self.g, self.g.sum(0)
        leak = leaving(layer, fitted, deviation)
        pull = product(active, self.change[0][:, None] * self.g, at_rest)
        self.fastest_S, self.corrections = float(S.detach().max()), 1 if fitted.coarse else 2
        self.longest = COARSE_STRETCH if fitted.coarse else STRETCH
        self.domain = self.reached = fitted.domain("leak")
        self.silent_rows = added([at_rest, -S], leak)
        self.reset = Reset([at_rest, -S], layer, self.C, self.phases.reset_s, fitted)
        self.rate_per_s = float(S.detach().mean()) / self.C
        self.active, self.pull = active.unbind(), (pull + leak[0]).unbind()

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(u at the latch, its slope there in V/s)."""
        active = self.active[step]
        response = [torch.addcmul(a, active, b) for a, b in zip(self.silent[1:], self.change[1:], strict=True)]
        a = [self.pull[step], *self.silent_rows[1:]]
        return self._advanced(u, a, self._coupling(response), self.phases.driven_s)

    def rest(self, u: Tensor, fired: Tensor, step: int) -> Tensor:
        """u after the rest phase, without what the reset gate injects; `fired` [samples, columns], 0 or 1."""
        firing, pull = Fired.of(u, fired), self._coupling(self.silent[1:])
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
        return settled.index_put(firing.where, self.reset.path(firing, onto)[-1])

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

    def _coupling(self, response: Sequence[Tensor]) -> Coupling:
        """R(u); response: per power of h from the first on."""

        def coupling(u: Tensor) -> Tensor:
            coupled: Tensor = _Coupling.apply(u, self.g, *response)
            return coupled

        return coupling

    def _advanced(self, u: Tensor, a: Sequence[Tensor], coupling: Coupling, t: float) -> tuple[Tensor, Tensor]:
        """(u after t seconds of C du/dt = sum_k a_k u^k + R(u), its slope there, nearly)."""
        stretches = max(1, math.ceil(self.fastest_S * t / self.C / self.longest))
        end = u
        for _ in range(stretches):
            end, coupled = _stretch(end, a, coupling, self.C, t / stretches, self.corrections, self.domain)
        slope = (current(end, a) + coupled) / self.C
        return (end if self.charge is None else self.charge.corrected(u, end, slope, self.C, t)), slope


class _Coupling(torch.autograd.Function):
    """R(u) = sum_i g_i y(h_i), y = h (a_1 + h (a_2 + h a_3)), h = g u; [..., columns] and amperes. By hand, because
    autograd's own takes twice as long."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, g: Tensor, a1: Tensor, a2: Tensor, a3: Tensor) -> Tensor:
        h = u @ g.T
        y = torch.addcmul(a1, torch.addcmul(a2, a3, h), h).mul_(h)
        ctx.save_for_backward(u, g, a1, a2, a3, h, y)
        return _narrow(y, g)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, ...]:
        (up,) = upstream
        u, g, a1, a2, a3, h, y = ctx.saved_tensors
        on_y = up @ g.T
        on_h = torch.addcmul(a2, a3, h, value=1.5).mul_(h).mul_(2).add_(a1).mul_(on_y)
        on_g = _outer(up, y) + _outer(u, on_h)
        on_a1 = on_y.mul_(h)
        on_a2 = on_a1 * h
        on_a = (value.sum_to_size(a1.shape) for value in (on_a1, on_a2, on_a2 * h))
        return _narrow(on_h, g), on_g, *on_a


def _narrow(y: Tensor, g: Tensor) -> Tensor:
    """y @ g; this way round four times as fast, g having few columns."""
    return (g.T @ y.flatten(0, -2).T).T.reshape(*y.shape[:-1], -1)


def _outer(few: Tensor, many: Tensor) -> Tensor:
    """Sum over samples of many_i few_j, likewise."""
    return (few.flatten(0, -2).T @ many.flatten(0, -2)).T


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


def _rows(g: Tensor, fitted: FittedSpikingCircuit, spiking: bool) -> tuple[list[Tensor], Extrapolation]:
    """Taylor coefficients of y(h) of every row in one state, [rows] each: V, V/A, V/A^2, V/A^3; and where the drivers'
    currents were asked outside their domain."""
    G, half = g.sum(1).double(), len(g) // 2
    parts = [_sides_rows(part, fitted, SIDES[index], spiking) for index, part in enumerate((G[:half], G[half:]))]
    (excitatory, below), (inhibitory, above) = parts
    pairs = zip(excitatory, inhibitory, strict=True)
    return [torch.cat(pair).to(fitted.dtype) for pair in pairs], below + above


def _sides_rows(
    G: Tensor, fitted: FittedSpikingCircuit, side: Side, spiking: bool
) -> tuple[list[Tensor], Extrapolation]:
    driver, rest_V = fitted.laws.drivers[side, spiking], fitted.circuit.rest_V
    level = driver.level_V - rest_V
    low, high = (end - rest_V for end in driver.domain_V)
    powers = (np.polynomial.polynomial.polyder(driver.current, order) for order in range(4))
    derivatives = [torch.as_tensor(of_order, device=G.device).unbind() for of_order in powers]

    def supplied(y: Tensor, derivative: int) -> Tensor:
        """Of the driver; beyond its domain along the tangent."""
        held = y.clamp(low, high)
        value = current(held - level, derivatives[derivative])
        if derivative > 1:
            return value * (held == y)
        return value if derivative == 1 else value + current(held - level, derivatives[1]) * (y - held)

    y = torch.full_like(G, level)
    with torch.no_grad():
        for _ in range(_NEWTON_STEPS):
            step = (supplied(y, 0) - G * y) / (supplied(y, 1) - G)
            y = y - step
            if float(step.abs().max()) < _CONVERGED_V:
                break
        slope = supplied(y, 1) - G
    y = y - (supplied(y, 0) - G * y) / slope
    first = 1 / (G - supplied(y, 1))
    second = supplied(y, 2) * first**3
    third = supplied(y, 3) * first**4 + 3 * second**2 / first
    return [y, first, second / 2, third / 6], outside(f"{side} driver", y + rest_V, driver.domain_V)
