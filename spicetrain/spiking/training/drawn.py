"""Chips that are drawn while a network is trained, and the deviations of a chip that is known.

Whatever is elementwise, the neurons, is drawn for every sample, so that a minibatch sees as many chips as it has
samples; conductances, which all samples share, once a minibatch. Both from one generator, the epoch's, so that a
training that goes on sees the same chips.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.variation import ArrayStatistics, disturbed
from spicetrain.spiking.chip import NeuronLaw, NeuronShifts, NeuronSigmas, Shift, SpikingChip


class Deviation(NamedTuple):
    """By what the neurons of a layer are not those of the circuit; [columns], or [samples, columns].

    trip_V       the membrane at which they fire is so much higher, volts
    leak_factor  their leak draws so many times the current
    """

    trip_V: Tensor
    leak_factor: Tensor


@dataclass(frozen=True)
class TrainingChips:
    """What varies while a network is trained.

    sigmas  of the neurons' transistors, by layer; none: they do not vary
    law     what their shifts do to a neuron
    """

    array: ArrayStatistics
    device: Device
    sigmas: tuple[NeuronSigmas, ...] = ()
    law: NeuronLaw | None = None

    def drawn(self, random: torch.Generator) -> DrawnChips:
        return DrawnChips(self, random)


@dataclass(frozen=True)
class DrawnChips:
    """The chips of one minibatch. Each call draws anew: once a layer and minibatch."""

    chips: TrainingChips
    random: torch.Generator

    def conductances(self, g: Conductances) -> Conductances:
        """As they were built; differentiable in `g`."""
        statistics, device = self.chips.array, self.chips.device
        if not statistics:
            return g
        return Conductances(
            *(
                disturbed(
                    one, statistics, device.g_min_S, device.g_max_S,
                    partial(self._normal, one), partial(self._uniform, one),
                )
                for one in g
            )
        )  # fmt: skip

    def deviation(self, layer: int, samples: int, like: Tensor) -> Deviation | None:
        """Of the neurons of a layer, [samples, columns], `like` [columns]; None when they do not vary."""
        if self.chips.law is None:
            return None
        shape = like.new_empty(samples, len(like))
        shifts = NeuronShifts(
            *(
                Shift(self._scaled(shape, sigma.shift_V), self._scaled(shape, sigma.factor))
                for sigma in self.chips.sigmas[layer]
            )
        )
        return Deviation(self.chips.law.trip_V(shifts), self.chips.law.leak_factor(shifts))

    def trip_sigma_V(self, layer: int) -> float:
        """Standard deviation of the trips of a layer's neurons."""
        assert self.chips.law is not None  # asked where they vary
        return self.chips.law.trip_sigma_V(self.chips.sigmas[layer])

    def _scaled(self, like: Tensor, sigma: float) -> Tensor:
        return sigma * self._normal(like) if sigma else torch.zeros_like(like)

    def _normal(self, like: Tensor, source: str = "") -> Tensor:
        return torch.randn(like.shape, generator=self.random, dtype=like.dtype).to(like.device)

    def _uniform(self, like: Tensor, source: str) -> Tensor:
        return torch.rand(like.shape, generator=self.random, dtype=like.dtype).to(like.device)


def deviations_of(chip: SpikingChip, law: NeuronLaw) -> list[Deviation] | None:
    """Of its neurons, by layer, [columns] in float64; None when its transistors are nominal."""
    if chip.shifts is None:
        return None
    return [
        Deviation(torch.as_tensor(law.trip_V(shifts)), torch.as_tensor(law.leak_factor(shifts)))
        for shifts in chip.shifts
    ]
