"""Trainings of chips that vary: the same again, resumed, from some epoch on; every method of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted import interrupt_at, metrics

from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training import loop as inverter_loop
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.variation import TrainingDraws, training_statistics
from spicetrain.technology import Technology
from spicetrain.training import loop

from .circuits import EXACT

SHAPE = NetworkSettings(layers=(4, 3, 3), encoding="bipolar", inverter_sizes=(2.0, 1.0))
STEPS = 3  # 120 flowers in batches of 40
VARIATION = {"mismatch": 1.0, "programming": 0.1, "stuck_at_g_min": 0.05}


def settings(**changes: Any) -> TrainingSettings:
    values = {"epochs": 3, "batch_size": 40, "learning_rate": 0.05, "logit_V": 0.02, "device": "cpu", "threads": 1}
    return TrainingSettings.model_validate(values | {"variation": VARIATION} | changes)


class Trainer:
    def __init__(self, technology: Technology, surrogates: Surrogates) -> None:
        self.technology, self.surrogates, self.iris = technology, surrogates, load_dataset("iris")

    def __call__(self, folder: Path, shape: NetworkSettings = SHAPE, **changes: Any) -> Network:
        asked = settings(**changes)
        return inverter_loop.train(shape, asked, self.iris, self.technology, self.surrogates, folder)


@pytest.fixture
def train(ptm90: Technology, surface: CurrentSurface, beyond: CurrentSurface) -> Trainer:
    return Trainer(ptm90, Surrogates(surface, shifted_surface=beyond))


def conductances(network: Network) -> np.ndarray:
    return np.concatenate([value.ravel() for box in network.crossbars for value in vars(box).values()])


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in metrics(folder)]


def test_the_same_seed_meets_the_same_chips(train: Trainer, tmp_path: Path) -> None:
    one, again = (train(tmp_path / name) for name in ("one", "again"))
    assert np.array_equal(conductances(one), conductances(again))
    assert losses(tmp_path / "one") == losses(tmp_path / "again")
    changed: dict[str, dict[str, Any]] = {"another": {"seed": 1}, "none": {"variation": {}}}
    for name, changes in changed.items():
        other = train(tmp_path / name, **changes)
        assert not np.allclose(conductances(one), conductances(other), rtol=1e-3)


@pytest.mark.parametrize("of_what", [{"mismatch": 1.0}, {"programming": 0.1}, {"levels": 4}, {"read_noise": 0.05}])
def test_each_source_is_met(of_what: dict[str, Any], train: Trainer, tmp_path: Path) -> None:
    train(tmp_path / "with", epochs=1, variation=of_what)
    train(tmp_path / "without", epochs=1, variation={})
    assert abs(losses(tmp_path / "with")[0] / losses(tmp_path / "without")[0] - 1) > 1e-4


def test_an_interrupted_one_goes_on_to_the_same_network(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, loop, STEPS + 2)  # in the middle of the second epoch
        train(tmp_path / "broken")
    assert len(metrics(tmp_path / "broken")) == 1
    resumed = train(tmp_path / "broken")
    assert np.array_equal(conductances(whole), conductances(resumed))
    assert losses(tmp_path / "whole") == losses(tmp_path / "broken")


def test_a_checkpoint_is_of_its_variation(train: Trainer, tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(ArchitectureMismatch, match="variation"):
        train(tmp_path, variation=VARIATION | {"mismatch": 2.0})


def test_it_begins_after_some_epochs(train: Trainer, tmp_path: Path) -> None:
    for after in (0, 1, 2):
        train(tmp_path / str(after), variation=VARIATION | {"after_epochs": after})
    train(tmp_path / "never", variation={})
    never = losses(tmp_path / "never")
    for after in (0, 1, 2):
        found = losses(tmp_path / str(after))
        assert found[:after] == never[:after]
        assert abs(found[after] / never[after] - 1) > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_from_chips_that_vary(
    method: str, ptm90: Technology, surrogates: Surrogates, beyond: CurrentSurface
) -> None:
    circuit = FittedCircuit(ptm90, replace(surrogates, shifted_surface=beyond), torch.float64, tolerance=EXACT)
    asked = settings(method=method, sizing="fixed" if METHODS[method].ratios else "neuron", seed=2)
    ground = 1e5 if method == "rim" else None
    shape = NetworkSettings(layers=(4, 3, 3), encoding="bipolar", inverter_sizes=(2.0, 1.0), ground_ohm=ground)
    model = TrainableNetwork(shape, asked, circuit)
    draws = TrainingDraws(ptm90, training_statistics(asked, ptm90))
    inputs = torch.from_numpy(load_dataset("iris").train_inputs[:20]).double()

    def outputs(seed: int | None) -> torch.Tensor:
        drawn = None if seed is None else (draws, torch.Generator().manual_seed(seed))
        prediction = model.voltages(inputs, drawn=drawn)
        assert prediction.convergence.unconverged == 0
        return prediction.outputs

    nominal, one, same, other = (outputs(seed) for seed in (None, 0, 0, 1))
    assert torch.equal(one, same)
    for a, b in ((nominal, one), (one, other)):
        assert float((a - b).detach().abs().median()) > 1e-3
    loss = (one * torch.randn(one.shape, generator=torch.Generator().manual_seed(3), dtype=one.dtype)).sum()
    loss.backward()
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert any("fingers" in name for name, _ in trained) != METHODS[method].ratios
    for name, parameter in trained:
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name
        if name.startswith("crossbars.1"):
            assert float(parameter.grad.abs().max()) > 1e-8, name


def test_every_sample_meets_transistors_of_its_own_and_all_one_crossbar(
    ptm90: Technology, surface: CurrentSurface, beyond: CurrentSurface
) -> None:
    circuit = FittedCircuit(ptm90, Surrogates(surface, shifted_surface=beyond), torch.float64, tolerance=EXACT)
    same = torch.from_numpy(load_dataset("iris").train_inputs[:1]).double().expand(6, 4)
    for variation, apart in (({"mismatch": 1.0}, True), ({"programming": 0.1}, False)):
        asked = settings(variation=variation)
        model = TrainableNetwork(SHAPE, asked, circuit)
        draws = TrainingDraws(ptm90, training_statistics(asked, ptm90))
        with torch.no_grad():
            outputs = model.voltages(same, drawn=(draws, torch.Generator().manual_seed(0))).outputs
            nominal = model.voltages(same).outputs
        assert (float(outputs.std(0).max()) > 1e-4) == apart
        assert float((outputs - nominal).abs().max()) > 1e-4


def test_sizes_are_trained_under_it(train: Trainer, tmp_path: Path) -> None:
    network = train(tmp_path, sizing="neuron", epochs=4, learning_rate=0.2)
    assert not np.allclose(network.sizes[0], 2.0)


def test_the_shifted_surface_is_asked_for(ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the surrogate shifted_surface.*is not fitted"):
        Trainer(ptm90, Surrogates(surface))(tmp_path)
    Trainer(ptm90, Surrogates(surface))(tmp_path, epochs=1, variation={"programming": 0.1})  # which needs none


def test_forward_passes_in_ngspice_know_no_chips(train: Trainer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ngspice simulates the nominal circuit"):
        inverter_loop.train(
            SHAPE, settings(forward="spice"), train.iris, train.technology, train.surrogates, tmp_path,
            simulate=lambda *_: [],
        )  # fmt: skip
