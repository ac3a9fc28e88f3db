"""What a programmed spiking network does with given input spikes, in float64, by the circuit's or the regular model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.circuit_layer import View, circuit_layer
from spicetrain.spiking.training.regular_layer import RegularView, regular_layer

SpikingModel = Literal["circuit", "regular"]
# (spikes [steps, samples, rows], conductances, layer, threshold in volts) -> (spikes, membranes in volts)
Layer = Callable[[Tensor, Conductances, int, float], tuple[Tensor, Tensor]]
Answer = tuple[NDArray[np.bool_], NDArray[np.float64]]


def predict(
    network: SpikingNetwork,
    spikes: NDArray[np.bool_],
    circuit: SpikingCircuit,
    laws: SpikingLaws | None,
    model: SpikingModel = "circuit",
    *,
    batch: int = 100,
) -> list[Answer]:
    """Of every layer: (spikes [images, steps, columns], membranes at the latch [images, steps, columns] in volts).

    spikes  of the inputs, [images, steps, rows]
    model   "circuit": `laws` of the circuit, the network's thresholds; "regular": leaky integrate-and-fire neurons
            with these conductances and the beta and thresholds that network.about states, no laws wanted

    ArchitectureMismatch when the spikes are of another width; ConfigurationError when the laws, or what the regular
    model wants of network.about, are absent.
    """
    if spikes.ndim != 3 or spikes.shape[2] != network.layers[0]:
        raise ArchitectureMismatch(
            f"Input spikes of shape {spikes.shape} for a network of {network.layers[0]} rows: give [images, steps, "
            f"{network.layers[0]}]."
        )
    layer, thresholds_V = layer_of(network, circuit, laws, model), thresholds_of(network, model)
    parts = [_forward(network, spikes[i : i + batch], layer, thresholds_V) for i in range(0, len(spikes), batch)]
    return [
        (np.concatenate([fired for fired, _ in layers]), np.concatenate([v for _, v in layers]))
        for layers in zip(*parts, strict=True)
    ]


def layer_of(network: SpikingNetwork, circuit: SpikingCircuit, laws: SpikingLaws | None, model: SpikingModel) -> Layer:
    """One layer of the network as the model has it, in float64."""
    if model == "regular":
        regular = RegularView(circuit, float(_told(network, "beta")))
        return lambda spikes, g, layer, threshold_V: regular_layer(spikes, g, layer, threshold_V, regular)
    if laws is None:
        raise ConfigurationError("The circuit's model needs the laws that were fitted to the circuit: give laws.")
    view = View(circuit, laws, torch.float64, 1.0)
    return lambda spikes, g, layer, threshold_V: circuit_layer(spikes, g, layer, threshold_V, view)


def thresholds_of(network: SpikingNetwork, model: SpikingModel) -> Sequence[float]:
    """Of each layer, volts."""
    return network.thresholds_V if model == "circuit" else tuple(_told(network, "regular_thresholds_V"))


@torch.no_grad()
def _forward(
    network: SpikingNetwork, spikes: NDArray[np.bool_], layer: Layer, thresholds_V: Sequence[float]
) -> list[Answer]:
    signal = torch.as_tensor(spikes).transpose(0, 1).double()
    answers = []
    for index, (crossbar, threshold_V) in enumerate(zip(network.crossbars, thresholds_V, strict=True)):
        signal, v = layer(signal, Conductances.of(crossbar, torch.float64), index, threshold_V)
        answers.append((signal.transpose(0, 1).bool().numpy(), v.transpose(0, 1).numpy()))
    return answers


def _told(network: SpikingNetwork, key: str) -> Any:
    if key not in network.about:
        raise ConfigurationError(
            f"The network does not tell {key!r} in `about`, which its regular model needs. Networks that spicetrain "
            "trained do: train it again, or set it there."
        )
    return network.about[key]
