"""Inverter sizes as trainables: real numbers of fingers while they are trained, whole ones in the netlist."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spicetrain.inverter.definition import Sizing


class InverterSizes(nn.Module):
    """Fingers of the inverters behind one crossbar's columns, `each` (2 in a hidden layer, 1 in the last) a column.

    fixed     as given
    erim      set by the load, from outside
    layer     trained, one number for all first and one for all second inverters
    neuron    trained, one number for both inverters of a pair: a first inverter smaller than the second, whose gates
              it charges, is slow
    inverter  trained, every one by itself
    """

    def __init__(self, columns: int, each: int, fingers: float, sizing: Sizing):
        super().__init__()
        self.columns = columns
        shape = (1 if sizing == "layer" else columns, 1 if sizing == "neuron" else each)
        trained = sizing in ("layer", "neuron", "inverter")
        self.each, self.fingers = each, nn.Parameter(torch.full(shape, float(fingers)), requires_grad=trained)

    def forward(self) -> Tensor:
        """[columns, each]."""
        return self.fingers.expand(self.columns, self.each)

    @torch.no_grad()
    def project(self) -> None:
        """After a step: no inverter has less than one finger."""
        if self.fingers.requires_grad:
            self.fingers.clamp_(min=1.0)

    @torch.no_grad()
    def settle(self) -> None:
        """Whole fingers from now on, and no longer trained; what was given stays as it is."""
        if self.fingers.requires_grad:
            self.fingers.round_().requires_grad_(False)
            self.fingers.grad = None
