"""What a run's spiking network is as linear neurons, and what its own model answers to test images, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import Readout, SpikingNetworkSettings
from spicetrain.spiking.inputs import Inputs
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.linearised import LinearNeurons, circuit_neurons, regular_neurons
from spicetrain.spiking.training.predict import Answer, predict
from spicetrain.spiking.training.readout import scores
from spicetrain.technology import Technology

IMAGES = 100
"""Of training, where a circuit is linearised, and of test, on which the two are compared; or all there are."""


@dataclass(frozen=True)
class LinearView:
    """layers    the network; inputs  of test images, [images, steps, rows]; answers  of its own model to them, by layer
    model     regular or circuit; clock_step_s  of the circuit
    """

    layers: Sequence[LinearNeurons]
    inputs: Inputs
    answers: Sequence[Answer]
    model: str
    clock_step_s: float
    readout: Readout

    def differing(self, read: Sequence[Answer]) -> tuple[float, float, float]:
        """Of another reading's answers to the same inputs, by layer: (the share of all places for a spike, of layers
        that fire, where it differs; of the model's spikes; of images of another class)."""
        firing = [k for k, layer in enumerate(self.layers) if layer.fires]
        different = sum(int((read[k][0] != self.answers[k][0]).sum()) for k in firing)
        places, spikes = (sum(int(of(self.answers[k][0])) for k in firing) for of in (np.size, np.sum))
        classes = float((self._classes(read[-1]) != self._classes(self.answers[-1])).mean())
        return different / max(places, 1), different / max(spikes, 1), classes

    def _classes(self, outputs: Answer) -> NDArray[np.int64]:
        fired, membranes = (torch.as_tensor(values).transpose(0, 1).double() for values in outputs)
        found: NDArray[np.int64] = scores(LayerResponse(fired, membranes), self.readout).argmax(1).numpy()
        return found


def linear_view(
    network: SpikingNetwork,
    circuit: SpikingCircuit,
    laws: SpikingLaws | None,
    technology: Technology,
    dataset: Dataset,
    shape: SpikingNetworkSettings,
) -> LinearView:
    """As the method that trained it has it: exactly of `regular`, which wants no laws, linearised of `circuit`."""
    inputs = encode(dataset.test_inputs[:IMAGES], shape, shape.encoder_seed)
    if laws is None:
        model, layers = "regular", regular_neurons(network, circuit)
    else:
        seen = encode(dataset.train_inputs[:IMAGES], shape, shape.encoder_seed + 1)
        model, layers = "circuit", circuit_neurons(network, circuit, laws, seen)
    answers = predict(network, inputs, circuit, laws, model, technology=technology)
    return LinearView(layers, inputs, answers, model, circuit.clock.step_s, shape.readout)
