"""More epochs behind a finished training: another folder, which goes on where that one ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted import interrupt_at, metrics
from spiking.test_run import TOML, circuit_toml
from tiny import finished

from spicetrain.cli import main
from spicetrain.errors import ConfigurationError
from spicetrain.further import continued
from spicetrain.inverter.network import Network
from spicetrain.pages import read_page
from spicetrain.runfolder import RunFolder
from spicetrain.storage import read_json
from spicetrain.systems import load_experiment
from spicetrain.training import loop

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run folder of three epochs, `run` in the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPICETRAIN_CACHE", str(finished().cache))
    return finished().copy(tmp_path / "run")


def conductances(folder: Path) -> np.ndarray:
    return np.concatenate([box.pos.ravel() for box in Network.load(folder / "network.safetensors").crossbars])


def test_it_goes_on_from_the_network_and_is_done_once(run: Path, capsys: Capture) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert main(["train", "run", "--further", "2"]) == 0, capsys.readouterr().err
    further = Path("run-further-2")
    lines = metrics(further)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5] and lines[:3] == metrics(run)
    # The schedule: from the highest rate again, at the end of the first of two epochs at half of it, then near zero.
    assert (
        lines[3]["learning_rate"] > lines[2]["learning_rate"] and lines[4]["learning_rate"] < lines[3]["learning_rate"]
    )
    assert lines[3]["loss"] < lines[0]["loss"]
    network = Network.load(further / "network.safetensors")
    assert network.about["initial"] == Network.load(run / "network.safetensors").fingerprint
    assert (network.about["epochs"], network.about["epochs_before"]) == (2, 3)
    assert read_json(further / "manifest.json")["rooms"]["train"]["epochs_before"] == 3
    assert {name: (run / name).read_bytes() for name in before} == before
    trained = conductances(further)
    capsys.readouterr()
    assert main(["train", "run", "--further", "2"]) == 0
    assert "finished in run-further-2 already: nothing was done" in capsys.readouterr().out
    assert (conductances(further) == trained).all() and metrics(further) == lines
    # It is a run folder as any other: verified, drawn, and gone on from.
    assert main(["verify", "run-further-2", "--workers", "1", "--images", "2", "--flat-images", "0"]) in (0, 5)
    assert len(read_page(further).metrics or []) == 5
    assert main(["train", "run-further-2", "--further", "1", "--out", "last"]) == 0
    assert [line["epoch"] for line in metrics(Path("last"))] == [1, 2, 3, 4, 5, 6]


def test_its_first_step_begins_where_the_network_is(run: Path) -> None:
    """At a learning rate of next to nothing nothing moves."""
    assert main(["train", "run", "--further", "1", "--training.learning-rate", "1e-12"]) == 0
    np.testing.assert_allclose(conductances(Path("run-further-1")), conductances(run), rtol=1e-5)


def test_interrupted_it_resumes(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    words = ["train", "run", "--further", "2"]
    with monkeypatch.context() as patch:
        interrupt_at(patch, loop, 5)
        assert main(words) == 130
    assert [line["epoch"] for line in metrics(Path("run-further-2"))] == [1, 2, 3, 4]
    assert main(words) == 0, capsys.readouterr().err
    assert main([*words, "--out", "at-once"]) == 0
    assert (conductances(Path("run-further-2")) == conductances(Path("at-once"))).all()
    assert [line["epoch"] for line in metrics(Path("run-further-2"))] == [1, 2, 3, 4, 5]


def test_what_is_refused_and_what_to_type(run: Path, capsys: Capture) -> None:
    def said(*words: str) -> str:
        capsys.readouterr()
        assert main(["train", *words]) == 2
        return capsys.readouterr().err

    assert "`spicetrain train run --further 4`" in said("run", "--epochs", "7")
    assert "--further" not in said("run", "--epochs", "2")
    assert "--further" not in said("run", "--epochs", "7", "--training.seed", "4")
    assert "an epoch more at least" in said("run", "--further", "0")
    assert "the first says how many" in said("run", "--further", "2", "--epochs", "5")
    assert "is the folder that the training goes on from" in said("run", "--further", "2", "--out", "run")
    assert "spicetrain train iris-kcl" in said("iris-kcl", "--further", "2")
    assert main(["train", "run", "--further", "1"]) == 0
    assert "trained otherwise" in said("run", "--further", "1", "--training.seed", "4")
    assert "holds another experiment" in said("run-further-1", "--further", "1", "--out", str(run))
    Path("run/network.safetensors").unlink()
    assert "holds no finished training" in said("run", "--further", "1")


def test_what_came_later_has_come_and_sizes_that_were_found_are_not_forgotten(run: Path) -> None:
    path = run / "experiment.toml"
    text = path.read_text()
    path.write_text(text.replace("[training.variation]", "[training.variation]\nafter_epochs = 5", 1).replace(
        "after_epochs = 0\n", "", 1))  # fmt: skip
    before = load_experiment(run).training.variation.after_epochs
    assert before == 5 and continued(RunFolder(run), 2).training.variation.after_epochs == 2
    path.write_text(text.replace('sizing = "fixed"', 'sizing = "layer"'))
    with pytest.raises(ConfigurationError, match="sizing = 'layer'.*inverter_sizes"):
        continued(RunFolder(run), 2)


def test_a_spiking_network_goes_on_without_its_static_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    circuit_toml(tmp_path, "1r")
    Path("tiny.toml").write_text(TOML.replace("epochs = 2", "epochs = 2\nstatic_epochs = 1"))
    words = ["--workers", "1", "--out", "run"]
    for verb in ("characterize", "fit-surrogates", "train"):
        assert main([verb, "tiny.toml", *(words if verb != "fit-surrogates" else words[2:])]) == 0
    assert continued(RunFolder(Path("run")), 1).training.static_epochs == 0
    assert main(["train", "run", "--further", "1"]) == 0, capsys.readouterr().err
    assert [line["epoch"] for line in metrics(Path("run-further-1"))] == [1, 2, 3]
    assert torch.isfinite(torch.tensor(metrics(Path("run-further-1"))[-1]["loss"]))
