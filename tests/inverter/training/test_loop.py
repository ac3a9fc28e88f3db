"""The training loop: it learns, it goes on where it was interrupted, and it refuses what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted import interrupt_at, metrics
from safetensors import safe_open
from safetensors.torch import save_file

from spicetrain.datasets import Dataset, load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, StorageError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training import loop as inverter_loop
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.rails import Rails
from spicetrain.technology import Technology
from spicetrain.training import loop
from spicetrain.training.common import parts_of

from .circuits import random_network

SHAPE = NetworkSettings(layers=(4, 3, 3), encoding="bipolar")
SETTINGS = TrainingSettings(epochs=4, batch_size=40, learning_rate=0.05, logit_V=0.02, device="cpu", threads=1)
STEPS = 3  # 120 flowers in batches of 40


class Trainer:
    def __init__(self, technology: Technology, surface: CurrentSurface) -> None:
        self.technology, self.surface, self.iris = technology, surface, load_dataset("iris")

    def __call__(
        self, folder: Path, shape: NetworkSettings = SHAPE, dataset: Dataset | None = None, **changes: Any
    ) -> Network:
        settings = TrainingSettings(**(SETTINGS.model_dump() | changes))
        return inverter_loop.train(
            shape, settings, dataset or self.iris, self.technology, Surrogates(self.surface), folder
        )


@pytest.fixture
def train(ptm90: Technology, surface: CurrentSurface) -> Trainer:
    return Trainer(ptm90, surface)


def conductances(network: Network) -> list[np.ndarray]:
    return [value for box in network.crossbars for value in vars(box).values()]


@pytest.mark.parametrize("method", ["kcl", "ideal"])
def test_learns_iris(method: str, train: Trainer, ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> None:
    wide = NetworkSettings(layers=(4, 10, 3), encoding="bipolar")
    network = train(tmp_path, wide, epochs=40, batch_size=20, learning_rate=0.1, method=method)
    lines = metrics(tmp_path)
    assert lines[-1]["loss"] < 0.1 * lines[0]["loss"]
    outputs = predict(network, train.iris.train_inputs, FittedCircuit(ptm90, Surrogates(surface)), method).outputs
    right = (outputs.argmax(1).numpy() == train.iris.train_labels).mean()
    assert right > 0.965
    assert all(line["solver_unconverged"] == 0 for line in lines)
    assert network.about["method"] == method


def test_an_interrupted_training_goes_on_to_the_same_conductances(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, loop, 2 * STEPS + 2)  # in the middle of the third epoch
        train(tmp_path / "broken")
    assert [line["epoch"] for line in metrics(tmp_path / "broken")] == [1, 2]
    resumed = train(tmp_path / "broken")
    for one, other in zip(conductances(whole), conductances(resumed), strict=True):
        assert np.array_equal(one, other)
    a, b = metrics(tmp_path / "whole"), metrics(tmp_path / "broken")
    assert [line["epoch"] for line in b] == [1, 2, 3, 4]
    for x, y in zip(a, b, strict=True):
        assert x | {"seconds": 0} == y | {"seconds": 0}


@pytest.mark.parametrize("step", ["save_checkpoint", "append_line"])
def test_an_interrupt_between_checkpoint_and_metrics_leaves_one_line_an_epoch(
    step: str, train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = getattr(loop, step), []

    def interrupted(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, step, interrupted)
        train(tmp_path)
    train(tmp_path)
    assert [line["epoch"] for line in metrics(tmp_path)] == [1, 2, 3, 4]


def broken_off(train: Trainer, folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """A training interrupted in its third epoch; the lines of its metrics.jsonl."""
    with patch.context() as inner, pytest.raises(KeyboardInterrupt):
        interrupt_at(inner, loop, 2 * STEPS + 1)
        train(folder)
    return (folder / "metrics.jsonl").read_text().splitlines(keepends=True)


MENDED: dict[str, Callable[[str, str], str]] = {
    "two trainings at once": lambda one, two: one + one + two + two,
    "the order is lost": lambda one, two: two + one,
    "a line that no checkpoint knows": lambda one, two: one + two + two.replace('"epoch": 2', '"epoch": 3'),
    "a line that is cut off": lambda one, two: one + two + two[:30],
    "garbage between": lambda one, two: one + "garbage\n[7]\n7\n{}\n" + two,
}


@pytest.mark.parametrize("how", MENDED)
def test_metrics_that_hold_every_epoch_are_put_in_order(
    how: str, train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = broken_off(train, tmp_path, monkeypatch)
    (tmp_path / "metrics.jsonl").write_text(MENDED[how](one, two))
    train(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    assert lines[:2] == [one, two]
    assert [line["epoch"] for line in metrics(tmp_path)] == [1, 2, 3, 4]


REFUSED: dict[str, tuple[Callable[[str, str], str | None], int]] = {
    "absent": (lambda one, two: None, 1),
    "empty": (lambda one, two: "", 1),
    "the first is missing": (lambda one, two: two, 1),
    "the last is missing": (lambda one, two: one, 2),
    "the last is cut off": (lambda one, two: one + two[:-1], 2),
    "another number": (lambda one, two: one + two.replace('"epoch": 2', '"epoch": true'), 2),
}


@pytest.mark.parametrize("how", REFUSED)
def test_metrics_that_lack_an_epoch_are_not_gone_on_with(
    how: str, train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    content, epoch = REFUSED[how][0](*broken_off(train, tmp_path, monkeypatch)), REFUSED[how][1]
    path.unlink() if content is None else path.write_text(content)
    checkpoint = (tmp_path / "checkpoint.safetensors").read_bytes()
    said = rf"has no line of epoch {epoch}, and the checkpoint beside it knows 2 epochs.*remove the checkpoint too"
    with pytest.raises(StorageError, match=said):
        train(tmp_path)
    assert (path.read_text() if path.exists() else None) == content
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == checkpoint
    (tmp_path / "checkpoint.safetensors").unlink()
    train(tmp_path)
    assert [line["epoch"] for line in metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_finished_training_does_not_depend_on_its_metrics(train: Trainer, tmp_path: Path) -> None:
    first = conductances(train(tmp_path, epochs=2))
    path = tmp_path / "metrics.jsonl"
    one, two = path.read_text().splitlines(keepends=True)
    for damaged, left in ((one, one), ("\0\n", "\0\n"), (None, ""), (one + one + two, one + two)):
        path.unlink() if damaged is None else path.write_text(damaged)
        for before, after in zip(first, conductances(train(tmp_path, epochs=2)), strict=True):
            assert np.array_equal(before, after)
        assert path.read_text() == left


def test_a_finished_training_is_read_not_repeated(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(tmp_path, epochs=1)
    interrupt_at(monkeypatch, loop, 1)
    again = train(tmp_path, epochs=1)
    for one, other in zip(conductances(first), conductances(again), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.01}, {"epochs": 5}, {"seed": 1}, {"method": "ideal"}, {"validation": 30}]
)
def test_a_checkpoint_of_another_training_is_refused_and_untouched(
    change: dict[str, Any], train: Trainer, tmp_path: Path
) -> None:
    train(tmp_path, epochs=1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes(), (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(ArchitectureMismatch, match=next(iter(change))):
        train(tmp_path, **({"epochs": 1} | change))
    assert before == ((tmp_path / "checkpoint.safetensors").read_bytes(), (tmp_path / "metrics.jsonl").read_bytes())


def test_a_checkpoint_of_another_architecture_is_refused_and_untouched(train: Trainer, tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    for other in (
        NetworkSettings(layers=(4, 5, 3), encoding="bipolar"),
        NetworkSettings(layers=(4, 3, 3), encoding="bipolar", inverter_sizes=(2.0, 1.0)),
    ):
        with pytest.raises(ArchitectureMismatch, match="another training"):
            train(tmp_path, other, epochs=1)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_checkpoint_is_named(damage: str, train: Trainer, tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    path = tmp_path / "checkpoint.safetensors"
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "text": b"not tensors" * 9}[damage])
    with pytest.raises(StorageError, match=r"checkpoint\.safetensors.*Remove it"):
        train(tmp_path, epochs=1)


Content = tuple[dict[str, torch.Tensor], dict[str, str]]
MOMENT = "optimizer.1.exp_avg_sq"


def header(key: str, value: str | None) -> Callable[[Content], object]:
    return lambda content: content[1].pop(key) if value is None else content[1].update({key: value})


def tensor(name: str, value: torch.Tensor | None) -> Callable[[Content], object]:
    return lambda content: content[0].pop(name) if value is None else content[0].update({name: value})


def of_old(content: Content) -> None:
    """As before the header told the tensors, and one of a parameter's moments lost."""
    del content[1]["tensors"], content[0][MOMENT]


DAMAGED: dict[str, tuple[Callable[[Content], object], str]] = {
    "no format": (header("format", None), "is not a spicetrain checkpoint (format None)"),
    "another format": (header("format", "spicetrain-checkpoint-0"), "(format 'spicetrain-checkpoint-0')"),
    "no identity": (header("identity", None), "identity in its header is None, no JSON"),
    "identity cut short": (header("identity", '{"a": 1'), "identity in its header is '{\"a\": 1', no JSON"),
    "identity a number": (header("identity", "7"), "identity in its header is 7, no dict"),
    "no epoch": (header("epoch", None), "epoch in its header is None, no JSON"),
    "epoch a word": (header("epoch", "two"), "epoch in its header is 'two', no JSON"),
    "epoch a fraction": (header("epoch", "1.5"), "epoch in its header is 1.5, no int"),
    "epoch true": (header("epoch", "true"), "epoch in its header is True, no int"),
    "epoch negative": (header("epoch", "-1"), "-1 epochs are done in it, of 2"),
    "epoch too high": (header("epoch", "3"), "3 epochs are done in it, of 2"),
    "tensors no list": (header("tensors", "{}"), "tensors in its header is {}, no list"),
    "tensors no names": (header("tensors", "[[1]]"), "it lacks [1]"),
    "a model's tensor is missing": (tensor("model.crossbars.0.pos", None), "it lacks model.crossbars.0.pos"),
    "a moment is missing": (tensor(MOMENT, None), f"it lacks {MOMENT}"),
    "a moment is missing, and nobody said": (of_old, f"it lacks {MOMENT}"),
    "all moments are missing": (
        lambda content: [content[0].pop(name) for name in list(content[0]) if name.startswith("optimizer.")],
        "it lacks optimizer.0.exp_avg",
    ),
    "another shape": (tensor("model.crossbars.0.pos", torch.ones(3, 4)), "pos is [3, 4], where [4, 3] is wanted"),
    "a moment of another shape": (tensor(MOMENT, torch.ones(12)), f"{MOMENT} is [12], where [4, 3] is wanted"),
    "steps of another shape": (tensor("optimizer.0.step", torch.ones(1)), "step is [1], where [] is wanted"),
    "a parameter too many": (tensor("model.more", torch.ones(1)), "it has model.more, and this training has not"),
    "a moment of none": (tensor("optimizer.99.step", torch.ones(())), "it has optimizer.99.step"),
    "a moment of no number": (tensor("optimizer.x", torch.ones(())), "it has optimizer.x"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_checkpoint_with_something_wrong_in_it_says_what(how: str, train: Trainer, tmp_path: Path) -> None:
    train(tmp_path, epochs=2)
    path = tmp_path / "checkpoint.safetensors"
    change, text = DAMAGED[how]
    with safe_open(path, "pt") as stored:
        found = {name: stored.get_tensor(name) for name in stored.keys()}, dict(stored.metadata())  # noqa: SIM118
    change(found)
    save_file(found[0], path, found[1])
    before = path.read_bytes()
    with pytest.raises(StorageError, match=re.escape(text)) as caught:
        train(tmp_path, epochs=2)
    assert str(path) in str(caught.value) and "Remove it to train from the start" in str(caught.value)
    assert path.read_bytes() == before


def test_a_checkpoint_that_does_not_tell_its_tensors_is_gone_on_with(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they were written before."""
    whole = train(tmp_path / "whole")
    broken_off(train, tmp_path / "old", monkeypatch)
    path = tmp_path / "old" / "checkpoint.safetensors"
    with safe_open(path, "pt") as stored:
        found, about = {name: stored.get_tensor(name) for name in stored.keys()}, dict(stored.metadata())  # noqa: SIM118
    del about["tensors"]
    save_file(found, path, about)
    for one, other in zip(conductances(whole), conductances(train(tmp_path / "old")), strict=True):
        assert np.array_equal(one, other)


def test_another_safetensors_file_is_no_checkpoint(train: Trainer, ptm90: Technology, tmp_path: Path) -> None:
    random_network(ptm90, 4, 3, 3).save(tmp_path / "checkpoint.safetensors")
    with pytest.raises(StorageError, match="is not a spicetrain checkpoint"):
        train(tmp_path)


def test_validation_images_are_kept_out_of_training(train: Trainer, tmp_path: Path) -> None:
    parts = parts_of(train.iris, 30, torch.device("cpu"))
    kept, rest = (sorted(map(tuple, parts[name][0].tolist())) for name in ("validation", "train"))
    assert (len(kept), len(rest)) == (30, 90)
    assert sorted(kept + rest) == sorted(map(tuple, train.iris.train_inputs.tolist()))
    assert np.bincount(parts["validation"][1].numpy()).tolist() == [10, 10, 10]
    train(tmp_path, validation=30, epochs=1)
    line = metrics(tmp_path)[0]
    assert {"accuracy_validation", "accuracy_test"} <= line.keys()


def test_metrics_say_what_was_measured(train: Trainer, tmp_path: Path, ptm90: Technology) -> None:
    network = train(tmp_path, epochs=2)
    line = metrics(tmp_path)[-1]
    circuit = FittedCircuit(ptm90, Surrogates(train.surface))
    v_out = predict(network, train.iris.test_inputs, circuit, "kcl").outputs
    right = (v_out.argmax(1).numpy() == train.iris.test_labels).mean()
    assert line["accuracy_test"] == pytest.approx(right)
    assert 0 < line["solver_step_V"] <= circuit.tolerance.step_V
    assert line["solver_iterations"] >= 2
    assert "accuracy_validation" not in line


def test_starts_from_another_run(train: Trainer, tmp_path: Path) -> None:
    first = train(tmp_path / "first", epochs=20)
    first.save(tmp_path / "first.safetensors")
    train(tmp_path / "second", epochs=1, learning_rate=1e-9, initial=tmp_path / "first.safetensors")
    assert metrics(tmp_path / "second")[0]["loss"] == pytest.approx(metrics(tmp_path / "first")[-1]["loss"], rel=0.02)


def test_the_network_it_starts_from_is_known_by_what_it_holds(
    train: Trainer, ptm90: Technology, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    random_network(ptm90, 4, 3, 3).save(here)
    first = train(tmp_path / "run", epochs=1, initial=here)
    here.rename(there)
    again = train(tmp_path / "run", epochs=1, initial=there)
    for one, other in zip(conductances(first), conductances(again), strict=True):
        assert np.array_equal(one, other)
    train(tmp_path / "other", epochs=1).save(there)
    with pytest.raises(ArchitectureMismatch, match="initial"):
        train(tmp_path / "run", epochs=1, initial=there)
    with pytest.raises(ArchitectureMismatch, match="initial"):
        train(tmp_path / "run", epochs=1)


def test_what_does_not_fit_is_refused_before_anything_is_written(
    train: Trainer, ptm90: Technology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.safetensors"
    random_network(ptm90, 4, 2, 3).save(other)
    folder = tmp_path / "run"
    with pytest.raises(ArchitectureMismatch, match="iris has 4 inputs and 3 classes: begin with 4 and end with 3"):
        train(folder, NetworkSettings(layers=(5, 3, 3)))
    with pytest.raises(ArchitectureMismatch, match="4-3-2"):
        train(folder, NetworkSettings(layers=(4, 3, 2)))
    with pytest.raises(ArchitectureMismatch, match="4-2-3"):
        train(folder, initial=other)
    with pytest.raises(StorageError, match="absent"):
        train(folder, initial=tmp_path / "absent.safetensors")
    with pytest.raises(ConfigurationError, match="validation = 118 leaves nothing"):
        train(folder, validation=118)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="sees no CUDA device"):
        train(folder, device="cuda")
    assert not folder.exists()


def test_a_loss_that_is_not_a_number_stops_the_training(train: Trainer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The loss is nan after epoch 1.*logit_V"):
        train(tmp_path, logit_V=1e-44)
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_trains_to_what_the_cpu_does(train: Trainer, tmp_path: Path) -> None:
    on_cpu, on_cuda = (train(tmp_path / device, device=device) for device in ("cpu", "cuda"))
    for one, other in zip(conductances(on_cpu), conductances(on_cuda), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-2)


def test_a_unit_of_the_softmax_goes_with_the_rails() -> None:
    high = Rails(vdd_V=1.8, vss_V=0.0)
    assert TrainingSettings().logit(Rails(vdd_V=0.25, vss_V=-0.25)) == pytest.approx(0.05)
    assert TrainingSettings().logit(high) == pytest.approx(0.18) and TrainingSettings(logit_V=0.02).logit(high) == 0.02
