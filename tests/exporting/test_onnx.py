"""The ONNX file, run by onnx's reference evaluator, against the ideal method's own prediction."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bent import bending
from inverter.training.circuits import fitted_surface
from test_maps import random_network
from tiny import finished

from spicetrain.cli import main
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.exporting import EXPORTS, Export
from spicetrain.inverter.definition import InverterExperiment
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.run import Run
from spicetrain.systems import SYSTEMS
from spicetrain.technology import Technology


def needed() -> Any:
    return pytest.importorskip("onnx", reason="the extra [onnx] is not installed")


def evaluated(path: Path, inputs: Any) -> Any:
    reference = pytest.importorskip("onnx.reference", reason="the extra [onnx] is not installed")
    return reference.ReferenceEvaluator(str(path)).run(None, {"inputs": np.asarray(inputs, np.float64)})[0]


def exported(network: Any, technology: Technology, folder: Path) -> Path:
    experiment = InverterExperiment.model_validate({"dataset": {"name": "iris"}})
    bench: Any = SimpleNamespace(experiment=experiment, technology=technology, dataset=load_dataset("iris"))
    export = Export(bench, SYSTEMS["inverter"], network, lambda: Surrogates(fitted_surface()))
    EXPORTS["onnx"].write(export, folder / "network.onnx")
    return folder / "network.onnx"


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
@pytest.mark.parametrize("layers", [(4, 3), (4, 6, 3), (4, 5, 2, 3)])
def test_it_is_the_ideal_method(layers: tuple[int, ...], encoding: Any, ptm90: Technology, tmp_path: Path) -> None:
    onnx = needed()
    network = replace(random_network(ptm90, *layers, bias_pairs=2), encoding=encoding, about={"method": "ideal"})
    path = exported(network, ptm90, tmp_path)
    inputs = np.random.default_rng(1).random((7, 4))
    circuit = FittedCircuit(ptm90, Surrogates(fitted_surface()), torch.float64)
    expected = predict(network, inputs, circuit, "ideal").outputs.numpy()
    np.testing.assert_allclose(evaluated(path, inputs), expected, rtol=0, atol=1e-12)
    facts = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert float(facts["differing_V"]) == float(facts["differing_classes"]) == 0
    assert facts["what"].startswith("The ideal view") and facts["what_not"].startswith("Not the circuit")


def test_it_says_how_far_the_run_s_own_method_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = needed()
    path = tmp_path / "mine.onnx"
    assert main(["export", str(finished().folder), "--to", "onnx", "--out", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{path}\n"
    run = Run.open(finished().folder)
    circuit = FittedCircuit(run.technology, run.surrogates(), torch.float64)
    own = predict(run.network(), run.dataset.test_inputs, circuit, "kcl").outputs.numpy()  # type: ignore[arg-type]
    found = evaluated(path, run.dataset.test_inputs)
    facts = {one.key: one.value for one in onnx.load(path).metadata_props}
    rms_V = float(np.sqrt(np.mean((found - own) ** 2)))
    assert float(facts["differing_V"]) == pytest.approx(rms_V, rel=1e-4) and rms_V > 1e-3
    assert float(facts["differing_classes"]) == (found.argmax(1) != own.argmax(1)).mean()
    assert f"{rms_V:.3g} V, rms, from those of the method 'kcl'" in said.err


def test_what_is_no_linear_map_is_refused(ptm90: Technology, tmp_path: Path) -> None:
    needed()
    network = replace(random_network(ptm90, 4, 3), about={"method": "ideal"})
    with pytest.raises(ConfigurationError, match="devices of memristor.form = 'sinh' bend"):
        exported(network, bending(ptm90, "sinh"), tmp_path)
    with pytest.raises(ConfigurationError, match="ONNX is of inverter-based networks; the system is 'spiking'"):
        SYSTEMS["spiking"].ideal_view(None, None, None)  # type: ignore[arg-type]


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, ptm90: Technology) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigurationError, match=r"pip install spicetrain\[onnx\]"):
        exported(None, ptm90, Path("nowhere"))
