"""Columns for training alone: the current into a membrane a straight line of it (1r), or a parabola (1t1r).

    C du/dt = a_0 + a_1 u + a_2 u^2

whose answers (membrane.py) are prepared for all steps and samples at once, before the first. Leaks and cells are those
of simple_laws.py; a driven row gives way to its own column as its driver does, and not to the others of its array; what
a reset leaves is a straight line of the membrane at the latch, and what its inverter is late by one of its slope.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.chip import powers
from spicetrain.spiking.circuit import SIDES
from spicetrain.spiking.training.columns import Fired, Reset, added, ideal_row_currents, leaving, product
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.latch import simple_delay
from spicetrain.spiking.training.phases import Phases
from spicetrain.spiking.training.rows import rows_of
from spicetrain.surrogates.extrapolation import NONE

_LEAST = 1e-6  # of the times constants in a phase
_LEAST_W = -1.0  # above the fraction's pole at -2.5: a parabola without a root, far from where membranes are

Currents = Sequence[Tensor]
"""Per power of u, A / V^k: into a membrane."""


class SimpleColumns:
    """The columns of one layer, with their neurons; the same interface as columns.Columns."""

    def __init__(
        self,
        spikes: Tensor,
        g: Conductances,
        layer: int,
        fitted: FittedSpikingCircuit,
        deviation: Deviation | None = None,
    ) -> None:
        laws = fitted.laws
        self.phases, self.extrapolation = Phases.of(fitted.circuit, laws), NONE
        self.offset_V, self.delay_s = simple_delay(fitted)
        self.C = fitted.column_F(layer, spikes.shape[2])
        cells = fitted.circuit.array == "1t1r"
        self.reached = fitted.domain("cell" if cells else "leak")
        driven, silent = _currents(spikes, g, layer, fitted, deviation)
        self.reset = left_by_reset(silent, layer, self.C, fitted)
        leak = fitted.simple_laws(layer).leak
        factor = 1.0 if deviation is None else deviation.leak_factor
        driven, settling = ([a[0] + leak[0] * factor, a[1] + leak[1] * factor, *a[2:]] for a in (driven, silent))
        self.settles = _exponential(settling, self.C, self.phases.rest_s)
        self.silent_rows = added(silent, leaving(layer, fitted, deviation))  # where membranes begin
        self.drives: Exponential | Riccati
        self.pairs: Sequence[Tensor] = ()
        if cells:
            pairs = spikes.sum(2, keepdim=True) + 1
            share = self.C / (self.C + pairs * laws.cell_spiking_F)
            self.drives = Riccati([a * share for a in driven], self.C, self.phases.driven_s)
            self.pairs, self.shares = pairs.unbind(), share.unbind()
            self.on_V, self.off_V, self.off = (
                laws.cell_on_C / self.C,
                laws.cell_off_C / self.C,
                laws.cell_off_F / self.C,
            )
        else:
            self.drives = Exponential(driven, self.C, self.phases.driven_s)

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(u at the latch, its slope there in V/s, and by how much beyond its threshold a neuron trips, V)."""
        if self.pairs:  # see Columns.integrate
            u = self.shares[step] * (u + self.pairs[step] * self.on_V)
        u, slope = self.drives(u, step)
        return u, slope, self.delay_s * slope + self.offset_V

    def rest(self, u: Tensor, fired: Tensor, step: int) -> Tensor:
        """u after the rest phase; `fired` [samples, columns], 0 or 1."""
        if self.pairs:
            u = u + self.pairs[step] * (self.off_V + self.off * u)
        settled = torch.addcmul(self.settles[1], u, self.settles[0])
        return torch.where(fired.bool(), torch.addcmul(self.reset[0], u.detach(), self.reset[1]), settled)


@torch.no_grad()
def left_by_reset(silent: Currents, layer: int, C: float, fitted: FittedSpikingCircuit) -> tuple[Tensor, Tensor]:
    """(V, ratio), [columns], of what a reset leaves of a membrane: the straight line through one at the threshold, and
    one at twice it."""
    columns = silent[1].shape[-1]
    reset = Reset([a.expand(columns) for a in silent], layer, C, fitted)
    low = fitted.circuit.threshold_V(layer) - fitted.circuit.rest_V
    where = torch.arange(columns, device=silent[1].device).repeat(2)
    starts = reset.on[1].new_tensor([low, 2 * low]).repeat_interleave(columns)
    ends = reset.after(Fired((where, where), starts)).view(2, columns)
    ratio = (ends[1] - ends[0]) / low
    return ends[0] - ratio * low, ratio


def mean_currents(
    rates: Tensor, g: Conductances, layer: int, fitted: FittedSpikingCircuit
) -> tuple[list[Tensor], Currents, float]:
    """(what flows into a membrane in the mean over a step, per power of u [samples, columns], A / V^k; the same while
    all rows are silent, without leaks; its farads) of rows that spike at rates [samples, rows]."""
    driven, silent = _currents(rates[None], g, layer, fitted, None)
    leak, share = fitted.simple_laws(layer).leak, fitted.circuit.clock.integrate_s / fitted.circuit.clock.step_s
    mean = [share * a.squeeze(0) if a.dim() == 3 else share * a for a in driven]
    for power, a in enumerate(silent):
        mean[power] = mean[power] + (1 - share) * a + leak[power]
    return mean, silent, fitted.column_F(layer, rates.shape[1])


class Exponential:
    """What a straight line makes of membranes in t seconds; a_0 [steps, samples, columns], a_1 [columns] or [samples,
    columns]."""

    def __init__(self, a: Currents, C: float, t: float) -> None:
        self.left, brought = _exponential(a, C, t)
        self.brought, self.charged = brought.unbind(), (a[0] / C).unbind()
        self.rate = a[1] / C

    def __call__(self, u: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(u, its slope in V/s) at the end."""
        u = torch.addcmul(self.brought[step], u, self.left)
        return u, torch.addcmul(self.charged[step], u, self.rate)


class Riccati:
    """What a parabola does, all of a [steps, samples, columns]."""

    def __init__(self, a: Currents, C: float, t: float) -> None:
        b0, b1, b2 = (value * (t / C) for value in a)
        self.r = _tanh_ratio(b1.square() - 4 * b0 * b2).unbind()
        self.b, self.t = [b0.unbind(), b1.unbind(), b2.unbind()], t

    def __call__(self, u: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Likewise."""
        (b0, b1, b2), r = (b[step] for b in self.b), self.r[step]
        square = b2 * u
        linear = b1 + square
        at_start, steep = torch.addcmul(b0, linear, u), linear + square
        end = u + 2 * at_start * r / (1 - steep * r)
        return end, torch.addcmul(b0, torch.addcmul(b1, b2, end), end) / self.t


def _tanh_ratio(square: Tensor) -> Tensor:
    """tanh(q / 2) / q of q^2, Pade's fraction: within 1e-4 up to q = 4, and for q^2 below 0 as well."""
    w = (square / 4).clamp_min(_LEAST_W)
    return 0.5 * ((w + 105) * w + 945) / ((15 * w + 420) * w + 945)


def _exponential(a: Currents, C: float, t: float) -> tuple[Tensor, Tensor]:
    """(what is left of a membrane after t seconds, what a_0 has brought to it)."""
    x = (a[1] * (-t / C)).clamp_min(_LEAST)
    left = torch.exp(-x)
    return left, a[0] * ((1 - left) / x * (t / C))


def _currents(
    spikes: Tensor, g: Conductances, layer: int, fitted: FittedSpikingCircuit, deviation: Deviation | None
) -> tuple[Currents, Currents]:
    """(while the rows spike, while they are silent), without leaks."""
    if fitted.circuit.array == "1t1r":
        return _cell_currents(spikes, g, layer, fitted, deviation)
    return _driven_row_currents(spikes, g, fitted) if fitted.driven(layer) else ideal_row_currents(spikes, g, fitted)


def _driven_row_currents(spikes: Tensor, g: Conductances, fitted: FittedSpikingCircuit) -> tuple[Currents, Currents]:
    """Rows that transistors drive."""
    devices = torch.cat([torch.cat([g.pos, g.bias_pos[None]]), torch.cat([g.neg, g.bias_neg[None]])])
    (silent, gives), (spiking, _) = (rows_of(devices.sum(1), fitted, state)[0][:2] for state in (False, True))
    at_rest = silent @ devices
    excitatory, inhibitory = ((spiking - silent)[:, None] * devices).tensor_split(2)
    weights = excitatory + inhibitory
    G = devices.sum(0) - gives @ devices.square()
    return (product(spikes, weights[:-1], weights[-1] + at_rest), -G), (at_rest, -G)


def _cell_currents(
    spikes: Tensor, g: Conductances, layer: int, fitted: FittedSpikingCircuit, deviation: Deviation | None
) -> tuple[Currents, Currents]:
    """Cells of a 1T1R array."""
    laws, rows, columns = fitted.simple_laws(layer), spikes.shape[2], len(g.bias_pos)
    sides = zip(SIDES, ((g.pos, g.bias_pos), (g.neg, g.bias_neg)), strict=True)
    of_sides = [
        [powers(of_power, torch.cat([own, bias[None]]) / laws.g_S) for of_power in laws.cells[side].tolist()]
        for side, (own, bias) in sides
    ]
    pairs = [a + b for a, b in zip(*of_sides, strict=True)]
    if deviation is not None and deviation.cells is not None:
        pairs = [a + b for a, b in zip(pairs, deviation.cells, strict=False)]
    flows = product(spikes, torch.cat([a[:-1] for a in pairs], 1), torch.cat([a[-1] for a in pairs]))
    a0, a1, a2 = flows.split(columns, 2)
    quiet = rows - spikes.sum(2, keepdim=True)
    silent = [torch.full_like(pairs[0][0], (rows + 1) * a) for a in laws.silent.tolist()]
    return [a0 + quiet * laws.silent[0], a1 + quiet * laws.silent[1], a2], silent
