"""Columns that charge each for itself: rows are ideal sources (1r), or supplies behind access transistors (1t1r)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spicetrain.surrogates.spiking_laws import SIDES
from spicetrain.training.crossbar import Conductances
from spicetrain.training.spiking.membrane import advance, current
from spicetrain.training.spiking.phases import Phases
from spicetrain.training.spiking.view import View


class Columns:
    """The columns of one layer, with their neurons; u = v - rest_V, [samples, columns].

    driven  per k [steps, samples, columns] or [columns], A / V^k: what flows into a membrane while the rows spike
    silent  per k [columns]: the same in the rest phase, reset off; fired  and on
    """

    def __init__(self, spikes: Tensor, g: Conductances, layer: int, view: View) -> None:
        self.phases, self.laws = Phases.of(view.circuit, view.laws), view.laws
        cells = view.circuit.array == "1t1r"
        driven, silent = (_cell_currents if cells else _ideal_row_currents)(spikes, g, view)
        leak = [-a for a in view.leak(layer)]
        driven, self.silent = added(driven, leak), added(silent, leak)
        self.fired = added(silent, [-a for a in view.reset(layer)])
        pairs = spikes.shape[2] + 1
        self.C = view.circuit.capacitance_F(layer) + pairs * view.laws.cell_silent_F
        self.spiking_pairs = (spikes.sum(2, keepdim=True) + 1).unbind() if cells else ()
        self.driven = [a.unbind() if a.dim() == 3 else a for a in driven]
        self.reach, self.reset_reach = view.reach("leak", "cell"), view.reach("reset")

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(u at the latch, its slope there in V/s)."""
        a = [a[step] if isinstance(a, tuple) else a for a in self.driven]
        if self.spiking_pairs:
            # Cells that conduct are more capacitance than silent ones: they share the membrane's charge.
            pairs = self.spiking_pairs[step]
            share = self.C / (self.C + pairs * self.laws.cell_spiking_F)
            u = share * (u + pairs * (self.laws.cell_on_C / self.C))
            a = [share * value for value in a]
        u = advance(u, a, self.C, self.phases.driven_s, self.reach)
        return u, current(u, a) / self.C

    def rest(self, u: Tensor, fired: Tensor, step: int) -> Tensor:
        """u after the rest phase, without what the reset gate injects; `fired` [samples, columns], 0 or 1."""
        if self.spiking_pairs:
            u = u + self.spiking_pairs[step] * (self.laws.cell_off_C / self.C)
        quiet = advance(u, self.silent, self.C, self.phases.rest_s, self.reach)
        reset = advance(u, self.fired, self.C, self.phases.reset_s, self.reset_reach)
        return torch.lerp(quiet, reset, fired)


def added(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """The sum of two polynomials."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    return [value + shorter[k] if k < len(shorter) else value for k, value in enumerate(longer)]


def _ideal_row_currents(spikes: Tensor, g: Conductances, view: View) -> tuple[list[Tensor], list[Tensor]]:
    """Every device always conducts: C du/dt = sum over spiking rows of g (level - rest) - G u."""
    circuit = view.circuit
    up, down = circuit.rails.vdd_V - circuit.rest_V, circuit.rails.vss_V - circuit.rest_V
    pull = product(spikes, up * g.pos + down * g.neg, up * g.bias_pos + down * g.bias_neg)
    G = g.column_sum()
    return [pull, -G], [torch.zeros_like(G), -G]


def _cell_currents(spikes: Tensor, g: Conductances, view: View) -> tuple[list[Tensor], list[Tensor]]:
    """Spiking cells conduct as measured, the others leak."""
    laws, rows = view.laws, spikes.shape[2]
    one_row = added(*(list(view.tensor(laws.silent_cell_coefficients(side))) for side in SIDES))
    pair = _pair(view, g.pos, g.neg)
    bias = _pair(view, g.bias_pos, g.bias_neg)
    less = [a - one_row[k] if k < len(one_row) else a for k, a in enumerate(pair)]
    always = [b + rows * one_row[k] if k < len(one_row) else b for k, b in enumerate(bias)]
    columns = g.bias_pos.shape[0]
    together = product(spikes, torch.cat(less, 1), torch.cat(always))
    silent = [((rows + 1) * a).expand(columns) for a in one_row]
    return list(together.split(columns, 2)), silent


def _pair(view: View, pos: Tensor, neg: Tensor) -> list[Tensor]:
    """Per k the A / V^k of an excitatory and an inhibitory cell together."""
    sides = zip(SIDES, (pos, neg), strict=True)
    return added(*(view.laws.cell_coefficients(side, g, coarse=view.coarse) for side, g in sides))


def product(spikes: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """spikes @ weights + bias over all steps and samples at once."""
    return torch.addmm(bias, spikes.flatten(0, 1), weights).view(*spikes.shape[:2], -1)
