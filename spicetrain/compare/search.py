"""A setting chosen by validation, for a method that has one to choose: the frozen load of phax, the resistor of rim.

Each value trains with some training images kept out, and is judged by how many of them the trained network classifies
in the circuit, not in the method's own view: as kcl predicts it, which is asked to choose ngspice's class for at least
99.95 % of images. Test images are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from spicetrain.compare.cells import SEARCH, Cell
from spicetrain.compare.definition import Search, label, merged, nested
from spicetrain.datasets import Dataset
from spicetrain.experiment import SURROGATES, Experiment, Run
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.model import predict
from spicetrain.storage import content_hash, write_json
from spicetrain.training.kept_out import kept_out

VERSION = 1
"""Part of the key by which a finished search is recognised: raise it when its scores change."""

Prepare = Callable[[Run], None]


def trial_experiment(cell: Cell, search: Search, value: object) -> Experiment:
    """The cell's own with `value`, some training images kept out, and the search's epochs if it has its own."""
    training: dict[str, Any] = {"validation": search.validation}
    if search.epochs is not None:
        training["epochs"] = search.epochs
    return cell.experiment(merged({"training": training}, nested(search.setting, value)))


def run_search(cell: Cell, search: Search, open_run: Callable[..., Run], prepare: Prepare) -> dict[str, Any]:
    """Try every value; what is returned is written as search.json, and kept while nothing it depends on changes.

    cell     of the first seed
    prepare  gives a run its surrogates
    """
    trials = {label(value): trial_experiment(cell, search, value) for value in search.values}
    key = _key(trials)
    if (kept := cell.search()) is not None and kept["key"] == key:
        return kept
    scores = []
    for value, (name, experiment) in zip(search.values, trials.items(), strict=True):
        run = open_run(experiment, cell.group / "search" / name)
        prepare(run)
        network = run.train()
        assert isinstance(network, Network)  # load_comparison lets no other system search
        scores.append({"value": value, **score(network, run)})
    best = max(range(len(scores)), key=lambda index: scores[index]["accuracy_circuit"])  # the first of equals
    found = {
        "setting": search.setting,
        "chosen": search.values[best],
        "seed": cell.seed,
        "validation": search.validation,
        "epochs": next(iter(trials.values())).training.epochs,
        "judged": "accuracy on kept-out training images in the circuit as kcl predicts it",
        "trials": scores,
        "key": key,
    }
    write_json(cell.group / SEARCH, found)
    return found


def score(network: Network, run: Run) -> dict[str, float]:
    """Accuracy on the images that `run` kept out, in the circuit as kcl predicts it and in the method's own view."""
    inputs, labels = _kept_out(run.dataset, run.experiment.training.validation)
    load = network.about["phax_load_S"]
    circuit = Circuit(run.technology, Surrogates.load(run.folder / SURROGATES), torch.float32, phax_load_S=load)
    accuracies = {}
    for name, method in (("circuit", "kcl"), ("model", str(network.about["method"]))):
        outputs = predict(network, inputs, circuit, method)[-1].v_n.numpy()
        accuracies[f"accuracy_{name}"] = float(np.mean(outputs.argmax(1) == labels))
    return accuracies


def _kept_out(dataset: Dataset, number: int) -> tuple[np.ndarray, np.ndarray]:
    kept = kept_out(dataset, number)[1]
    return dataset.train_inputs[kept], dataset.train_labels[kept]


def _key(trials: dict[str, Experiment]) -> str:
    """Of everything that the scores depend on besides the technology, whose change the trials' own folders refuse."""
    return content_hash(VERSION, {name: _text(experiment.trained_as()) for name, experiment in trials.items()})


def _text(settings: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}
