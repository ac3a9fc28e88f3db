"""The benchmarks start, and one of each kind runs in a tiny setting. Their figures are not looked at here."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compare.small import finished
from spiking.test_run import TOML, circuit_toml
from tiny import PLAN
from tiny import TOML as SMALL

from spicetrain.cli import main
from spicetrain.storage import read_json

pytestmark = pytest.mark.usefixtures("shared_cache")

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = (
    "characterization_share",
    "chips",
    "cluster",
    "gpu",
    "larger",
    "memory_and_start",
    "mesh",
    "peers",
    "spiking_exploration",
    "spiking_flat",
    "spiking_step",
    "surrogate_fit",
    "training_quality",
    "training_step",
    "verification_speed",
)


def run(name: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


def result_of(name: str, folder: Path, *arguments: str) -> dict[str, Any]:
    text = run(name, *arguments, "--out", str(folder / "result.json"))
    assert "target" in text
    result = json.loads((folder / "result.json").read_text())
    assert result["machine"]["cores"] >= 1
    return result


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: what they import is here already."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    text = capsys.readouterr().out
    assert left.value.code == 0 and "--out" in text
    assert "arget" in text  # what it is measured against


def test_characterization_share(tmp_path: Path) -> None:
    result = result_of("characterization_share", tmp_path, "--plan", "smoke", "--workers", "1")
    assert 0 < result["ngspice_s"] <= result["wall_s"]
    assert result["ngspice_share"] == pytest.approx(result["ngspice_s"] / result["wall_s"])


def test_the_fit_is_timed_step_by_step(tmp_path: Path) -> None:
    result = result_of("surrogate_fit", tmp_path, "--points", "41", "--steps", "2", "--rounds", "1")
    assert result["rms_relative"] == result["errors"]["rms_relative"] < 1e-3
    assert result["ratio"] == pytest.approx(result["step_s"]["minpack"] / result["step_s"]["ours"])


def test_the_shares_of_a_training_step(tmp_path: Path) -> None:
    tiny = ("--layers", "6", "5", "3", "--batch", "8", "--warm-up", "1", "--rounds", "2")
    result = result_of("training_step", tmp_path, *tiny)
    clocked = {"inverters and rows", "linear solves", "moving", "conductance products", "optimizer"}
    shares = result["shares"]
    assert set(shares) == clocked | {"first crossbar", "other"} and result["bound_by"] in shares
    assert all(shares[part] > 0 for part in clocked) and sum(shares.values()) == pytest.approx(1)
    off = result["off_float64"]
    assert 0 < off["gradient"] < 1e-2 and 0 < off["mean_V"] <= off["largest_V"] < 20e-6


def test_cost_over_size(tmp_path: Path) -> None:
    tiny = ("--sizes", "6-5-3", "--coupled", "5-4", "--batch", "8", "--rounds", "1", "--images", "2")
    result = result_of("larger", tmp_path, *tiny)
    whole, coupled = result["whole"]["6-5-3"], result["coupled"]["5-4"]
    assert whole["ratio"] == pytest.approx(whole["step_s"]["kcl"] / whole["step_s"]["mlp"])
    assert whole["couplings"] == 2 * 5 * 3 and whole["memory_B"] > 1e7 and whole["ngspice_B"] > 1e6
    assert coupled["couplings"] == 2 * (5 * 4 + 4 * 10) and coupled["multiplications"] == 2 * (5 * 4**2 + 4 * 10**2)
    assert coupled["deck_s"] > 0 and 0 <= coupled["eliminate_s"] < coupled["ngspice_s"] and coupled["iterations"] > 4
    assert (tmp_path / "result.png").exists()


def test_a_gpu_beside_the_cpu_or_the_cpu_alone(tmp_path: Path) -> None:
    tiny = ("--layers", "6", "5", "3", "--batch", "8", "--steps", "2", "--rounds", "1", "--chips", "3", "--images", "4")
    devices = result_of("gpu", tmp_path, *tiny)["devices"]
    assert list(devices) == (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
    for found in devices.values():
        assert found["ratio"] == pytest.approx(found["step_s"]["kcl"] / found["step_s"]["mlp"])
        assert found["chips_per_s"] > 0 and found["unconverged"] == 0


def test_memory_and_start(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SMALL)
    (tmp_path / "plan.toml").write_text(PLAN)
    tiny = ("--rooms", "characterize", "report", "--workers", "2", "--rounds", "1", "--every-s", "0.01")
    result = result_of("memory_and_start", tmp_path, "--experiments", str(tmp_path / "tiny.toml"), *tiny)
    starts, (rooms,) = result["start_s"], result["rooms"].values()
    assert 0 < starts["python -c pass"] < starts["--help"] < starts["import torch"]
    assert list(rooms) == ["characterize", "report"]
    for of in rooms.values():
        assert 5e7 < of["largest_B"] < 1e9 and 5e7 < of["all_B"] < 2e9 and of["seconds"] > 0
    assert rooms["characterize"]["processes"] > 2  # the workers, which run ngspice
    assert rooms["report"]["processes"] == 1
    assert (tmp_path / "result.png").exists()


def test_a_size_that_does_not_answer_is_a_row(tmp_path: Path) -> None:
    result = result_of("larger", tmp_path, "--sizes", "--coupled", "60-40", "--timeout-s", "0.01")
    found = result["coupled"]["60-40"]
    assert "0.01 s" in found["failed"] and found["deck_s"] > 0 and "ngspice_s" not in found


def test_what_a_spiking_circuits_values_buy(tmp_path: Path) -> None:
    tiny = ("--dataset", "iris", "--layers", "4", "5", "3", "--epochs", "2", "--static-epochs", "1", "--images", "1")
    only = ("--arrays", "1r", "--validation", "20", "--only", "as shipped", "threshold 40 mV")
    found = result_of("spiking_exploration", tmp_path, *tiny, *only, "--folder", str(tmp_path / "runs"))["variants"]
    assert list(found) == ["1r, as shipped", "1r, threshold 40 mV"]
    for one in found.values():
        assert (
            0 <= one["accuracy"] <= 1 and 0 < one["kept"] < 1 and (one["tolerance_V"] is None or one["tolerance_V"] > 0)
        )
        assert one["capacitors_m2"] == pytest.approx((5 * 16e-12 + 3 * 8e-12) / 2e-3, rel=1e-9, abs=0)
        assert one["memristors"] == 2 * (5 * 5 + 3 * 6) and one["transistors"] == 8 * 4 + 6 * 4
        assert 0 < one["gates_m2"] < 1e-9 and 0 <= one["tie_rate"] <= 1
        assert one["inference_s"] == pytest.approx(21 * 2.5e-9) and one["energy_J"] > 0


def test_a_spiking_step_against_snntorch(tmp_path: Path) -> None:
    tiny = ("--arrays", "1r", "--layers", "6", "5", "3", "--steps", "4", "--batch", "16", "--warm-up", "2")
    result = result_of("spiking_step", tmp_path, *tiny, "--rounds", "2")
    step_s, near = result["step_s"], result["near_measured"]["1r"]
    assert set(step_s) == {"1r", "regular", "snntorch", "augmentation and encoding"}
    assert result["ratios"]["1r"] == pytest.approx(step_s["1r"] / step_s["snntorch"])
    prepared_s = step_s["augmentation and encoding"]
    assert result["epoch_s"]["1r"] == pytest.approx(60_000 / 16 * (step_s["1r"] + prepared_s))
    assert 0.9 < near["simple_spikes"] <= 1 and 0.9 < near["simple_cosine"] <= 1.0001 and near["step_ratio"] > 0


def test_the_mesh_and_the_fast_form_beside_it(tmp_path: Path) -> None:
    result = result_of("mesh", tmp_path, "--sizes", "5", "--ohms", "1", "--fast", "--peer-up-to", "0")
    assert result["seconds"]["ours, 1 ohm"]["5"] > 0 and (tmp_path / "result.png").exists()


def test_the_circuit_against_an_mlp(tmp_path: Path) -> None:
    folder = finished().folder
    result = result_of("training_quality", tmp_path, str(folder), "--rates", "0.01", "0.03", "--kept-out", "30")
    told = [read_json(folder / f"iris/kcl/seed-{seed}/summary.json")["accuracy_spice"] for seed in (0, 1)]
    iris = result["datasets"]["iris"]
    assert iris["circuit"] == told and len(iris["mlp"]) == 2
    assert iris["tried"][f"{iris['mlp_learning_rate']:g}"] == max(iris["tried"].values()) and len(iris["tried"]) == 2
    assert result["points"]["iris"] == pytest.approx(50 * (sum(told) - sum(iris["mlp"])))


def test_altering_and_sweeping_give_the_same_voltages(tmp_path: Path) -> None:
    tiny = ("--images", "6", "--altered", "3", "--flat-images", "4", "--flat-altered", "3", "--rounds", "1")
    result = result_of("verification_speed", tmp_path, "--layers", "6", "5", "3", *tiny)
    for form in ("reduced", "flat"):
        assert 0 < result[form]["difference_V"] < 1e-6
        assert result[form]["ratio"] > 0


def test_a_cluster_against_the_pool(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    tiny = ("--layers", "6", "5", "3", "--images", "7", "--workers", "2", "--rounds", "1")
    result = result_of("cluster", tmp_path, *tiny)
    assert result["same_bits"] and result["start_s"] > 0
    assert result["ratio"] == pytest.approx(result["seconds"]["cluster"][0] / result["seconds"]["pool"][0])


def test_every_cell_of_a_spiking_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    circuit_toml(tmp_path, "1t1r")
    Path("tiny.toml").write_text(TOML)
    assert main(["run", "tiny.toml", "--workers", "1", "--images", "1", "--out", "run"]) == 0
    result = result_of("spiking_flat", tmp_path, "run", "--grow", "1", "2")
    of_first = [part["columns"] for part in result["parts"] if part["layer"] == 0]
    assert sorted(j for columns in of_first for j in columns) == [0, 1, 2, 3, 4]
    assert set(result["seconds_by_columns"]) == {"1", "2"} and result["spikes_differing"] == 0
    assert 0 < result["difference_V"] < 2e-3
