"""The spiking circuits the benchmarks are run on: run folders', or shipped ones, measured and fitted here."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from spicetrain.datasets import load_dataset
from spicetrain.datasets.dataset import Dataset
from spicetrain.run import Run
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import CircuitSettings, SpikingExperiment
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.systems import load_experiment
from spicetrain.technology import Technology

SHAPE = (784, 100, 10)


@dataclass(frozen=True)
class Measured:
    """A circuit, the technology it is of, the laws that were fitted to it; the run folder they are from, if any."""

    circuit: SpikingCircuit
    technology: Technology
    laws: SpikingLaws
    run: Path | None


def measured(array: str, runs: Sequence[Path] = ()) -> Measured:
    """The circuit of the first run folder whose array is `array`, "1r" or "1t1r"; of none lif-<array> in ptm90,
    measured and fitted now (some seconds; what the cache knows is not measured again)."""
    for folder in runs:
        run = Run(load_experiment(folder), folder)
        if _experiment(run).circuit.load().array == array:
            return _of(run, folder)
    with tempfile.TemporaryDirectory(prefix="spicetrain-benchmark-") as name:
        shipped = load_experiment("mnist-snn-circuit")
        made = Run(shipped.model_copy(update={"circuit": CircuitSettings(name=f"lif-{array}")}), Path(name) / "run")
        made.characterize()
        made.fit_surrogates()
        return _of(made, None)


def _experiment(run: Run) -> SpikingExperiment:
    return cast(SpikingExperiment, run.experiment)


def _of(run: Run, folder: Path | None) -> Measured:
    return Measured(_experiment(run).circuit.load(), run.technology, run.surrogates(), folder)


def data(layers: Sequence[int], samples: int) -> Dataset:
    """MNIST where it fits, else `samples` random ones to train on and as many to test."""
    if (layers[0], layers[-1]) == (SHAPE[0], SHAPE[-1]):
        return load_dataset("mnist")
    rng = np.random.default_rng(0)
    inputs = rng.random((2, samples, layers[0])).astype(np.float32)
    labels = rng.integers(layers[-1], size=(2, samples))
    classes = tuple(str(k) for k in range(layers[-1]))
    return Dataset("random", inputs[0], labels[0], inputs[1], labels[1], classes)
