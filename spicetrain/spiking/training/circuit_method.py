"""The circuit method: absolute conductances, trained through the circuit's own membranes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.errors import ConfigurationError
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingTrainingSettings
from spicetrain.spiking.methods import Method
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.drawn import Deviation, DrawnChips
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import Layer, LayerResponse, Layers
from spicetrain.spiking.training.parameters import SynapseParameters


class CircuitLayers(Layers):
    """Layers as the circuit has them; synapses are shares of the device's range."""

    def __init__(self, fitted: FittedSpikingCircuit, device: Device, settings: SpikingTrainingSettings) -> None:
        self.fitted, self.device = fitted, device

    def forward(
        self, spikes: Tensor, parameters: SynapseParameters, layer: int, drawn: DrawnChips | None = None
    ) -> LayerResponse:
        g, threshold_V = self.programmed(parameters, layer)
        if drawn is None:
            return circuit_layer(spikes, g, layer, threshold_V, self.fitted)
        built = drawn.conductances(g)
        deviation = drawn.deviation(layer, spikes.shape[1], built)
        return circuit_layer(spikes, built, layer, threshold_V, self.fitted, deviation)

    @torch.no_grad()
    def synapses(self, network: SpikingNetwork, layer: int) -> Tensor:
        span_S = self.device.g_max_S - self.device.g_min_S
        box = network.crossbars[layer]
        signed = np.vstack([box.pos - box.neg, box.bias_pos - box.bias_neg])
        return torch.as_tensor(signed / span_S)

    def programmed(self, parameters: SynapseParameters, layer: int) -> tuple[Conductances, float]:
        return parameters.conductances(self.device), self.fitted.circuit.threshold_V(layer)

    def project(self, parameters: SynapseParameters) -> None:
        parameters.project()


def circuit_model(
    network: SpikingNetwork, circuit: SpikingCircuit, laws: SpikingLaws | None
) -> tuple[Layer, Sequence[float]]:
    """(one layer, thresholds in volts) of a finished network, in float64. ConfigurationError when there are no laws."""
    if laws is None:
        raise ConfigurationError("The circuit's model needs the laws that were fitted to the circuit: give laws.")
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, 1.0)

    def layer(
        spikes: Tensor, g: Conductances, layer: int, threshold_V: float, deviation: Deviation | None = None
    ) -> LayerResponse:
        return circuit_layer(spikes, g, layer, threshold_V, fitted, deviation)

    return layer, network.thresholds_V


CIRCUIT = Method(CircuitLayers, circuit_model, knows_circuit=True)
