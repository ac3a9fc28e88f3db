"""Every method as predictor of one and the same net, against what ngspice said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spicetrain.compare.cells import CROSS, Cell, read_json_if_there
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.experiment import NETWORK, SUMMARY, SURROGATES, Run
from spicetrain.inverter.network import Network
from spicetrain.inverter.report.outputs import Outputs
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.methods import METHODS
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.verification.figures import compare
from spicetrain.inverter.verification.verify import EXACT
from spicetrain.progress import track
from spicetrain.storage import content_hash, read_json, write_json

VERSION = 1
"""Part of the key by which finished cross-scores are recognised: raise it when a method's predictions change."""


def cross_scores(cell: Cell, run: Run) -> dict[str, Any]:
    """Output errors of every predictor on the cell's net, by method; what is returned is written as cross.json.

    float64, on the images of verification.parquet. phax predicts with the frozen load it was trained with, on the nets
    of other methods with the one that this dataset's first phax cell chose. A predictor whose surrogate was not fitted
    has {"missing": why} for its scores. Scores that are there already, of the same net, are kept.

    Raises StorageError when an artefact of the cell is damaged.
    """
    network, surrogates = Network.load(run.folder / NETWORK), Surrogates.load(run.folder / SURROGATES)
    load_S, verified = phax_load_S(cell, network), read_json(run.folder / SUMMARY)["key"]
    basis = (VERSION, network.fingerprint, run.technology.fingerprint, surrogates.fingerprint, verified)
    keys = {name: content_hash(*basis, name, load_S if name == "phax" else 0.0) for name in METHODS}
    kept = read_json_if_there(run.folder / CROSS, ()) or {}
    scores = {name: kept[name] for name, key in keys.items() if kept.get(name, {}).get("key") == key}
    missing = [name for name in METHODS if name not in scores]
    if not missing:
        return scores
    outputs = _outputs(run)
    inputs = run.dataset.test_inputs[outputs.image]
    with track(f"cross-score {cell}", len(missing), "methods") as bar:
        for name in missing:
            bar.update(method=name)
            circuit = Circuit(run.technology, surrogates, torch.float64, tolerance=EXACT, phax_load_S=load_S)
            scores[name] = {**_score(network, inputs, circuit, name, outputs), "key": keys[name]}
            bar.advance()
    ordered = {name: scores[name] for name in METHODS}
    write_json(run.folder / CROSS, ordered)
    return ordered


def phax_load_S(cell: Cell, network: Network) -> float:
    """The frozen load with which phax predicts this cell's net, siemens."""
    own = float(network.about.get("phax_load_S", 0.0))
    if network.about["method"] == "phax":
        return own
    seed = cell.comparison.seeds[0]
    for name in cell.comparison.methods:
        training = Cell(cell.comparison, cell.root, cell.dataset, name, seed).experiment().training
        if training.method == "phax":
            return training.phax_load_S
    return own


def _score(network: Network, inputs: NDArray, circuit: Circuit, method: str, outputs: Outputs) -> dict[str, Any]:
    try:
        predicted_V = predict(network, inputs, circuit, method)[-1].v_n.numpy()
    except ConfigurationError as error:
        return {"missing": str(error)}
    figures = compare(predicted_V, outputs.spice_V, outputs.label)
    return {**figures, "solver_unconverged": circuit.effort.unconverged}


def _outputs(run: Run) -> Outputs:
    path = run.folder / "verification.parquet"
    try:
        outputs = Outputs.of(pd.read_parquet(path))
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"Cannot read {path}: {error}. Remove it; the same command writes it again.") from error
    if np.any(run.dataset.test_labels[outputs.image] != outputs.label):
        raise StorageError(f"{path} is of other images than {run.dataset.name}'s. Remove it and verify again.")
    return outputs
