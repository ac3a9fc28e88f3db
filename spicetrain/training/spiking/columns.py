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
        self.phases = Phases.of(view.circuit, view.laws)
        self.C = view.capacitance_F(layer)
        of_array = _cell_currents if view.circuit.array == "1t1r" else _ideal_row_currents
        driven, silent = of_array(spikes, g, view)
        leak = [-a for a in view.leak(layer)]
        self.driven, self.silent = added(driven, leak), added(silent, leak)
        self.fired = added(silent, [-a for a in view.reset(layer)])

    def integrate(self, u: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(u at the latch, its slope there in V/s)."""
        a = [a[step] if a.dim() == 3 else a for a in self.driven]
        u = advance(u, a, self.C, self.phases.driven_s)
        return u, current(u, a) / self.C

    def rest(self, u: Tensor, fired: Tensor) -> Tensor:
        """u after the rest phase, without what the reset gate injects; `fired` [samples, columns], 0 or 1."""
        quiet = advance(u, self.silent, self.C, self.phases.rest_s)
        reset = advance(u, self.fired, self.C, self.phases.reset_s)
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
    leakage = [view.tensor(laws.silent_cell_coefficients(side)) for side in SIDES]
    one_row = added(list(leakage[0]), list(leakage[1]))
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
    both = [view.laws.cell_coefficients(side, g) for side, g in zip(SIDES, (pos, neg), strict=True)]
    return added(*both)


def product(spikes: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """spikes @ weights + bias over all steps and samples at once."""
    return torch.addmm(bias, spikes.flatten(0, 1), weights).view(*spikes.shape[:2], -1)
