"""How right a network is on training images that were kept out, in the circuit: what a search goes by.

In the circuit, not in the method's own view: as kcl predicts it, which is asked to choose ngspice's class for at least
99.95 % of images. Test images are not looked at.
"""

from __future__ import annotations

import numpy as np
import torch

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import own_settings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.runfolder import SURROGATES
from spicetrain.system import Bench
from spicetrain.training.held_out import held_out


def score(bench: Bench, network: Network) -> dict[str, float]:
    """accuracy_circuit as kcl predicts it, accuracy_model in the method's own view, shares."""
    if bench.dataset.targets is not None:
        raise ConfigurationError(
            f"A search goes by accuracy, and {bench.dataset.name} is a regression: give the value."
        )
    kept = held_out(bench.dataset, bench.experiment.training.validation)[1]
    inputs, labels = bench.dataset.train_inputs[kept], bench.dataset.train_labels[kept]
    circuit = FittedCircuit(bench.technology, Surrogates.load(bench.files / SURROGATES), torch.float32)
    method = str(network.about["method"])
    own = own_settings(network.about)
    accuracies = {}
    for name, predictor, settings in (("circuit", "kcl", None), ("model", method, own)):
        outputs = predict(network, inputs, circuit, predictor, settings).outputs.numpy()
        accuracies[f"accuracy_{name}"] = float(np.mean(outputs.argmax(1) == labels))
    return accuracies
