"""Columns whose rows are driven by transistors, and pull on them: rows and membranes together.

A row has no capacitor of its own that counts, so at every moment (y, u: voltages from rest; h: pull of the columns)

    driver_current(state, y_i) = G_i y_i - h_i,   h_i = sum_j g_ij u_j,   G_i = sum_j g_ij

which eliminates it: y_i = y_i(h_i) depends on its state (spiking or silent), and on samples through h_i alone, so it is
solved once a row and state, at h = 0, by Newton, and continued in h by its derivatives, which follow from those of the
driver's current. The gradient is that of one more Newton step with the Jacobian held constant, as in the stage solver
(training/stage.py): the implicit function's. The membranes then obey

    C du_j/dt = sum_i g_ij y_i(h_i) - S_j u_j - leak(u_j)

where only sum_i g_ij (y_i(h_i) - y_i(0)) =: R_j(u) couples them. It is taken as a parabola in time through its values
at the start, in the middle and at the end of a phase: predicted with R of the start, corrected twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from spicetrain.surrogates.spiking_laws import SIDES, Side
from spicetrain.training.crossbar import Conductances
from spicetrain.training.spiking.columns import added, product
from spicetrain.training.spiking.membrane import advance, current
from spicetrain.training.spiking.phases import Phases
from spicetrain.training.spiking.view import View

CORRECTIONS = 2
LONGEST = 2.5
"""Of a stretch that one parabola covers, in time constants of the fastest membrane."""
_NEWTON_STEPS = 30

Coupling = Callable[[Tensor], Tensor]


class DrivenColumns:
    """The columns of one layer, with their rows and their neurons; the same interface as columns.Columns."""

    def __init__(self, spikes: Tensor, g: Conductances, layer: int, view: View) -> None:
        self.phases, self.C = Phases.of(view.circuit, view.laws), view.capacitance_F(layer)
        # Excitatory rows and their bias row, then inhibitory ones and theirs.
        self.g = torch.cat([g.pos, g.bias_pos[None], g.neg, g.bias_neg[None]])
        silent, spiking = (_rows(self.g, view, state) for state in (False, True))
        self.silent, self.change = silent, [b - a for a, b in zip(silent, spiking, strict=True)]
        active = torch.cat([spikes, torch.ones_like(spikes[..., :1])], 2)
        self.active = torch.cat([active, active], 2)
        leak, S = [-a for a in view.leak(layer)], self.g.sum(0)
        at_rest = silent[0] @ self.g
        pull = product(self.active, self.change[0][:, None] * self.g, at_rest)
        self.driven = added([pull, -S], leak)
        self.quiet = added([at_rest, -S], leak)
        self.fired = added([at_rest, -S], [-a for a in view.reset(layer)])

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(u at the latch, its slope there in V/s)."""
        response = [
            torch.addcmul(a, self.active[step], b) for a, b in zip(self.silent[1:], self.change[1:], strict=True)
        ]
        a = [self.driven[0][step], *self.driven[1:]]

        def coupling(u: Tensor) -> Tensor:
            return self._coupling(u, response)

        u = self._charge(u, a, coupling, self.phases.driven_s)
        return u, (current(u, a) + coupling(u)) / self.C

    def rest(self, u: Tensor, fired: Tensor) -> Tensor:
        """u after the rest phase, without what the reset gate injects; `fired` [samples, columns], 0 or 1."""
        degree = max(len(self.quiet), len(self.fired))
        shorter = self.phases.reset_s / self.phases.rest_s
        a = [_chosen(self.quiet, [shorter * a for a in self.fired], k, fired) for k in range(degree)]
        return self._charge(u, a, lambda u: self._coupling(u, self.silent[1:]), self.phases.rest_s)

    def _coupling(self, u: Tensor, response: Sequence[Tensor]) -> Tensor:
        """R(u), amperes; response: per power of h from the first on."""
        h = u @ self.g.T
        y = response[-1]
        for a in reversed(response[:-1]):
            y = a + h * y
        return (h * y) @ self.g

    def _charge(self, u: Tensor, a: Sequence[Tensor], coupling: Coupling, t: float) -> Tensor:
        """u after t seconds of C du/dt = sum_k a_k u^k + R(u)."""
        stretches = max(1, math.ceil(-float(self.quiet[1].detach().min()) * t / self.C / LONGEST))
        for _ in range(stretches):
            u = _stretch(u, a, coupling, self.C, t / stretches)
        return u


def _stretch(u: Tensor, a: Sequence[Tensor], coupling: Coupling, C: float, t: float) -> Tensor:
    before = coupling(u)
    held = [a[0] + before, *a[1:]]
    ends = predicted = [advance(u, held, C, share * t) for share in (0.5, 1.0)]
    z = -a[1] * (t / C)
    weights = [(share, _weights(share * z)) for share in (0.5, 1.0)]
    for _ in range(CORRECTIONS):
        middle, end = coupling(torch.stack(ends)) - before
        linear, square = 4 * middle - end, 2 * end - 4 * middle
        ends = [
            start + (share * t / C) * (share * first * linear + share**2 * second * square)
            for start, (share, (first, second)) in zip(predicted, weights, strict=True)
        ]
    return ends[1]


def _weights(z: Tensor) -> tuple[Tensor, Tensor]:
    """The integrals over s = 0..1 of exp(-z (1 - s)) times s and times s^2."""
    first = (1 + torch.expm1(-z) / z) / z
    return first, (1 - 2 * first) / z


def _chosen(quiet: Sequence[Tensor], reset: Sequence[Tensor], k: int, fired: Tensor) -> Tensor:
    none = torch.zeros_like(fired)
    return torch.lerp(
        quiet[k].expand_as(fired) if k < len(quiet) else none,
        reset[k].expand_as(fired) if k < len(reset) else none,
        fired,
    )


def _rows(g: Tensor, view: View, spiking: bool) -> list[Tensor]:
    """Taylor coefficients of y(h) of every row in one state, [rows] each: V, V/A, V/A^2, V/A^3."""
    G, half = g.sum(1).double(), len(g) // 2
    parts = [_sides_rows(part, view, SIDES[index], spiking) for index, part in enumerate((G[:half], G[half:]))]
    return [torch.cat(pair).to(view.dtype) for pair in zip(*parts, strict=True)]


def _sides_rows(G: Tensor, view: View, side: Side, spiking: bool) -> list[Tensor]:
    driver = view.laws.drivers[side, spiking]
    level = driver.level_V - view.circuit.rest_V
    law = np.polynomial.Polynomial(driver.current)

    def excess(y: Tensor) -> Tensor:
        return _value(law, y - level) - G * y

    y = torch.full_like(G, level)
    with torch.no_grad():
        for _ in range(_NEWTON_STEPS):
            y = y - excess(y) / (_value(law.deriv(), y - level) - G)
        slope = _value(law.deriv(), y - level) - G
    y = y - excess(y) / slope
    view.beyond.note("driver_current", y + view.circuit.rest_V, *driver.domain_V)
    first = 1 / (G - _value(law.deriv(), y - level))
    second = _value(law.deriv(2), y - level) * first**3
    third = _value(law.deriv(3), y - level) * first**4 + 3 * second**2 / first
    return [y, first, second / 2, third / 6]


def _value(law: np.polynomial.Polynomial, x: Tensor) -> Tensor:
    value = torch.zeros_like(x)
    for coefficient in reversed(law.coef):
        value = value * x + float(coefficient)
    return value
