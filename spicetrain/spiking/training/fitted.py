"""A spiking circuit and its laws in one precision on one device."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spicetrain.spiking.circuit import SpikingCircuit, of_layer
from spicetrain.spiking.surrogates.laws import Range, SpikingLaws
from spicetrain.surrogates.levenberg_marquardt import Vector


@dataclass(frozen=True)
class FittedSpikingCircuit:
    """What the model of a layer needs besides its conductances.

    slope   of snntorch's fast_sigmoid, over membranes in units of threshold_V - rest_V

    In float32, which is for training, the leak is a cubic of the membrane, cells are read from a table, resets go in
    fewer parts, and driven rows are corrected once against the membranes on them, which leaves some tens of microvolts
    where rows sag by a tenth; in float64 twice.
    """

    circuit: SpikingCircuit
    laws: SpikingLaws
    dtype: torch.dtype = torch.float32
    slope: float = 3.0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def coarse(self) -> bool:
        return self.dtype != torch.float64

    def tensor(self, values: Vector) -> Tensor:
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def capacitance_F(self, layer: int) -> float:
        """Of a membrane with its neuron's transistors, without the cells of its column."""
        return self.circuit.capacitance_F(layer) + of_layer(self.laws.neuron_F, layer)

    def leak(self, layer: int) -> list[Tensor]:
        """Per k the A / V^k that leave a membrane whose reset is off, scalars."""
        laws = self.laws.coarse_leak if self.coarse and self.laws.coarse_leak else self.laws.leak
        return list(self.tensor(of_layer(laws, layer)))

    def reset(self, layer: int) -> list[Tensor]:
        """The same with the reset on."""
        return list(self.tensor(of_layer(self.laws.reset, layer)))

    def domain(self, *laws: str) -> Range | None:
        """Lowest and highest u (V) that all of these laws were fitted over; None: no law says."""
        known = [self.laws.domains[name] for name in laws if name in self.laws.domains]
        return (max(low for low, _ in known), min(high for _, high in known)) if known else None
