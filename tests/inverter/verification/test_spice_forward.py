"""SPICE in the loop: the voltages of a minibatch, steps that are kcl's, trainings that are stopped and go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import simulator
from numpy.typing import NDArray

from inverter.training.circuits import random_network
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError, SimulationError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training import loop
from spicetrain.inverter.training.voltages import LayerVoltages, Simulate, named_voltages
from spicetrain.inverter.verification.spice_forward import spice_forward
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

SHAPE = NetworkSettings(layers=(4, 3, 3), inverter_sizes=(8.0, 1.0), encoding="bipolar")


@pytest.mark.parametrize(("layers", "workers", "images"), [((4, 5, 3, 2), 2, 7), ((4, 3), 1, 1), ((2, 1, 1), 3, 2)])
def test_the_voltages_are_those_of_the_flat_netlist_image_by_image(
    layers: tuple[int, ...], workers: int, images: int, ptm90: Technology, ngspice: Ngspice
) -> None:
    network = random_network(ptm90, *layers)
    inputs = np.random.default_rng(0).random((images, layers[0])).astype(np.float32)
    with spice_forward(ptm90, simulator(workers=workers)) as forward:
        found = named_voltages(forward(network, inputs))
        again = named_voltages(forward(network, inputs[:1]))
    assert list(found) == list(again)
    assert set(found) == set(saved_nodes(network, hidden=True))
    for image in range(images):
        deck = network_deck(network, ptm90, inputs[image : image + 1], "flat", hidden=True)
        for node, values in simulate(deck, ngspice).values.items():
            if node != "sweep":
                assert found[node[2:-1]][image] == pytest.approx(values[0], abs=2e-6), node
    assert all(len(voltages) == images for voltages in found.values())


class Trainer:
    def __init__(self, technology: Technology, surface: CurrentSurface, base: Path) -> None:
        self.technology, self.surface, self.base, self.iris = technology, surface, base, load_dataset("iris")

    def __call__(self, name: str, simulate: Simulate | None = None, **changes: Any) -> Network:
        settings: dict[str, Any] = {
            "batch_size": 40,
            "learning_rate": 0.05,
            "device": "cpu",
            "threads": 1,
            "steps_per_epoch": 1,
        }
        chosen = TrainingSettings(**(settings | changes))
        surrogates = Surrogates(self.surface)
        return loop.train(SHAPE, chosen, self.iris, self.technology, surrogates, self.base / name, simulate=simulate)

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.base / name / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def train(ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> Trainer:
    return Trainer(ptm90, surface, tmp_path)


@pytest.fixture
def initial(train: Trainer, tmp_path: Path) -> Path:
    """What the ideal method made of the flowers."""
    train("ideal", method="ideal", epochs=20, steps_per_epoch=0).save(tmp_path / "ideal.safetensors")
    return tmp_path / "ideal.safetensors"


def conductances(network: Network) -> NDArray:
    return np.concatenate([value.ravel() for box in network.crossbars for value in vars(box).values()])


def test_steps_from_an_ideal_network_lower_the_loss_as_kcls_own_do(
    initial: Path, train: Trainer, ptm90: Technology, ngspice: Ngspice
) -> None:
    common: dict[str, Any] = {"initial": initial, "epochs": 6, "batch_size": 120}
    with spice_forward(ptm90, simulator()) as forward:
        spice = train("spice", forward, forward="spice", **common)
    model = train("model", **common)
    in_spice, in_model = train.lines("spice"), train.lines("model")
    assert in_spice[-1]["loss"] < 0.95 * in_spice[0]["loss"]
    for a, b in zip(in_spice, in_model, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert (a["solver_unconverged"], a["solver_iterations"]) == (0, 0)
        assert 0 < a["seconds_simulation"] < a["seconds"]
        assert b["seconds_simulation"] == 0
    before, device = conductances(Network.load(initial)), ptm90.memristor
    moved = np.abs(conductances(model) - before).max()
    assert np.abs(conductances(spice) - conductances(model)).max() < 1e-4 * device.g_max_S < 0.1 * moved


class Stopped:
    """A simulator that fails once, at its call number `at`."""

    def __init__(self, forward: Simulate, at: int, error: BaseException) -> None:
        self.forward, self.left, self.error = forward, at, error

    def __call__(self, network: Network, inputs: NDArray) -> list[LayerVoltages]:
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.forward(network, inputs)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SimulationError("as if")])
def test_a_training_that_was_stopped_goes_on_to_the_same_network(
    error: BaseException, initial: Path, train: Trainer, ptm90: Technology, ngspice: Ngspice
) -> None:
    common: dict[str, Any] = {"initial": initial, "epochs": 3, "steps_per_epoch": 2, "forward": "spice"}
    with spice_forward(ptm90, simulator()) as forward:
        whole = train("whole", forward, **common)
        with pytest.raises(type(error)):
            train("broken", Stopped(forward, 4, error), **common)  # the second step of the second epoch
        assert [line["epoch"] for line in train.lines("broken")] == [1]
        resumed = train("broken", forward, **common)
    assert np.array_equal(conductances(whole), conductances(resumed))
    seconds = {"seconds": 0, "seconds_simulation": 0}
    assert [a | seconds for a in train.lines("whole")] == [b | seconds for b in train.lines("broken")]


def test_an_epoch_ends_after_its_steps(train: Trainer) -> None:
    """120 flowers, 40 at a time: 3 steps are all of them, and more than all is all."""
    for steps in (0, 3, 7):
        train(f"{steps}", epochs=2, steps_per_epoch=steps)
    seconds = {"seconds": 0}
    assert len({json.dumps([line | seconds for line in train.lines(f"{steps}")]) for steps in (0, 3, 7)}) == 1
    one = conductances(train("1", epochs=2, steps_per_epoch=1))
    assert not np.array_equal(one, conductances(train("0", epochs=2, steps_per_epoch=0)))
    first, second = train.lines("1")
    assert (first["learning_rate"], second["learning_rate"]) == pytest.approx((0.05, 0.025))  # half a cosine, 2 steps
    train("all", epochs=1, steps_per_epoch=0, learning_rate=1e-9)
    assert first["loss"] == pytest.approx(train.lines("all")[0]["loss"], rel=0.3)  # a mean over what was seen


def test_what_is_missing_or_does_not_fit_is_said(train: Trainer) -> None:
    with pytest.raises(ConfigurationError, match="nothing to simulate with"):
        train("run", forward="spice")
    with pytest.raises(ConfigurationError, match="needs training.method = 'kcl', not 'ideal'.*--initial"):
        train("run", forward="spice", method="ideal")
    assert not (train.base / "run").exists()
