"""The circuit method: absolute conductances, trained through the circuit's own membranes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.wired import EXACTLY, ROUGHLY
from spicetrain.array.wired_ports import Ports, ports_corrections
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
from spicetrain.spiking.training.static import firing_rate, settled
from spicetrain.technology import Technology


class CircuitLayers(Layers):
    """Layers as the circuit has them; synapses are shares of the device's range."""

    def __init__(self, fitted: FittedSpikingCircuit, device: Device, settings: SpikingTrainingSettings) -> None:
        self.measured, self.device = fitted, device
        self.simplified = settings.laws == "simple" and fitted.segments is None
        self.simple = replace(fitted, simple=self.simplified)
        self.fitted = self.simple
        self.corrections: list[Ports] | None = None

    def forward(
        self, spikes: Tensor, parameters: SynapseParameters, layer: int, drawn: DrawnChips | None = None
    ) -> LayerResponse:
        g, threshold_V = self.programmed(parameters, layer)
        held = None if self.corrections is None else self.corrections[layer]
        if drawn is None:
            return circuit_layer(spikes, g, layer, threshold_V, self.fitted, correction=held)
        built = drawn.conductances(g)
        deviation = drawn.deviation(layer, spikes.shape[1], built)
        return circuit_layer(spikes, built, layer, threshold_V, self.fitted, deviation, held)

    def static(self, rates: Tensor, parameters: SynapseParameters, layer: int, steps: int) -> LayerResponse:
        g, threshold_V = self.programmed(parameters, layer)
        u, x, left_V = settled(rates, g, layer, self.fitted)
        rest_V = self.fitted.circuit.rest_V
        swing, reached = threshold_V - rest_V, rest_V - u * torch.expm1(-steps * x)
        return LayerResponse(firing_rate(u / swing, x, left_V / swing)[None], reached[None])

    def learning(self, yes: bool) -> None:
        self.fitted = self.simple if yes else self.measured

    def correct_wires(self, parameters: Sequence[SynapseParameters]) -> None:
        crossbars = [self.programmed(one, layer)[0] for layer, one in enumerate(parameters)]
        self.corrections = _corrections(crossbars, self.fitted, ROUGHLY)

    @torch.no_grad()
    def synapses(self, network: SpikingNetwork, layer: int) -> Tensor:
        span_S = self.device.g_max_S - self.device.g_min_S
        box = network.crossbars[layer]
        signed = np.vstack([box.pos - box.neg, box.bias_pos - box.bias_neg])
        return torch.as_tensor(signed / span_S)

    def programmed(self, parameters: SynapseParameters, layer: int) -> tuple[Conductances, float]:
        return parameters.conductances(self.device), self.fitted.circuit.threshold_V(layer)

    def swing(self, layer: int) -> float:
        return self.fitted.circuit.threshold_V(layer) - self.fitted.circuit.rest_V

    def project(self, parameters: SynapseParameters) -> None:
        parameters.project()


def _corrections(crossbars: Sequence[Conductances], fitted: FittedSpikingCircuit, near: float) -> list[Ports] | None:
    """None where wires are ideal."""
    if fitted.segments is None:
        return None
    driven = [fitted.driven(layer) for layer in range(len(crossbars))]
    return ports_corrections(crossbars, fitted.segments, driven, near=near)


def circuit_model(
    network: SpikingNetwork, circuit: SpikingCircuit, laws: SpikingLaws | None, technology: Technology | None = None
) -> tuple[Layer, Sequence[float]]:
    """(one layer, thresholds in volts) of a finished network, in float64; its arrays have the technology's wires,
    exactly. ConfigurationError when there are no laws."""
    if laws is None:
        raise ConfigurationError("The circuit's model needs the laws that were fitted to the circuit: give laws.")
    fitted = FittedSpikingCircuit(
        circuit, laws, torch.float64, 1.0, technology=technology, integrator=network.integrator
    )
    crossbars = [Conductances.of(crossbar, torch.float64) for crossbar in network.crossbars]
    corrections = _corrections(crossbars, fitted, EXACTLY)

    def layer(
        spikes: Tensor, g: Conductances, layer: int, threshold_V: float, deviation: Deviation | None = None
    ) -> LayerResponse:
        held = None if corrections is None else corrections[layer]
        return circuit_layer(spikes, g, layer, threshold_V, fitted, deviation, held)

    return layer, network.thresholds_V


CIRCUIT = Method(CircuitLayers, circuit_model, knows_circuit=True)
