"""Chips that are drawn while a network is trained, and the deviations of a chip that is known.

Whatever is elementwise, the neurons, is drawn for every sample, so that a minibatch sees as many chips as it has
samples; conductances, which all samples share, once a minibatch. Both from one generator, the epoch's, so that a
training that goes on sees the same chips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances, drawn
from spicetrain.array.device import Device
from spicetrain.array.variation import ArrayStatistics
from spicetrain.spiking.chip import ChipLaw, NeuronShifts, NeuronSigmas, Shift, SpikingChip, pairs_of
from spicetrain.spiking.circuit import SIDES, Side


class Deviation(NamedTuple):
    """By what the neurons of a layer are not those of the circuit; [columns], or [samples, columns].

    trip_V       the membrane at which they fire is so much higher, volts
    leak_factor  their leak draws so many times the current
    cells        of a 1t1r: per k the A / V^k that the row pairs bring more when they spike, [rows + 1, columns]
    """

    trip_V: Tensor
    leak_factor: Tensor
    cells: Sequence[Tensor] | None = None


@dataclass(frozen=True)
class TrainingChips:
    """What varies while a network is trained.

    sigmas  of the neurons' transistors, by layer; none: they do not vary
    access  of the gate shifts of the cells of a 1t1r, volts
    law     what shifts do to neurons and cells
    threshold_sigma_V  of the membrane at which a neuron fires, besides what its transistors do to it
    """

    array: ArrayStatistics
    device: Device
    sigmas: tuple[NeuronSigmas, ...] = ()
    access: Mapping[Side, float] = field(default_factory=dict)
    law: ChipLaw | None = None
    threshold_sigma_V: float = 0.0

    def drawn(self, random: torch.Generator) -> DrawnChips:
        return DrawnChips(self, random)


@dataclass(frozen=True)
class DrawnChips:
    """The chips of one minibatch. Each call draws anew: once a layer and minibatch."""

    chips: TrainingChips
    random: torch.Generator

    def conductances(self, g: Conductances) -> Conductances:
        """As they were built; differentiable in `g`."""
        if not self.chips.array:
            return g
        return Conductances(*(drawn(one, self.chips.device, self.chips.array, self.random) for one in g))

    def deviation(self, layer: int, samples: int, g: Conductances) -> Deviation | None:
        """Of the neurons of a layer, [samples, columns], and of its cells, `g` as they were built; None when
        neurons do not vary. Differentiable in `g`."""
        if self.chips.law is None:
            return None
        shape = g.bias_pos.new_empty(samples, len(g.bias_pos))
        shifts = NeuronShifts(
            *(
                Shift(self._scaled(shape, sigma.shift_V), self._scaled(shape, sigma.factor))
                for sigma in self.chips.sigmas[layer]
            )
        )
        trip_V, leak, cells = self.chips.law.trip_V(shifts), self.chips.law.leak_factor(shifts), self._cells(g)
        return Deviation(trip_V + self._scaled(shape, self.chips.threshold_sigma_V), leak, cells)

    def _cells(self, g: Conductances) -> list[Tensor] | None:
        law, sigmas = self.chips.law, self.chips.access
        if law is None or law.access is None or not sigmas:
            return None
        pairs: dict[Side, Tensor] = {
            "excitatory": torch.cat([g.pos, g.bias_pos[None]]),
            "inhibitory": torch.cat([g.neg, g.bias_neg[None]]),
        }
        shifts = {side: self._scaled(pairs[side], sigmas[side]) for side in SIDES}
        return law.access.of_pairs(pairs, shifts, coarse=True)

    def trip_sigma_V(self, layer: int) -> float:
        """Standard deviation of the trips of a layer's neurons."""
        assert self.chips.law is not None  # asked where they vary
        of_transistors = self.chips.law.trip_sigma_V(self.chips.sigmas[layer])
        return math.hypot(of_transistors, self.chips.threshold_sigma_V)

    def _scaled(self, like: Tensor, sigma: float) -> Tensor:
        return sigma * self._normal(like) if sigma else torch.zeros_like(like)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.random, dtype=like.dtype).to(like.device)


def deviations_of(chip: SpikingChip, law: ChipLaw) -> list[Deviation] | None:
    """Of its neurons, by layer, [columns] in float64; None when its transistors are nominal."""
    if chip.shifts is None:
        return None
    cells: list[list[Tensor] | None] = [None] * len(chip.shifts)
    if chip.access is not None and law.access is not None:
        cells = [
            [torch.as_tensor(a) for a in law.access.of_pairs(pairs_of(crossbar), shifts_V)]
            for crossbar, shifts_V in zip(chip.network.crossbars, chip.access, strict=True)
        ]
    return [
        Deviation(torch.as_tensor(law.trip_V(shifts)), torch.as_tensor(law.leak_factor(shifts)), of_layer)
        for shifts, of_layer in zip(chip.shifts, cells, strict=True)
    ]
