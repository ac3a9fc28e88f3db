"""A trained network with its wires placed in every way: where columns are sensed, and which inputs drive which rows.

By the kcl model with the exact mesh, on training images: test images judge, they do not choose.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pandas as pd
import torch
from numpy.typing import NDArray

from spicetrain.array.placement import variance_ranking
from spicetrain.array.wires import Place, RowOrder
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.goal import Classification
from spicetrain.inverter.training.model import predict
from spicetrain.technology import Technology
from spicetrain.training.held_out import held_out

IMAGES = 1000  # where training kept none out


def placements(
    network: Network,
    technology: Technology,
    surrogates: Surrogates,
    dataset: Dataset,
    *,
    kept_out: int,
    logit_V: float,
) -> pd.DataFrame:
    """A row a placement, the least loss first: columns_sensed, row_order, accuracy, loss; all else as `technology` has
    it. Of the `kept_out` training images that training did not see, or of 1,000 that it saw.

    ConfigurationError when the technology has no wires.
    """
    if technology.wires is None:
        raise ConfigurationError(
            f"Nothing to place: {technology.name} has no [wires]. For a network that was trained between ideal wires "
            "give them with --verification.conditions.wires.row-ohm 5 --verification.conditions.wires.column-ohm 5."
        )
    images = held_out(dataset, kept_out or min(IMAGES, len(dataset.train_labels) // 2))[1]
    inputs, labels = dataset.train_inputs[images], dataset.train_labels[images]
    ranked = replace(network, row_ranking=variance_ranking(dataset.train_inputs))
    rows = []
    for sensed, order in product(get_args(Place), get_args(RowOrder)):
        wires = technology.wires.model_copy(update={"columns_sensed": sensed, "row_order": order})
        circuit = FittedCircuit(technology.changed(wires=wires), surrogates, torch.float32)
        rows.append((sensed, order, *_judged(ranked, inputs, labels, circuit, logit_V)))
    found = pd.DataFrame(rows, columns=["columns_sensed", "row_order", "accuracy", "loss"])
    return found.sort_values("loss", kind="stable", ignore_index=True)


def _judged(
    network: Network, inputs: NDArray, labels: NDArray, circuit: FittedCircuit, logit_V: float
) -> tuple[float, float]:
    """(accuracy, loss)."""
    outputs, goal = predict(network, inputs, circuit, "kcl").outputs, Classification(circuit.rails, logit_V)
    loss = goal.loss(outputs, torch.as_tensor(labels, dtype=torch.long))
    return goal.score(outputs.numpy(), labels)["accuracy"], float(loss)
