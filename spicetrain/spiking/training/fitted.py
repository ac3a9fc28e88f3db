"""A spiking circuit and its laws in one precision on one device."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from spicetrain.array.wires import Segments
from spicetrain.spiking.circuit import SpikingCircuit, of_layer
from spicetrain.spiking.surrogates.laws import Range, SpikingLaws
from spicetrain.spiking.training.simple_laws import SimpleLaws
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.technology import Technology


@dataclass(frozen=True)
class FittedSpikingCircuit:
    """What the model of a layer needs besides its conductances.

    slope       of snntorch's fast_sigmoid, over membranes in units of threshold_V - rest_V
    technology  whose wires every array has; None: ideal ones
    simple      arrays without wires as SimpleColumns has them: for training, quick and near
    integrator  the layer whose neurons do not fire and are not reset; None: all do

    In float32, which is for training, the leak is a cubic of the membrane, cells are read from a table, resets go in
    fewer parts, and driven rows are corrected once against the membranes on them, which leaves some tens of microvolts
    where rows sag by a tenth; in float64 twice.
    """

    circuit: SpikingCircuit
    laws: SpikingLaws
    dtype: torch.dtype = torch.float32
    slope: float = 3.0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    technology: Technology | None = None
    simple: bool = False
    integrator: int | None = None

    @property
    def segments(self) -> Segments | None:
        """Of every array's wires; None: ideal ones."""
        return None if self.technology is None else self.technology.segments

    @property
    def coarse(self) -> bool:
        return self.dtype != torch.float64

    def tensor(self, values: Vector) -> Tensor:
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def driven(self, layer: int) -> bool:
        """Whether transistors drive the rows of the layer's array, which then give way."""
        return self.circuit.array == "1r" and (layer > 0 or self.circuit.inputs == "driven")

    def capacitance_F(self, layer: int, reach: float | None = None) -> float:
        """Of a membrane with its neuron's transistors, without the cells of its column. Of the column's wire, `reach`
        segments are as if at the membrane: to first order in time, for a wire settles long before a membrane does."""
        own = self.circuit.capacitance_F(layer) + of_layer(self.laws.neuron_F, layer)
        if reach is None or self.technology is None or self.technology.wires is None:
            return own
        return own + reach * self.technology.wires.farads.column_F

    def column_F(self, layer: int, rows: int) -> float:
        """The same with the silent cells of its column."""
        return self.capacitance_F(layer) + (rows + 1) * self.laws.cell_silent_F

    def leak(self, layer: int) -> list[Tensor]:
        """Per k the A / V^k that leave a membrane whose reset is off, scalars."""
        laws = self.laws.coarse_leak if self.coarse and self.laws.coarse_leak else self.laws.leak
        return list(self.tensor(of_layer(laws, layer)))

    def reset(self, layer: int) -> list[Tensor]:
        """The same with the reset on."""
        return list(self.tensor(of_layer(self.laws.reset, layer)))

    @cached_property
    def _simple_laws(self) -> tuple[SimpleLaws, ...]:
        return tuple(SimpleLaws.of(self.circuit, self.laws, layer) for layer in range(self.circuit.distinct_layers))

    def simple_laws(self, layer: int) -> SimpleLaws:
        """Of a layer, for SimpleColumns."""
        return of_layer(self._simple_laws, layer)

    def domain(self, *laws: str) -> Range | None:
        """Lowest and highest u (V) that all of these laws were fitted over; None: no law says."""
        known = [self.laws.domains[name] for name in laws if name in self.laws.domains]
        return (max(low for low, _ in known), min(high for _, high in known)) if known else None
