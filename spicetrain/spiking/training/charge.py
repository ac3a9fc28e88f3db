"""The charge that a neuron's own transistors hold: not quite proportional to its membrane.

A membrane of C du/dt = i(u) with the capacitance C + c(u) goes as far in the time t as one whose constant capacitance
is the mean over its way, C + (q(u_1) - q(u_0)) / (u_1 - u_0). As it depends on t / C alone, to first order in c / C

    u_1 + t du/dt(t) (- c / C)

where u_1 and du/dt are those of C. What is left is of the order of (c / C)^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spicetrain.spiking.circuit import of_layer
from spicetrain.spiking.training.fitted import FittedSpikingCircuit

_LEAST_V = 1e-9  # of a way; shorter ones have c of their middle


@dataclass(frozen=True)
class NeuronCharge:
    """q(u) - neuron_F u of a layer's neurons: excess [points] at equal distances from `low` on, coulombs.

    shift  volts, a number or [columns]: by so much more than in the circuit's own neuron the inverter trips
    """

    excess: Tensor
    low: float
    spacing: float
    shift: Tensor | float

    @classmethod
    def of(cls, fitted: FittedSpikingCircuit, layer: int, shift: Tensor | float) -> NeuronCharge | None:
        """None in training, where the mean over all membranes will do, and when no law says."""
        if fitted.coarse or not fitted.laws.neuron_excess_C:
            return None
        excess = fitted.tensor(of_layer(fitted.laws.neuron_excess_C, layer))
        low, high = fitted.laws.domains["charge"]
        return cls(excess, low, (high - low) / (len(excess) - 1), shift)

    def corrected(self, before: Tensor, after: Tensor, slope: Tensor, C: float, t: float) -> Tensor:
        """The membrane that a step of t seconds from `before` takes where one of constant C takes it to `after`, where
        its slope is `slope`, V/s; any shapes that broadcast."""
        way = after - before
        far = torch.where(way.abs() < _LEAST_V, before + _LEAST_V, after)
        more = (self._at(far) - self._at(before)) / (far - before)
        return after - (t / C) * more * slope

    def _at(self, u: Tensor) -> Tensor:
        """Linear between the points, and beyond the last ones."""
        place = (u - self.shift - self.low) / self.spacing
        k = place.detach().long().clamp(0, len(self.excess) - 2)
        return torch.lerp(self.excess[k], self.excess[k + 1], place - k)
