"""Chips programmed once more: what is written, what stays, and that a chip then does what the nominal one does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from spicetrain.array.variation import ArrayStatistics, Relative, Stuck
from spicetrain.cli import main
from spicetrain.inverter.calibration.calibrate import Calibration, calibrated, judged
from spicetrain.inverter.calibration.writing import ALL, BIASES, mixed, programmed_again, without_writing
from spicetrain.inverter.chip import Chip
from spicetrain.inverter.definition import CalibrationSettings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.inverter.verification.chips import Population
from spicetrain.technology import Technology, load_technology
from spicetrain.variation import Statistics
from spicetrain.verification.conditions import Conditions

from ..training.circuits import fitted_surface, random_network, shifted_surface

pytestmark = pytest.mark.xdist_group("calibrate")  # what its tests share is made once

LAYERS = (20, 12, 3)
IMAGES = 300


@pytest.fixture(scope="module")
def technology() -> Technology:
    return load_technology("ptm90")


def statistics_of(technology: Technology, **array: Any) -> Statistics:
    return Statistics(technology.mismatch, 1.0, ArrayStatistics(**array))


@pytest.fixture(scope="module")
def asked(technology: Technology) -> Calibration:
    """A network whose own answers are the classes, of small inverters, which mismatch moves most."""
    torch.set_num_threads(1)
    network = replace(random_network(technology, *LAYERS, sizes=(2.0, 2.0)), about={"method": "kcl"}, bias_pairs=4)
    inputs = np.random.default_rng(5).random((IMAGES, LAYERS[0])).astype(np.float32)
    surrogates = Surrogates(fitted_surface(), shifted_surface=shifted_surface())
    varies = statistics_of(technology, programming=Relative(form="relative", sigma=0.05))
    settings = CalibrationSettings(steps=80, batch_size=64, learning_rate=0.1)
    here = Conditions(technology, technology)
    blank = Population(network, here, surrogates, varies, inputs, np.zeros(IMAGES, np.int64))
    labels = blank.outputs(Chip(network)).argmax(1)
    return Calibration(replace(blank, labels=labels), settings, inputs, labels, 0.05)


def varying(asked: Calibration, varies: Statistics) -> Calibration:
    """The same chips with other statistics."""
    return replace(asked, population=replace(asked.population, statistics=varies))


def names_that_differ(a: Network, b: Network) -> list[set[str]]:
    return [
        {name for name in ALL if not np.allclose(getattr(x, name), getattr(y, name), rtol=1e-6, atol=0)}
        for x, y in zip(a.crossbars, b.crossbars, strict=True)
    ]


@pytest.mark.parametrize(
    ("trains", "written"),
    [("all", [set(ALL), set(ALL)]), ("last", [set(BIASES), set(ALL)]), ("biases", [set(BIASES), set(BIASES)])],
)
def test_what_is_written_has_new_errors_and_nothing_else(
    trains: Any, written: list[set[str]], asked: Calibration
) -> None:
    assert [set(names) for names in programmed_again(trains, 2)] == written
    asked = replace(asked, settings=asked.settings.model_copy(update={"trains": trains}))
    first = asked.population.chip(3)
    again = asked.written(first, asked.network, 3, 1)
    assert names_that_differ(first.network, again.network) == written
    assert again.mismatch is first.mismatch
    third = asked.written(first, asked.network, 3, 2)
    assert names_that_differ(third.network, again.network) == written


def test_what_writing_does_not_change(technology: Technology, asked: Calibration) -> None:
    """A stuck device is stuck again, and the others have only their programming errors anew."""
    varies = statistics_of(technology, programming=Relative(form="relative", sigma=0.1), stuck=Stuck(at_g_max=0.3))
    asked = varying(asked, varies)
    first = asked.population.chip(1)
    again = asked.written(first, asked.network, 1, 1)
    stuck = [box.pos == technology.memristor.g_max_S for box in first.network.crossbars]
    assert 0 < sum(int(of.sum()) for of in stuck) < sum(of.size for of in stuck)
    for of, before, after in zip(stuck, first.network.crossbars, again.network.crossbars, strict=True):
        assert np.array_equal(of, after.pos == technology.memristor.g_max_S)
        assert not np.isclose(before.pos, after.pos, rtol=1e-9, atol=0)[~of].any()
    lasting = without_writing(varies)
    assert lasting.array.stuck == varies.array.stuck
    assert lasting.array.programming is None
    assert lasting.mismatch == varies.mismatch


def test_a_mixed_network_has_what_was_written(asked: Calibration) -> None:
    doubled = replace(asked.network, crossbars=tuple(replace(b, pos=2 * b.pos) for b in asked.network.crossbars))
    assert names_that_differ(replace(doubled, crossbars=mixed(asked.network, doubled, "biases")), asked.network) == [
        set(),
        set(),
    ]
    last = replace(doubled, crossbars=mixed(asked.network, doubled, "last"))
    assert names_that_differ(last, asked.network) == [set(), {"pos"}]


def figures(asked: Calibration, number: int, **measure: Any) -> dict[str, float]:
    wanted = calibrated(asked, number, **measure)
    assert all(a <= set(b) for a, b in zip(
        names_that_differ(wanted, asked.network), programmed_again(asked.settings.trains, 2), strict=True
    ))  # fmt: skip
    return judged(asked, number, wanted)


@pytest.mark.parametrize("trains", ["all", "last"])
def test_a_chip_whose_errors_are_known_is_brought_back(trains: Any, asked: Calibration) -> None:
    asked = replace(asked, settings=asked.settings.model_copy(update={"trains": trains}))
    found = [figures(asked, number) for number in (0, 1, 2)]
    mean = {name: float(np.mean([of[name] for of in found])) for name in found[0]}
    assert mean["accuracy_nominal"] == 1
    assert mean["accuracy_before"] < 0.85
    assert mean["accuracy_model"] > mean["accuracy_before"] + 0.1


def test_a_chip_is_calibrated_by_what_is_measured_on_it(asked: Calibration) -> None:
    """Without a word of its errors: the model that it is answers in place of a chip, programmed anew in every step."""
    circuit = asked.population.circuit
    seen: list[Chip] = []

    def measure(chip: Chip, inputs: np.ndarray) -> list[LayerVoltages]:
        seen.append(chip)
        return predict(chip.network, inputs, circuit, "kcl", mismatch=chip.mismatch).layers

    found = figures(asked, 1, measure=measure)
    assert len(seen) == asked.settings.steps
    assert not np.array_equal(seen[0].network.crossbars[0].pos, seen[1].network.crossbars[0].pos)
    assert found["accuracy_model"] > found["accuracy_before"] + 0.1


def test_stuck_devices_are_reckoned_with(technology: Technology, asked: Calibration) -> None:
    """A network calibrated as if none were stuck does less for the chip."""
    stuck = statistics_of(technology, stuck=Stuck(at_g_max=0.05))
    knowing = varying(asked, stuck)
    blind = varying(asked, replace(stuck, array=ArrayStatistics()))
    with_it, without = ([], [])  # type: tuple[list[float], list[float]]
    for number in (0, 1, 2):
        with_it.append(figures(knowing, number)["accuracy_wanted"])
        without.append(judged(knowing, number, calibrated(blind, number))["accuracy_wanted"])
    assert np.mean(with_it) > np.mean(without) + 0.02


def test_a_verb_that_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tiny.finished().cache))
    folder = tiny.finished().copy(tmp_path / "run")
    words = ["calibrate", str(folder), "--workers", "1", "--calibration.images", "30", "--calibration.steps", "3"]
    assert main([*words, "--chip", "5", "--calibration.chips", "2", "--calibration.simulated", "1"]) == 0
    assert "all programmed once more, errors known" in capsys.readouterr().out
    table = pd.read_parquet(folder / "calibration" / "chips.parquet")
    assert list(table["chip"]) == [5, 6]
    assert table["agreement"].notna().tolist() == [True, False]
    network = Network.load(folder / "calibration" / "chip-5-all-known.safetensors")
    assert network.about["calibrated"]["chip"] == 5
    one = ["--chip", "6", "--calibration.chips", "1", "--calibration.simulated", "0"]
    assert main([*words, *one, "--calibration.trains", "biases", "--calibration.errors", "unknown"]) == 0
    table = pd.read_parquet(folder / "calibration" / "chips.parquet")
    assert sorted(zip(table["chip"], table["trains"], strict=True)) == [(5, "all"), (6, "all"), (6, "biases")]
    assert not (folder / ".verification").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--calibration.images", "1000"], "calibration.images = 1000, but iris has 30 test images"),
        (["--calibration.simulated", "2"], "simulated = 2 of chips = 1"),
        (["--chip", "-1"], "greater than or equal to 0"),
        (["--calibration.trains", "bias"], "Did you mean 'biases'?"),
        (["--calibration.variation.mismatch", "0", "--calibration.variation.programming", "0"], "nothing varies"),
    ],
)
def test_what_cannot_be_calibrated(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tiny.finished().cache))
    folder = tiny.finished().copy(tmp_path / "run")
    assert main(["calibrate", str(folder), "--workers", "1", *words]) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "calibration").exists()
