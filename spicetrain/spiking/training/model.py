"""A spiking network while it is trained."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from spicetrain.array.device import Device
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.parameters import SynapseParameters, mapped, programmed
from spicetrain.spiking.training.regular_layer import leaky
from spicetrain.spiking.training.settings import SpikingNetworkSettings, SpikingTrainingSettings
from spicetrain.spiking.training.view import View


class TrainableSpikingNetwork(nn.Module):
    """Layers with trainable synapses, as the circuit has them, or as a regular network has."""

    def __init__(
        self,
        shape: SpikingNetworkSettings,
        settings: SpikingTrainingSettings,
        circuit: SpikingCircuit,
        memristor: Device,
        view: View,
    ):
        super().__init__()
        self.settings, self.circuit, self.memristor, self.view = settings, circuit, memristor, view
        generator = torch.Generator().manual_seed(settings.seed)
        self.layers = nn.ModuleList(SynapseParameters(*widths, generator) for widths in pairwise(shape.layers))
        self.to(view.device)

    @property
    def parameters_of_layers(self) -> list[SynapseParameters]:
        return [cast(SynapseParameters, layer) for layer in self.layers]

    def forward(self, spikes: Tensor) -> list[Tensor]:
        """Spikes of every layer [steps, samples, columns] for input spikes [steps, samples, rows]."""
        answers = []
        for index, parameters in enumerate(self.parameters_of_layers):
            if self.settings.method == "regular":
                spikes, _ = leaky(spikes, parameters.weights, self.settings.beta, self.settings.surrogate_slope)
            else:
                g, threshold_V = parameters.conductances(self.memristor), self.circuit.threshold_V(index)
                spikes, _ = circuit_layer(spikes, g, index, threshold_V, self.view)
            answers.append(spikes)
        return answers

    def keep_possible(self) -> None:
        """After a step; see SynapseParameters. Weights of a regular network know no bounds."""
        if self.settings.method == "circuit":
            for parameters in self.parameters_of_layers:
                parameters.keep_possible()

    @torch.no_grad()
    def network(self, about: dict[str, Any]) -> SpikingNetwork:
        """What is programmed into the chip. about["regular_thresholds_V"] are those of the same network as a regular
        one; a regular network's own thresholds still have to be set (calibrate.py)."""
        layers = [self._layer(index, parameters) for index, parameters in enumerate(self.parameters_of_layers)]
        crossbars = tuple(programmed(g, self.memristor) for g, _ in layers)
        thresholds_V = tuple(threshold_V for _, threshold_V in layers)
        return SpikingNetwork(crossbars, thresholds_V, about | {"regular_thresholds_V": list(thresholds_V)})

    def _layer(self, index: int, parameters: SynapseParameters) -> Any:
        if self.settings.method == "regular":
            return mapped(parameters.weights, self.circuit, index, self.memristor, self.settings.clip_quantile)
        return parameters.conductances(self.memristor), self.circuit.threshold_V(index)
