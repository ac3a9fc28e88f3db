"""The regular method: the weights of a leaky integrate-and-fire network as everybody trains it, mapped to conductances
afterwards, thresholds then set to its own spike rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.errors import ConfigurationError
from spicetrain.schema import Definition
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingTrainingSettings
from spicetrain.spiking.methods import Method
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.calibrate import calibrated
from spicetrain.spiking.training.drawn import DrawnChips
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import Layer, LayerResponse, Layers
from spicetrain.spiking.training.neuron_bias import untuned
from spicetrain.spiking.training.parameters import SynapseParameters, mapped, unit_of
from spicetrain.spiking.training.regular_layer import RegularNeuron, leaky, regular_layer, spike_volts
from spicetrain.spiking.training.static import firing_rate
from spicetrain.technology import Technology


class RegularSettings(Definition):
    """beta                what a step leaves of a membrane
    clip_quantile       the share of a layer's weights that keep their size; g_max is what the largest of these gets,
                        and larger ones no more
    calibration_images  training images on which the circuit's thresholds are set; 0 leaves them as a linear neuron
                        would have them
    calibration         what is set on them: "layer", one threshold a layer; "neuron", then also every neuron by itself,
                        with the two devices of its bias (neuron_bias.py)
    """

    beta: Annotated[float, Field(gt=0, lt=1)] = 0.9
    clip_quantile: Annotated[float, Field(gt=0, le=1)] = 0.999
    calibration_images: int = Field(default=300, ge=0)
    calibration: Literal["layer", "neuron"] = "layer"

    @model_validator(mode="after")
    def _on_images(self) -> Self:
        if self.calibration == "neuron" and not self.calibration_images:
            raise ValueError(
                "calibration = 'neuron' counts spikes of training images, and calibration_images = 0: give some hundred"
            )
        return self

    @model_serializer(mode="wrap")
    def _said(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """By layer it says what it did before there was a choice: of trainings, what they are known by."""
        return {key: value for key, value in dump(self).items() if (key, value) != ("calibration", "layer")}


class RegularLayers(Layers):
    """Layers as snntorch has them; synapses know no bounds."""

    def __init__(self, fitted: FittedSpikingCircuit, device: Device, settings: SpikingTrainingSettings) -> None:
        self.fitted, self.device, self.slope = fitted, device, settings.surrogate_slope
        self.settings: RegularSettings = settings.of("regular")
        self.thresholds_V: tuple[float, ...] | None = None

    def forward(
        self, spikes: Tensor, parameters: SynapseParameters, layer: int, drawn: DrawnChips | None = None
    ) -> LayerResponse:
        fires = layer != self.fitted.integrator
        if drawn is None:
            return LayerResponse(*leaky(spikes, parameters.weights, self.settings.beta, self.slope, fires=fires))
        # What a chip's devices and thresholds are off by, in the units that its weights are trained in.
        g, threshold_V = self.programmed(parameters, layer)
        circuit = self.fitted.circuit
        built = drawn.conductances(g)
        off_V = spike_volts(built, circuit, layer) - spike_volts(g, circuit, layer)
        deviation, higher = drawn.deviation(layer, spikes.shape[1], built), None
        if deviation is not None:
            if deviation.cells is not None:  # at rest, as everything that a regular neuron knows of its cells
                off_V = off_V + circuit.clock.integrate_s / circuit.capacitance_F(layer) * deviation.cells[0]
            on_chip_V = threshold_V if self.thresholds_V is None else self.thresholds_V[layer]
            higher = deviation.trip_V / max(on_chip_V - circuit.rest_V, drawn.trip_sigma_V(layer))
        weights = parameters.weights + off_V / (threshold_V - circuit.rest_V)
        return LayerResponse(*leaky(spikes, weights, self.settings.beta, self.slope, higher, fires))

    def static(self, rates: Tensor, parameters: SynapseParameters, layer: int, steps: int) -> LayerResponse:
        beta, weights = self.settings.beta, parameters.weights
        z = torch.addmm(weights[-1], rates, weights[:-1]) / (1 - beta)
        return LayerResponse(firing_rate(z, -math.log(beta))[None], (z * (1 - beta**steps))[None])

    def begin(self, network: Callable[[], SpikingNetwork], spikes: Callable[[int], NDArray[np.bool_]]) -> None:
        """A mismatch is in volts, and counts as much as the threshold that it shifts is low: that of the chip, which is
        set as `finished` sets it."""
        if self.settings.calibration_images:
            self.thresholds_V = self._calibrated(network(), spikes, None).thresholds_V

    @torch.no_grad()
    def synapses(self, network: SpikingNetwork, layer: int) -> Tensor:
        g = untuned(Conductances.of(network.crossbars[layer], torch.float64), network, layer)
        swing_V = stated(network, "regular_thresholds_V")[layer] - self.fitted.circuit.rest_V
        return spike_volts(g, self.fitted.circuit, layer) / swing_V / unit_of(len(g.pos) + 1)

    def programmed(self, parameters: SynapseParameters, layer: int) -> tuple[Conductances, float]:
        return mapped(parameters.weights, self.fitted.circuit, layer, self.device, self.settings.clip_quantile)

    def finished(self, network: SpikingNetwork, spikes: Callable[[int], NDArray[np.bool_]]) -> SpikingNetwork:
        if not self.settings.calibration_images:
            return network
        return self._calibrated(network, spikes, self.device if self.settings.calibration == "neuron" else None)

    def _calibrated(
        self, network: SpikingNetwork, spikes: Callable[[int], NDArray[np.bool_]], memristor: Device | None
    ) -> SpikingNetwork:
        images, fitted = spikes(self.settings.calibration_images), self.fitted
        return calibrated(network, images, fitted.circuit, fitted.laws, fitted.technology, memristor=memristor)


def regular_model(
    network: SpikingNetwork, circuit: SpikingCircuit, laws: SpikingLaws | None, technology: Technology | None = None
) -> tuple[Layer, Sequence[float]]:
    """(one layer, thresholds in volts) of a network as a regular one, in float64; it wants no laws, and knows no wires.
    ConfigurationError when the network does not say what it needs."""
    neuron = RegularNeuron(circuit, regular_beta(network), integrator=network.integrator)
    thresholds_V = tuple(stated(network, "regular_thresholds_V"))
    return lambda spikes, g, layer, threshold_V: LayerResponse(
        *regular_layer(spikes, untuned(g, network, layer), layer, threshold_V, neuron)
    ), thresholds_V


def regular_beta(network: SpikingNetwork) -> float:
    """What a step leaves of a membrane of its regular model; a network that another method trained has the default."""
    own = network.about.get("method", "regular") == "regular" or "beta" in network.about
    return float(stated(network, "beta", "regular")) if own else RegularSettings().beta


def stated(network: SpikingNetwork, key: str, table: str | None = None) -> Any:
    """What the network's provenance says of its regular model, in `table` or beside it."""
    about = network.about.get(table, {}) if table else {}
    if key in about:
        return about[key]
    if key not in network.about:
        raise ConfigurationError(
            f"The network does not state {key!r} in `about`, which its regular model needs. Networks that spicetrain "
            "trained do: train it again, or set it there."
        )
    return network.about[key]


REGULAR = Method(
    RegularLayers, regular_model, settings=RegularSettings, images=lambda settings: settings.calibration_images
)
