"""Chips drawn anew all the time, for training: mismatch for every sample, conductances for every minibatch.

Inverters act sample by sample, so each sample can meet a chip of its own at no cost; a crossbar is a product of
matrices, so all samples of a minibatch meet the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances, drawn
from spicetrain.array.sent import sent
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.chip import sigmas_of
from spicetrain.inverter.definition import TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.technology import Technology
from spicetrain.variation import Statistics, statistics_of


@dataclass(frozen=True)
class TrainingDraws:
    """Draws of what varies in a technology; random numbers come from the CPU, wherever the network is."""

    technology: Technology
    statistics: Statistics

    def crossbars(self, wanted: Sequence[Conductances], bias_pairs: int, random: torch.Generator) -> list[Conductances]:
        """The crossbars as one chip has them that was programmed to be `wanted`; differentiable in these."""

        def biases(g: Tensor) -> Tensor:
            return self._devices((g / bias_pairs).expand(bias_pairs, -1), random).sum(0)

        return [
            Conductances(self._devices(pos, random), self._devices(neg, random), biases(bias_pos), biases(bias_neg))
            for pos, neg, bias_pos, bias_neg in wanted
        ]

    def _devices(self, g: Tensor, random: torch.Generator) -> Tensor:
        return drawn(g, self.technology.memristor, self.statistics.array, random)

    def mismatch(self, sizes: Sequence[Tensor], samples: int, random: torch.Generator) -> list[Mismatch] | None:
        """Of inverters of `sizes` [columns, inverters of a column] fingers behind every crossbar, each sample another
        one, as kcl_voltages takes it; differentiable in the sizes. None when transistors do not vary."""
        if not self.statistics.transistors:
            return None
        sigmas = sigmas_of(self.technology, self.statistics)
        return [self._of_layer(sigmas, size, samples, random) for size in sizes]

    def _of_layer(
        self, sigmas: Sequence[tuple[float, float]], size: Tensor, samples: int, random: torch.Generator
    ) -> Mismatch:
        columns, each = size.shape
        root = size.T[None, :, None, :].rsqrt()  # [1, inverters, 1, columns]

        def normal(what: int) -> Tensor:
            sigma = torch.tensor([of_kind[what] for of_kind in sigmas], dtype=size.dtype)[:, None, None, None]
            n = torch.randn(2, each, samples, columns, generator=random, dtype=size.dtype)
            return sent(n.mul_(sigma), size) * root

        factor = None if not any(beta for _, beta in sigmas) else (1 + normal(1)).clamp(min=1e-3)
        return Mismatch(normal(0), factor)


def training_statistics(settings: TrainingSettings, technology: Technology) -> Statistics:
    """What varies in a training. ConfigurationError, TechnologyError: statistics that the technology lacks, a method
    that knows no mismatch, forward passes in ngspice, which is given no chips."""
    found = statistics_of(technology, settings.variation)
    sigmas_of(technology, found)
    if found.transistors and not METHODS[settings.method].takes_mismatch:
        able = ", ".join(name for name in METHODS if METHODS[name].takes_mismatch)
        raise ConfigurationError(
            f"training.variation.mismatch is asked of the method {settings.method!r}, which knows none. Methods that "
            f"do: {able}."
        )
    if found and settings.forward == "spice":
        raise ConfigurationError(
            "training.variation with training.forward = 'spice': ngspice simulates the nominal circuit there. For one "
            "chip in the loop there is `spicetrain calibrate`."
        )
    return found
