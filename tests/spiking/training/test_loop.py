"""The spiking training loop: it learns, it goes on where it was interrupted, and it refuses what does not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted import interrupt_at, metrics

from spicetrain.array.wires import Wires
from spicetrain.datasets import Dataset, load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.schema import parse
from spicetrain.spiking.chip import ChipLaw
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingNetworkSettings, SpikingTrainingSettings
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.circuit_method import CircuitLayers
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.loop import train as train_network
from spicetrain.spiking.training.model import TrainableSpikingNetwork
from spicetrain.spiking.training.neuron_bias import BIASES
from spicetrain.spiking.training.predict import predict
from spicetrain.technology import Technology
from spicetrain.training import loop
from spicetrain.training.settings import Augmentation

from .simple import lif, simple_laws

SHAPE = SpikingNetworkSettings(layers=(4, 3, 3), steps=6)
SETTINGS: dict[str, Any] = {
    "epochs": 4, "batch_size": 40, "augmentation": Augmentation(), "device": "cpu", "threads": 1,
    "regular": {"calibration_images": 60},
}  # fmt: skip
STEPS = 3  # 120 flowers in batches of 40
CIRCUIT = lif(capacitance_F=(1e-12,))  # a column of four rows charges no more
LAWS = simple_laws(CIRCUIT)


class Trainer:
    def __init__(self, technology: Technology) -> None:
        self.technology, self.iris = technology, load_dataset("iris")

    def __call__(
        self,
        folder: Path,
        shape: SpikingNetworkSettings = SHAPE,
        dataset: Dataset | None = None,
        circuit: SpikingCircuit = CIRCUIT,
        law: ChipLaw | None = None,
        **changes: Any,
    ) -> SpikingNetwork:
        settings = SpikingTrainingSettings(**(SETTINGS | changes))
        data = dataset or self.iris
        return train_network(shape, settings, data, self.technology, circuit, LAWS, folder, law=law)


@pytest.fixture
def train(ptm90: Technology) -> Trainer:
    return Trainer(ptm90)


def require_same(one: SpikingNetwork, other: SpikingNetwork) -> None:
    """To the last bit, with all that it tells of itself."""
    for a, b in zip(one.crossbars, other.crossbars, strict=True):
        for name, value in vars(a).items():
            assert np.array_equal(value, getattr(b, name))
    assert one.thresholds_V == other.thresholds_V and one.about == other.about


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_learns_iris(method: Any, train: Trainer, tmp_path: Path) -> None:
    shape = SpikingNetworkSettings(layers=(4, 10, 3), steps=10)
    network = train(tmp_path, shape, epochs=10, learning_rate=0.1, method=method)
    lines = metrics(tmp_path)
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    spikes = encode(train.iris.train_inputs, shape, 5)
    own = predict(network, spikes, CIRCUIT, LAWS, method)
    assert (
        own[-1][0].sum(1).argmax(1) == train.iris.train_labels
    ).mean() > 0.8  # chance is 0.33, and rates of ten steps are coarse
    assert network.about["method"] == method and network.about["system"] == "spiking"
    if method == "circuit":
        assert network.thresholds_V == (CIRCUIT.threshold_V(0), CIRCUIT.threshold_V(1))
    else:
        on_circuit = predict(network, spikes, CIRCUIT, LAWS, "circuit")
        for (fired, _), (wanted, _) in zip(on_circuit, own, strict=True):
            assert fired.mean() == pytest.approx(wanted.mean(), rel=0.1)


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_an_interrupted_training_goes_on_to_the_same_network(
    method: str, train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", method=method)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, loop, 2 * STEPS + 2)  # in the middle of the third epoch
        train(tmp_path / "broken", method=method)
    assert [line["epoch"] for line in metrics(tmp_path / "broken")] == [1, 2]
    require_same(whole, train(tmp_path / "broken", method=method))
    a, b = metrics(tmp_path / "whole"), metrics(tmp_path / "broken")
    assert [line["epoch"] for line in b] == [1, 2, 3, 4]
    for x, y in zip(a, b, strict=True):
        assert x | {"seconds": 0} == y | {"seconds": 0}


def test_a_finished_training_is_read_not_repeated(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(tmp_path, epochs=1)
    interrupt_at(monkeypatch, loop, 1)
    require_same(first, train(tmp_path, epochs=1))


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.01}, {"epochs": 5}, {"seed": 1}, {"method": "regular"}, {"validation": 30}]
)
def test_a_checkpoint_of_another_training_is_refused_and_untouched(
    change: dict[str, Any], train: Trainer, tmp_path: Path
) -> None:
    train(tmp_path, epochs=1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes(), (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(ArchitectureMismatch, match=next(iter(change))):
        train(tmp_path, **({"epochs": 1} | change))
    assert before == ((tmp_path / "checkpoint.safetensors").read_bytes(), (tmp_path / "metrics.jsonl").read_bytes())


def test_a_checkpoint_of_another_circuit_or_encoding_is_refused(train: Trainer, tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    with pytest.raises(ArchitectureMismatch, match="circuit_fingerprint"):
        train(tmp_path, circuit=lif(capacitance_F=(2e-12,)), epochs=1)
    with pytest.raises(ArchitectureMismatch, match="steps"):
        train(tmp_path, SHAPE.model_copy(update={"steps": 7}), epochs=1)
    for change in ({"encoder": "dither"}, {"encoder_gain": 0.5}, {"readout": "membrane"}):
        with pytest.raises(ArchitectureMismatch, match=next(iter(change))):
            train(tmp_path, SHAPE.model_copy(update=change), epochs=1)


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_metrics_say_what_was_measured(method: Any, train: Trainer, tmp_path: Path) -> None:
    """By a regular network's own model before its weights are clipped: here none is."""
    network = train(
        tmp_path, epochs=2, validation=30, method=method, regular={"clip_quantile": 1.0, "calibration_images": 60}
    )
    line = metrics(tmp_path)[-1]
    answers = predict(network, encode(train.iris.test_inputs, SHAPE, SHAPE.encoder_seed), CIRCUIT, LAWS, method)
    right = (answers[-1][0].sum(1).argmax(1) == train.iris.test_labels).mean()
    assert line["accuracy_test"] == pytest.approx(right)
    ranked = np.sort(answers[-1][0].sum(1), 1)
    assert line["tie_rate_test"] == pytest.approx((ranked[:, -1] == ranked[:, -2]).mean())
    assert 0 <= line["accuracy_validation"] <= 1
    assert len(line["spike_rates"]) == 2 and all(0 < rate < 1 for rate in line["spike_rates"])


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_training_may_begin_without_time(method: Any, train: Trainer, tmp_path: Path) -> None:
    """Static epochs alone learn what is then scored in time."""
    shape = SpikingNetworkSettings(layers=(4, 10, 3), steps=10, encoder="dither", readout="integrator")
    asked: dict[str, Any] = {"epochs": 30, "learning_rate": 0.05, "method": method, "static_epochs": 30}
    train(tmp_path / "static", shape, **asked)
    static = metrics(tmp_path / "static")
    assert static[-1]["accuracy_test"] > 0.8 and static[-1]["loss"] < 0.5 * static[0]["loss"]
    train(tmp_path / "both", shape, **asked | {"static_epochs": 29})
    both = metrics(tmp_path / "both")
    assert [line["loss"] for line in both[:29]] == [line["loss"] for line in static[:29]]
    assert both[29]["loss"] != static[29]["loss"]
    with pytest.raises(ArchitectureMismatch, match="static_epochs"):
        train(tmp_path / "both", shape, **asked | {"static_epochs": 28})


def test_an_epoch_tells_how_near_its_laws_are_to_the_measured_ones(train: Trainer, tmp_path: Path) -> None:
    train(tmp_path / "simple", epochs=2)
    for line in metrics(tmp_path / "simple"):
        assert 0.9 < line["simple_spikes"] <= 1 and 0.5 < line["simple_cosine"] < 1.0001
    train(tmp_path / "measured", epochs=2, laws="measured")
    train(tmp_path / "regular", epochs=2, method="regular")
    for name in ("measured", "regular"):
        assert not any("simple_spikes" in line for line in metrics(tmp_path / name))


def test_a_network_learns_by_simple_laws_and_is_scored_by_measured_ones(ptm90: Technology) -> None:
    def model(technology: Technology, **changes: Any) -> TrainableSpikingNetwork:
        fitted = FittedSpikingCircuit(CIRCUIT, LAWS, technology=technology)
        settings = SpikingTrainingSettings(method="circuit", **changes)
        return TrainableSpikingNetwork(SHAPE, settings, technology.memristor, fitted)

    def simple(of: TrainableSpikingNetwork) -> bool:
        assert isinstance(of.method, CircuitLayers)
        return of.method.fitted.simple

    one = model(ptm90)
    assert simple(one) and not simple(one.eval()) and simple(one.train())
    for other in (model(ptm90, laws="measured"), model(ptm90.changed(wires=Wires(row_ohm=1.0, column_ohm=1.0)))):
        assert not simple(other) and not simple(other.train())


def test_a_network_tells_what_the_regular_model_needs(train: Trainer, tmp_path: Path) -> None:
    """Also one that the circuit trained, read from its file: the same conductances seen by the regular model."""
    train(tmp_path, epochs=1).save(tmp_path / "network.safetensors")
    network = SpikingNetwork.load(tmp_path / "network.safetensors")
    assert network.about["regular_thresholds_V"] == list(network.thresholds_V)
    (fired, _), _ = predict(network, encode(train.iris.test_inputs, SHAPE, 0), CIRCUIT, None, "regular")
    assert fired.any()


def test_without_calibration_the_thresholds_are_those_of_a_linear_neuron(train: Trainer, tmp_path: Path) -> None:
    network = train(tmp_path, epochs=1, method="regular", regular={"calibration_images": 0})
    assert list(network.thresholds_V) == network.about["regular_thresholds_V"]
    assert "spike_rates" not in network.about


def test_the_learning_rate_rises_and_falls() -> None:
    shares = [loop.share_of_rate(progress, 0.2) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert shares == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_what_does_not_fit_is_refused_before_anything_is_written(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ArchitectureMismatch, match="iris has 4 inputs and 3 classes: begin with 4 and end with 3"):
        train(folder, SpikingNetworkSettings(layers=(5, 3, 3)))
    with pytest.raises(ArchitectureMismatch, match="4-3-2"):
        train(folder, SpikingNetworkSettings(layers=(4, 3, 2)))
    with pytest.raises(ConfigurationError, match="validation = 118 leaves nothing"):
        train(folder, validation=118)
    with pytest.raises(ConfigurationError, match="'regular' wants 60 training images .* only 50"):
        train(folder, validation=70, method="regular")
    with pytest.raises(ConfigurationError, match="iris has none"):
        train(folder, augmentation={"shift_pixels": 1})
    with pytest.raises(ConfigurationError, match="too short to charge layer 1"):
        train(folder, circuit=lif(capacitance_F=(1e-9,)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="sees no CUDA device"):
        train(folder, device="cuda")
    assert not folder.exists()


@pytest.mark.parametrize("change", [{"steps": 0}, {"encoder": "morse"}, {"layers": [4]}, {"layers": [4, 0, 3]}])
def test_a_shape_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        SpikingNetworkSettings(**change)


def test_weights_that_are_no_numbers_stop_the_training(train: Trainer, tmp_path: Path) -> None:
    """A neuron whose membrane is no number does not spike, so the loss alone would not tell."""
    with pytest.raises(ConfigurationError, match="not a number in epoch 1.*learning_rate"):
        train(tmp_path, method="regular", learning_rate=1e300)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_regular_network_is_calibrated_otherwise_without_another_epoch(train: Trainer, tmp_path: Path) -> None:
    """One training, programmed as a linear neuron would have it, with thresholds by layer, and every neuron tuned."""
    path = tmp_path / "plain.safetensors"
    again: dict[str, Any] = {"method": "regular", "epochs": 0, "initial": path}
    plain = train(tmp_path / "plain", method="regular", regular={"calibration_images": 0})
    plain.save(path)
    layer = train(tmp_path / "layer", regular={"calibration_images": 60}, **again)
    neuron = train(tmp_path / "neuron", regular={"calibration_images": 60, "calibration": "neuron"}, **again)
    assert "calibration" not in layer.about["regular"] and neuron.about["regular"]["calibration"] == "neuron"
    np.testing.assert_allclose(layer.thresholds_V, neuron.thresholds_V, rtol=1e-12)
    assert not np.allclose(layer.thresholds_V, plain.thresholds_V, rtol=0.01)
    for one in (layer, neuron):
        for a, b in zip(one.crossbars, plain.crossbars, strict=True):
            np.testing.assert_allclose(a.pos, b.pos, rtol=1e-3)  # weights are float32 while they are trained
    assert any(not np.allclose(a.bias_pos, b.bias_pos) for a, b in zip(neuron.crossbars, plain.crossbars, strict=True))
    tuned = tmp_path / "tuned.safetensors"
    neuron.save(tuned)
    back = train(tmp_path / "back", regular={"calibration_images": 0}, **(again | {"initial": tuned}))
    for a, b in zip(back.crossbars, plain.crossbars, strict=True):
        np.testing.assert_allclose(a.bias_pos, b.bias_pos, rtol=1e-3)
    with pytest.raises(ConfigurationError, match="epochs = 0"):
        train(tmp_path / "none", method="regular", epochs=0)
    with pytest.raises(ConfigurationError, match="counts spikes"):
        parse(SpikingTrainingSettings, {"regular": {"calibration": "neuron", "calibration_images": 0}}, "here")


@pytest.mark.parametrize(
    "changes",
    [
        {"variation": {"threshold_sigma_V": 0.005, "programming": 0.1}},
        {"augmentation": Augmentation(shift_pixels=1.0)},
        {"shape": SpikingNetworkSettings(layers=(4, 3, 3), steps=6, encoder="dither", readout="membrane")},
        {"shape": SpikingNetworkSettings(layers=(4, 3, 3), steps=6, encoder="latency", encoder_gain=1.5)},
    ],
)
def test_a_regular_network_has_all_that_a_circuit_one_has(
    changes: dict[str, Any], train: Trainer, tmp_path: Path
) -> None:
    """And every neuron calibrated behind it: it says so, and what it was trained with."""
    regular = {"calibration_images": 60, "calibration": "neuron"}
    if "augmentation" in changes:
        train.iris = dataclasses.replace(train.iris, image_shape=(2, 2))
    made = train(tmp_path / "regular", method="regular", regular=regular, epochs=1, **changes)
    other = train(tmp_path / "circuit", method="circuit", epochs=1, **changes)
    assert made.about.keys() - other.about.keys() == {"regular", "spike_rates", BIASES}
    for key in ("variation", "varied", "augmentation", "encoder", "readout"):
        assert made.about.get(key) == other.about.get(key)
