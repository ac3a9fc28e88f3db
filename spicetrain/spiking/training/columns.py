"""Columns that charge each for itself: rows are ideal sources (1r), or supplies behind access transistors (1t1r)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import SIDES, of_layer
from spicetrain.spiking.training.cells import advance_cells, volts_of
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.latch import late_V
from spicetrain.spiking.training.membrane import advance, current, steepness
from spicetrain.spiking.training.phases import Phases
from spicetrain.surrogates.extrapolation import NONE

EXACT_PARTS, RESET_PARTS, COARSE_RESET_PARTS = 8, 8, 2
"""Of a phase, for laws of higher powers: the cells' and the leak's (in training one), the reset's, and in training."""


class Columns:
    """The columns of one layer, with their neurons; u = v - rest_V, [samples, columns].

    driven       per k [steps, samples, columns] or [columns], A / V^k: what flows into a membrane while the rows spike
    shares       of a 1t1r, [steps, samples, columns, M], siemens: of its cells, what besides flows (cells.py)
    silent_rows  per k [columns]: the same in the rest phase; [samples, columns] where leaks differ between samples
    """

    def __init__(
        self,
        spikes: Tensor,
        g: Conductances,
        layer: int,
        fitted: FittedSpikingCircuit,
        deviation: Deviation | None = None,
        charge: NeuronCharge | None = None,
    ) -> None:
        self.charge, self.fitted = charge, fitted
        self.phases, self.laws = Phases.of(fitted.circuit, fitted.laws), fitted.laws
        cells = fitted.circuit.array == "1t1r"
        change = None if deviation is None else deviation.cells
        driven, silent = _silent_cells(spikes, fitted, change) if cells else ideal_row_currents(spikes, g, fitted)
        self.shares = _shares(spikes, g, fitted).unbind() if cells else ()
        self.volts = volts_of(fitted) if cells else None
        leak = leaving(layer, fitted, deviation)
        driven, self.silent_rows = added(driven, leak), added(silent, leak)
        self.C = fitted.column_F(layer, spikes.shape[2])
        self.reset = Reset(silent, layer, self.C, fitted)
        self.spiking_pairs = (spikes.sum(2, keepdim=True) + 1).unbind() if cells else ()
        self.driven = [a.unbind() if a.dim() == 3 else a for a in driven]
        self.extrapolation = NONE
        self.domain = fitted.domain("leak", "silent") if cells else fitted.domain("leak")
        self.reached = fitted.domain("cell") if cells else self.domain
        self.parts = 1 if fitted.coarse else EXACT_PARTS

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(u at the latch, its slope there in V/s, and by how much beyond its threshold a neuron trips, V)."""
        a = [a[step] if isinstance(a, tuple) else a for a in self.driven]
        if self.volts is None:
            u, slope = self._advanced(u, a, self.phases.driven_s)
            return u, slope, late_V(slope, steepness(u, a) / self.C, self.fitted)
        # Cells that conduct are more capacitance than silent ones: they share the membrane's charge.
        pairs = self.spiking_pairs[step]
        share = self.C / (self.C + pairs * self.laws.cell_spiking_F)
        u, a = share * (u + pairs * (self.laws.cell_on_C / self.C)), [share * value for value in a]
        shares, t = share[..., None] * self.shares[step], self.phases.driven_s
        end, i, steep = advance_cells(u, shares, self.volts, a, self.C, t, self.domain, self.parts)
        u, slope = self._charged(u, end, i / self.C, t)
        return u, slope, late_V(slope, steep / self.C, self.fitted)

    def rest(self, u: Tensor, fired: Tensor, step: int) -> Tensor:
        """u after the rest phase; `fired` [samples, columns], 0 or 1."""
        if self.spiking_pairs:
            # And give back what of it does not leave into the devices.
            off = self.laws.cell_off_C + self.laws.cell_off_F * u
            u = u + self.spiking_pairs[step] * (off / self.C)
        settled, _ = self._advanced(u, self.silent_rows, self.phases.rest_s)
        return self.reset.applied(settled, u, fired)

    def _advanced(self, u: Tensor, a: Sequence[Tensor], t: float) -> tuple[Tensor, Tensor]:
        """(u after t seconds, its slope there)."""
        end = advance(u, a, self.C, t, self.domain, self.parts)
        return self._charged(u, end, current(end, a) / self.C, t)

    def _charged(self, u: Tensor, end: Tensor, slope: Tensor, t: float) -> tuple[Tensor, Tensor]:
        return (end if self.charge is None else self.charge.corrected(u, end, slope, self.C, t)), slope


@dataclass(frozen=True)
class Fired:
    """Where neurons fired, as indices of [samples, columns], and their membranes at the latch."""

    where: tuple[Tensor, Tensor]
    u: Tensor

    @classmethod
    def of(cls, u: Tensor, fired: Tensor) -> Self:
        samples, columns = fired.nonzero(as_tuple=True)
        return cls((samples, columns), u.detach()[samples, columns])


class Reset:
    """The rest phase of neurons that fired, and it passes no gradient.

    The gate rises and falls slowly: for half of laws.reset_lost_s before and after the reset only the silent rows hold
    the membrane, and each edge injects a charge.
    """

    def __init__(self, silent: Sequence[Tensor], layer: int, C: float, fitted: FittedSpikingCircuit) -> None:
        laws, phases = fitted.laws, Phases.of(fitted.circuit, fitted.laws)
        silent = added(silent, fitted.tensor(np.zeros(2)).unbind())  # cells that are cut off have no law at all
        self.silent = [value.detach() for value in silent]
        self.on = [value.detach() for value in added(silent, [-a for a in fitted.reset(layer)])]
        self.C, self.t, self.edge_s, self.domain = C, phases.reset_s, laws.reset_lost_s / 2, fitted.domain("reset")
        self.rise_V, self.fall_V = (of_layer(charge, layer) / C for charge in (laws.reset_rise_C, laws.reset_charge_C))
        self.parts = COARSE_RESET_PARTS if fitted.coarse else RESET_PARTS

    def applied(self, settled: Tensor, u: Tensor, fired: Tensor) -> Tensor:
        """`settled`, [samples, columns], with the membranes of the neurons that fired in their places."""
        firing = Fired.of(u, fired)
        return settled.index_put(firing.where, self.after(firing))

    @torch.no_grad()
    def path(self, firing: Fired, pull: Tensor | None = None) -> list[Tensor]:
        """Membranes at the ends of equal parts of the reset, between its edges; pull [spans, fired]: a current into
        them, amperes, that changes from one equal span to the next."""
        path = [self._at_edge(firing.u, firing, None if pull is None else pull[0]) + self.rise_V]
        a = self._of(self.on, firing)
        for part in range(self.parts):
            now = a if pull is None else [a[0] + pull[part * len(pull) // self.parts], *a[1:]]
            path.append(advance(path[-1], now, self.C, self.t / self.parts, self.domain))
        return path

    @torch.no_grad()
    def after(self, firing: Fired, pull: Tensor | None = None) -> Tensor:
        """[fired]: what is left; pull as in `path`."""
        left = self.path(firing, pull)[-1] + self.fall_V
        return self._at_edge(left, firing, None if pull is None else pull[-1])

    def _at_edge(self, u: Tensor, firing: Fired, pull: Tensor | None) -> Tensor:
        a = self._of(self.silent, firing)
        return advance(u, a if pull is None else [a[0] + pull, *a[1:]], self.C, self.edge_s, self.domain)

    @staticmethod
    def _of(a: Sequence[Tensor], firing: Fired) -> list[Tensor]:
        return [value[firing.where[1]] if value.dim() else value for value in a]


def leaving(layer: int, fitted: FittedSpikingCircuit, deviation: Deviation | None) -> list[Tensor]:
    """Per k the A / V^k that a leak brings to its membrane: less than nothing."""
    return [-a if deviation is None else -a * deviation.leak_factor for a in fitted.leak(layer)]


def added(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """The sum of two polynomials."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    return [value + shorter[k] if k < len(shorter) else value for k, value in enumerate(longer)]


def ideal_row_currents(
    spikes: Tensor, g: Conductances, fitted: FittedSpikingCircuit
) -> tuple[list[Tensor], list[Tensor]]:
    """Every device always conducts: C du/dt = sum over spiking rows of g (level - rest) - G u."""
    circuit = fitted.circuit
    up, down = circuit.rails.vdd_V - circuit.rest_V, circuit.rails.vss_V - circuit.rest_V
    pull = product(spikes, *g.pair_currents(up, down))
    G = g.column_sum()
    return [pull, -G], [torch.zeros_like(G), -G]


def _silent_cells(
    spikes: Tensor, fitted: FittedSpikingCircuit, change: Sequence[Tensor] | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Cells leak while their rows do not spike; `change`: see Deviation.cells."""
    laws, rows = fitted.laws, spikes.shape[2]
    one_row = added(*(list(fitted.tensor(np.trim_zeros(laws.silent_cells[side], "b"))) for side in SIDES))
    quiet = rows - spikes.sum(2, keepdim=True)
    driven = [quiet * a for a in one_row]
    if change is not None:
        columns = change[0].shape[-1]
        more = product(spikes, torch.cat([a[:-1] for a in change], 1), torch.cat([a[-1] for a in change]))
        driven = added(driven, more.split(columns, 2))
    return driven, [(rows + 1) * a for a in one_row]


def _shares(spikes: Tensor, g: Conductances, fitted: FittedSpikingCircuit) -> Tensor:
    """[steps, samples, columns, M], siemens, of the cells that spike; M: first those of the excitatory side."""
    sides = zip(SIDES, ((g.pos, g.bias_pos), (g.neg, g.bias_neg)), strict=True)
    both = [[torch.stack(fitted.laws.cells[side].shares(part), -1) for part in parts] for side, parts in sides]
    rows, bias = (torch.cat(parts, -1) for parts in zip(*both, strict=True))
    return product(spikes, rows.flatten(1), bias.flatten()).unflatten(2, bias.shape)


def product(spikes: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """spikes @ weights + bias over all steps and samples at once."""
    if spikes.stride(0) == 0:  # the same in every step
        return torch.addmm(bias, spikes[0], weights).expand(len(spikes), -1, -1)
    return torch.addmm(bias, spikes.flatten(0, 1), weights).view(*spikes.shape[:2], -1)
