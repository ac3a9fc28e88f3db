"""A spiking network while it is trained."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from spicetrain.array.device import Device
from spicetrain.spiking.definition import SpikingNetworkSettings, SpikingTrainingSettings
from spicetrain.spiking.methods import METHODS
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.drawn import DrawnChips
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import LayerResponse, Layers
from spicetrain.spiking.training.parameters import SynapseParameters, programmed


class TrainableSpikingNetwork(nn.Module):
    """Layers with trainable synapses, as their method has them."""

    def __init__(
        self,
        shape: SpikingNetworkSettings,
        settings: SpikingTrainingSettings,
        device: Device,
        fitted: FittedSpikingCircuit,
    ):
        super().__init__()
        self.device, self.widths = device, shape.layers
        self.method: Layers = METHODS[settings.method].layers(fitted, device, settings)
        generator = torch.Generator().manual_seed(settings.seed)
        self.layers = nn.ModuleList(SynapseParameters(*widths, generator) for widths in pairwise(shape.layers))
        self.to(fitted.device)

    @property
    def parameters_of_layers(self) -> list[SynapseParameters]:
        return [cast(SynapseParameters, layer) for layer in self.layers]

    def forward(self, spikes: Tensor, drawn: DrawnChips | None = None) -> list[LayerResponse]:
        """The answer of every layer to input spikes [steps, samples, rows], on the chips drawn."""
        answers = []
        for index, parameters in enumerate(self.parameters_of_layers):
            answers.append(self.method.forward(spikes, parameters, index, drawn))
            spikes = answers[-1].spikes
        return answers

    def static(self, rates: Tensor, steps: int) -> list[LayerResponse]:
        """The same of rows that spike at rates [samples, rows] for so many steps; see Layers."""
        answers = []
        for index, parameters in enumerate(self.parameters_of_layers):
            answers.append(self.method.static(rates, parameters, index, steps))
            rates = answers[-1].spikes[0]
        return answers

    @torch.no_grad()
    def assign(self, network: SpikingNetwork, name: str) -> None:
        """Go on from a network that was programmed; ArchitectureMismatch when it has other layers."""
        network.require_layers(self.widths, name)
        for index, parameters in enumerate(self.parameters_of_layers):
            synapses = self.method.synapses(network, index)
            parameters.synapses.copy_(synapses)

    def train(self, mode: bool = True) -> Self:
        """In training a method may take quicker laws than those it is scored by."""
        self.method.learning(mode)
        return super().train(mode)

    def correct_wires(self) -> None:
        """Before an epoch; see Layers."""
        self.method.correct_wires(self.parameters_of_layers)

    def project(self) -> None:
        """After a step of the optimizer."""
        for parameters in self.parameters_of_layers:
            self.method.project(parameters)

    @torch.no_grad()
    def network(self, about: dict[str, Any]) -> SpikingNetwork:
        """What is programmed into the chip, before the method's finishing touches. about["regular_thresholds_V"] are
        the thresholds of the same network as a regular one."""
        layers = [self.method.programmed(one, index) for index, one in enumerate(self.parameters_of_layers)]
        crossbars = tuple(programmed(g, self.device) for g, _ in layers)
        thresholds_V = tuple(threshold_V for _, threshold_V in layers)
        return SpikingNetwork(crossbars, thresholds_V, about | {"regular_thresholds_V": list(thresholds_V)})
