"""One test image, with what a network's own method says that its outputs are."""

from __future__ import annotations

import torch

from spicetrain.datasets import Dataset
from spicetrain.inverter.definition import own_settings
from spicetrain.inverter.netlists.subcircuit import Shown
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.newton import EXACT
from spicetrain.technology import Technology


def shown_image(
    network: Network, technology: Technology, surrogates: Surrogates, dataset: Dataset, image: int
) -> Shown:
    """Predicted as `verify` does, in float64, in `technology`, that of the surrogates."""
    inputs = dataset.test_inputs[image : image + 1]
    circuit = FittedCircuit(technology, surrogates, torch.float64, tolerance=EXACT)
    predicted = predict(network, inputs, circuit, str(network.about["method"]), own_settings(network.about))
    return Shown(image, inputs[0], _label(dataset, image), predicted.outputs[0].detach().cpu().numpy())


def _label(dataset: Dataset, image: int) -> str:
    label = dataset.test_labels[image]
    if dataset.targets is None:
        return f"{int(label)} ({dataset.classes[int(label)]})"
    named = zip(dataset.targets.names, label.tolist(), strict=True)
    return ", ".join(f"{name} = {value:g}" for name, value in named)
