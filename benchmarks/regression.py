"""What a float network of the same width reaches on the functions to be learnt, beside a run's summary.json.

Prints, a row a target: rms error of scikit-learn's MLPRegressor (tanh, best of three seeds, L-BFGS), of the preset's
network in its own model and in ngspice (from RUNS/<name>-kcl/summary.json, where there is one), and their ratio.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from spicetrain.datasets import Dataset, load_dataset
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.storage import read_json

WIDTHS = {"sobel": 8, "inversek2j": 8, "blackscholes": 8}
_SEEDS = range(3)


def float_rms(data: Dataset, hidden: int) -> np.ndarray:
    """Of the test samples, of every target in its own unit: of the seed that fits the training samples best."""
    mean, spread = data.train_labels.mean(axis=0), data.train_labels.std(axis=0)
    scaled = (data.train_labels - mean) / spread
    wanted = scaled[:, 0] if scaled.shape[1] == 1 else scaled
    found = [
        MLPRegressor(
            hidden_layer_sizes=(hidden,), activation="tanh", solver="lbfgs", alpha=0.0, max_iter=3000, random_state=seed
        ).fit(data.train_inputs, wanted)
        for seed in _SEEDS
    ]
    best = min(found, key=lambda one: float(one.loss_))
    predicted = best.predict(data.test_inputs).reshape(len(data.test_inputs), -1) * spread + mean
    return np.asarray(np.sqrt(np.mean((predicted - data.test_labels) ** 2, axis=0)))


def main(runs: Path) -> None:
    print(f"{'target':28} {'float':>10} {'model':>10} {'ngspice':>10} {'ratio':>6} {'R2':>9}")
    for name, hidden in WIDTHS.items():
        data = load_dataset(name)
        path = runs / f"{name}-kcl" / "summary.json"
        summary = InverterSummary.model_validate(read_json(path)) if path.is_file() else None
        for target, floating in zip(data.outputs, float_rms(data, hidden), strict=True):
            row = f"{name + ' ' + target:28} {floating:10.5f}"
            if summary is not None and summary.regression is not None:
                one = summary.regression.outputs[target]
                ratio = one.rms_spice / floating
                row += f" {one.rms_model:10.5f} {one.rms_spice:10.5f} {ratio:6.2f} {one.r2_spice:9.5f}"
            print(row)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="?", default=Path("runs"), help="folder of the run folders")
    main(parser.parse_args().runs)
