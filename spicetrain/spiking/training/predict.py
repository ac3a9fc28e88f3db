"""What a programmed spiking network does with given input spikes, in float64, by the circuit's or the regular model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.array.conductances import Conductances
from spicetrain.errors import ArchitectureMismatch
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.inputs import Inputs
from spicetrain.spiking.methods import METHODS
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.layers import Layer
from spicetrain.technology import Technology

Answer = tuple[NDArray[np.bool_], NDArray[np.float64]]


def predict(
    network: SpikingNetwork,
    spikes: Inputs,
    circuit: SpikingCircuit,
    laws: SpikingLaws | None,
    method: str = "circuit",
    *,
    batch: int = 100,
    deviations: Sequence[Deviation] | None = None,
    technology: Technology | None = None,
) -> list[Answer]:
    """Of every layer: (spikes [images, steps, columns], membranes at the latch [images, steps, columns] in volts).

    spikes  of the inputs, [images, steps, rows], or levels in 0..1 of the encoder `direct`
    method  whose model: "circuit" by the `laws` of the circuit and the network's thresholds; "regular": leaky
            integrate-and-fire neurons with these conductances and what network.about states, no laws wanted
    deviations  by layer, of the neurons from those of the circuit, which the circuit's model alone knows
    technology  whose wires the arrays have, which it alone knows likewise; None: ideal ones

    ArchitectureMismatch when the spikes are of another width; ConfigurationError when the laws, or what the method
    wants of network.about, are absent.
    """
    if spikes.ndim != 3 or spikes.shape[2] != network.layers[0]:
        raise ArchitectureMismatch(
            f"Input spikes of shape {spikes.shape} for a network of {network.layers[0]} rows: give [images, steps, "
            f"{network.layers[0]}]."
        )
    layer, thresholds_V = METHODS[method].model(network, circuit, laws, technology)
    layers = [layer if deviations is None else partial(layer, deviation=one) for one in deviations or network.crossbars]
    parts = [_forward(network, spikes[i : i + batch], layers, thresholds_V) for i in range(0, len(spikes), batch)]
    return [
        (np.concatenate([fired for fired, _ in answers]), np.concatenate([v for _, v in answers]))
        for answers in zip(*parts, strict=True)
    ]


@torch.no_grad()
def _forward(
    network: SpikingNetwork, spikes: Inputs, layers: Sequence[Layer], thresholds_V: Sequence[float]
) -> list[Answer]:
    signal = torch.as_tensor(spikes).transpose(0, 1).double()
    answers = []
    for index, (crossbar, threshold_V, layer) in enumerate(zip(network.crossbars, thresholds_V, layers, strict=True)):
        signal, v, _ = layer(signal, Conductances.of(crossbar, torch.float64), index, threshold_V)
        answers.append((signal.transpose(0, 1).bool().numpy(), v.transpose(0, 1).numpy()))
    return answers
