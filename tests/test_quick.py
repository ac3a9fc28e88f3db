"""The short form of an experiment: of every preset it is one, and two kinds of it run from one end to the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from spiking.test_run import TOML as SPIKING
from spiking.test_run import circuit_toml
from tiny import finished, write_experiment

from spicetrain.characterization.plan import load_plan
from spicetrain.cli import main
from spicetrain.quick import quick, quick_folder
from spicetrain.storage import read_json
from spicetrain.systems import load_experiment, presets, system_of

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", presets())
def test_every_preset_has_one(name: str) -> None:
    long, short = load_experiment(name), quick(load_experiment(name))
    assert short.network == long.network and short.training.method == long.training.method
    training, verification = short.training, short.verification
    assert training.epochs == max(2, long.training.epochs // 10) and training.batch_size <= 64
    assert getattr(training, "static_epochs", 0) <= training.epochs
    assert training.variation.after_epochs < training.epochs or training.variation == long.training.variation
    assert (verification.images, verification.flat_images) <= (20, 0) and verification.chips_simulated == 0
    system = system_of(short)
    assert short.characterization.plan == {"inverter": "quick", "spiking": "spiking-quick"}[system.name]
    assert load_plan(short.characterization.plan, system.tables).sections.keys() == (
        load_plan(long.characterization.plan, system.tables).sections.keys()
    )
    for gate, asked in long.verification.model_dump().items():
        relaxed = getattr(verification, gate)
        if gate.endswith("_min") and asked is not None:
            assert relaxed == asked / 2
        if gate.endswith("_max") and asked is not None:
            assert asked <= relaxed <= max(10 * asked, 1) * (1 + 1e-12)
    assert quick_folder(name) == Path("runs") / f"{name}-quick"


def test_a_part_of_a_dataset_is_another_one() -> None:
    whole, part = load_experiment("mnist-kcl").dataset, quick(load_experiment("mnist-kcl")).dataset
    few, all_of_it = part.load(), whole.load()
    assert (len(few.train_inputs), len(few.test_labels)) == (2000, 500)
    assert (few.test_inputs == all_of_it.test_inputs[:500]).all() and (
        few.train_labels == all_of_it.train_labels[:2000]
    ).all()
    assert few.fingerprint != all_of_it.fingerprint and all_of_it.first(None, 10**6) is all_of_it


def test_an_inverter_network_from_one_end_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPICETRAIN_CACHE", str(finished().cache))
    write_experiment(tmp_path)
    assert main(["run", "tiny.toml", "--quick", "--workers", "1"]) == 0, capsys.readouterr().err
    folder = Path("runs/tiny-quick")
    assert read_json(folder / "summary.json")["images"] == 20 and (folder / "report.html").exists()
    assert load_experiment(folder).training.epochs == 2
    assert main(["train", "tiny.toml", "--quick"]) == 0  # the same folder, finished
    assert main(["verify", "tiny.toml", "--quick", "--images", "3", "--workers", "1"]) in (0, 5)  # a flag counts more
    assert read_json(folder / "summary.json")["images"] == 3
    capsys.readouterr()
    assert main(["verify", str(folder), "--quick"]) == 2
    assert "Name that, or leave --quick out" in capsys.readouterr().err
    assert main(["train", str(folder), "--quick", "--further", "1"]) == 2
    assert "--further and --quick" in capsys.readouterr().err


@pytest.mark.usefixtures("shared_cache")
def test_a_spiking_network_from_one_end_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    circuit_toml(tmp_path, "1r")
    Path("tiny.toml").write_text(SPIKING)
    assert main(["run", "tiny.toml", "--quick", "--workers", "1"]) == 0, capsys.readouterr().err
    summary = read_json(Path("runs/tiny-quick/summary.json"))
    assert (summary["images"], summary["flat"], summary["array"]) == (1, None, "1r")
