"""Every method as predictor of one and the same net, against what ngspice said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.experiment import Experiment
from spicetrain.inverter.definition import own_settings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.verification.figures import compare
from spicetrain.inverter.verification.outputs import Outputs
from spicetrain.inverter.verification.verify import EXACT
from spicetrain.keyed import Recipe
from spicetrain.progress import track
from spicetrain.runfolder import NETWORK, SUMMARY, SURROGATES, VERIFICATION
from spicetrain.schema import Definition
from spicetrain.storage import read_json, write_json
from spicetrain.system import Bench

CROSS = "cross.json"
FIGURES = ("error_mean_V", "error_rms_V", "error_max_V", "agreement", "accuracy_model", "solver_unconverged")
COLUMNS = ("dataset", "cell", "method", "seed", "predictor", *FIGURES)
"""accuracy_model is the predictor's."""

_CROSS = Recipe("cross", 2)


def cross_scores(bench: Bench, others: Iterable[Experiment]) -> dict[str, Any]:
    """Output errors of every predictor on the net of a verified run folder, by method; what is returned is written as
    cross.json.

    others  the experiments of this dataset, in order: a method predicts with its own settings of the net, on the nets
            of other methods with those of the first of these that it trains

    float64, on the images of verification.parquet. A predictor whose surrogate was not fitted has {"missing": why} for
    its scores. Scores that are there already, of the same net, are kept.

    Raises StorageError when an artefact is damaged.
    """
    files = bench.files
    if bench.dataset.targets is not None:  # the scores are of classes
        return {}
    network, surrogates = Network.load(files / NETWORK), Surrogates.load(files / SURROGATES)
    settings, verified = settings_of_methods(network, others), read_json(files / SUMMARY)["key"]
    keys = {
        name: _CROSS.key(network=network, technology=bench.technology, surrogates=surrogates, verified=verified,
                         method=name, settings=settings[name])
        for name in METHODS
    }  # fmt: skip
    kept = _kept(files / CROSS)
    scores = {name: kept[name] for name, key in keys.items() if kept.get(name, {}).get("key") == key}
    missing = [name for name in METHODS if name not in scores]
    if not missing:
        return scores
    outputs = _outputs(bench)
    inputs = bench.dataset.test_inputs[outputs.image]
    circuit = FittedCircuit(bench.technology, surrogates, torch.float64, tolerance=EXACT)
    with track(f"cross-score {files}", len(missing), "methods") as bar:
        for name in missing:
            bar.update(method=name)
            scores[name] = {**_score(network, inputs, circuit, name, settings[name], outputs), "key": keys[name]}
            bar.advance()
    ordered = {name: scores[name] for name in METHODS}
    write_json(files / CROSS, ordered)
    return ordered


def settings_of_methods(network: Network, others: Iterable[Experiment]) -> Mapping[str, Definition]:
    """The settings that each method brings when it predicts this net."""
    found = {name: METHODS[name].settings() for name in METHODS}
    seen = set()
    for experiment in others:
        method = experiment.training.method
        if method not in seen:
            seen.add(method)
            found[method] = experiment.training.of(method)
    return found | {str(network.about["method"]): own_settings(network.about)}


def cross_table(ours: pd.DataFrame, root: Path) -> pd.DataFrame:
    """A row a cell and predictor: errors of `predictor` on the net that `method` trained; columns COLUMNS.

    ours  rows of a comparison's table, whose folders are below `root`
    """
    rows = []
    for cell in ours.itertuples():
        for predictor, scores in _kept(root / str(cell.folder) / CROSS).items():
            if "missing" not in scores:
                identity = (cell.dataset, cell.cell, cell.method, cell.seed, predictor)
                rows.append((*identity, *(scores[name] for name in FIGURES)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    """What cross.json holds, nothing when it is absent; StorageError when it is damaged."""
    found = read_json(path) if path.exists() else {}
    if isinstance(found, dict) and all(map(_are_scores, found.values())):
        return found
    raise StorageError(f"{path} is not what a comparison writes. Remove it; `spicetrain compare` writes it again.")


def _are_scores(found: object) -> bool:
    return isinstance(found, dict) and ("missing" in found or found.keys() >= {*FIGURES, "key"})


def _score(
    network: Network, inputs: NDArray, circuit: FittedCircuit, method: str, settings: Definition, outputs: Outputs
) -> dict[str, Any]:
    try:
        predicted = predict(network, inputs, circuit, method, settings)
    except ConfigurationError as error:
        return {"missing": str(error)}
    figures = compare(predicted.outputs.numpy(), outputs.spice_V, outputs.label)
    return {**figures, "solver_unconverged": predicted.convergence.unconverged}


def _outputs(bench: Bench) -> Outputs:
    path = bench.files / VERIFICATION
    try:
        outputs = Outputs.of(pd.read_parquet(path))
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"Cannot read {path}: {error}. Remove it; the same command writes it again.") from error
    if np.any(bench.dataset.test_labels[outputs.image] != outputs.label):
        raise StorageError(f"{path} is of other images than {bench.dataset.name}'s. Remove it and verify again.")
    return outputs
