"""A whole comparison: its cells, what is chosen for them, its tables and its page, interrupted and with failures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from compare.small import TOML, Finished, finished, write_comparison
from spicetrain.array.crossbar import Crossbar
from spicetrain.cli import main
from spicetrain.compare.cells import Cell, all_cells, chosen_cells
from spicetrain.compare.definition import load_comparison
from spicetrain.compare.drawings import pareto
from spicetrain.compare.run import Compare
from spicetrain.compare.search import run_search
from spicetrain.compare.write import write_results
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError, SimulationError, SpicetrainError, StorageError, VerificationError
from spicetrain.inverter.comparison import cross
from spicetrain.inverter.comparison.score import score
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.system import InverterSystem
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.phax import PhaxSettings
from spicetrain.inverter.verification.verify import EXACT
from spicetrain.lock import locked
from spicetrain.run import Run
from spicetrain.schema import Definition
from spicetrain.storage import read_json
from spicetrain.system import Network as AnyNetwork
from spicetrain.systems import load_experiment
from spicetrain.technology import load_technology
from spicetrain.training.common import parts_of

CELLS = ("phax", "kcl-tuned", "kcl")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The finished one, to be read only, with its cache."""
    original = finished()
    monkeypatch.setenv("SPICETRAIN_CACHE", str(original.cache))
    return original


def again(folder: Path, **chosen: Any) -> None:
    Compare(load_comparison(folder), folder, workers=1, **chosen).run()


def stamps(folder: Path) -> dict[str, tuple[int, bytes]]:
    kept = ("network.safetensors", "summary.json", "verification.parquet", "cell.json", "cross.json", "search.json")
    files = [path for path in folder.rglob("*") if path.name in kept]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


# The cells


def test_every_cell_is_a_run_folder_of_its_own_experiment(done: Finished) -> None:
    cells = all_cells(load_comparison(done.toml), done.folder)
    assert [(cell.name, cell.seed) for cell in cells] == [(name, seed) for seed in (0, 1) for name in CELLS]
    for cell in cells:
        experiment = load_experiment(cell.folder)
        assert experiment == cell.experiment()
        assert experiment.training.seed == cell.seed and experiment.dataset.name == "iris"
        assert experiment.network.inverter_sizes == ((4, 1) if cell.name == "kcl" else (8, 1))
        assert Network.load(cell.folder / "network.safetensors").about["seed"] == cell.seed
        assert (cell.folder / "report.html").exists()
    assert cells[0].experiment().training.method == "phax"


def test_characterized_and_fitted_once(done: Finished) -> None:
    folders = [cell.folder for cell in all_cells(load_comparison(done.toml), done.folder)]
    folders += sorted((done.folder / "iris" / "phax" / "search").iterdir())
    rooms = [read_json(folder / "manifest.json")["rooms"] for folder in folders]
    made = [folder for folder, room in zip(folders, rooms, strict=True) if "copied_from" not in room["fit-surrogates"]]
    assert len(folders) == 9 and len(made) == 1, made
    one = {(folder / "surrogates.safetensors").read_bytes() for folder in folders}
    assert len(one) == 1
    run = Run(load_experiment(folders[1]), folders[1])
    assert run.fit_surrogates()["fitted_now"] == []  # also `spicetrain run` on a cell keeps what was copied


def test_training_starts_from_the_network_of_the_same_seed(done: Finished) -> None:
    for seed in (0, 1):
        start = done.folder / "iris" / "phax" / f"seed-{seed}" / "network.safetensors"
        assert load_experiment(done.folder / "iris" / "kcl-tuned" / f"seed-{seed}").training.initial == start


def test_two_comparisons_in_one_folder_are_kept_apart(done: Finished, tmp_path: Path) -> None:
    folder = done.copy(tmp_path / "out")
    cell = folder / "iris" / "kcl" / "seed-0"
    (cell / "cell.json").unlink()
    before = stamps(folder)
    for taken in (folder, cell):  # by a comparison, by a run of one of its cells
        with ThreadPoolExecutor(1) as other, locked(taken):
            attempt = other.submit(again, folder)
            with pytest.raises(StorageError, match=re.escape(f"{taken} is in use by process {os.getpid()}")):
                attempt.result()
        assert stamps(folder) == before  # not noted as a cell that failed


# The search


def test_the_search_takes_the_value_with_the_best_score(done: Finished) -> None:
    found = read_json(done.folder / "iris" / "phax" / "search.json")
    scores = [trial["accuracy_circuit"] for trial in found["trials"]]
    assert [trial["value"] for trial in found["trials"]] == [1e-4, 2e-6, 0.0]
    assert found["chosen"] == [1e-4, 2e-6, 0.0][int(np.argmax(scores))]  # the first of equals
    for seed in (0, 1):
        assert load_experiment(done.folder / f"iris/phax/seed-{seed}").training.of("phax").load_S == found["chosen"]


def test_scores_are_those_of_the_circuit_on_images_that_training_does_not_see(done: Finished) -> None:
    """Of a net that is not trained, and sees another class than the circuit for some flowers: chosen so that a score of
    the wrong method, or of the wrong flowers, is another number."""
    folder = done.folder / "iris" / "phax" / "search" / "2e-06"
    run = Run(load_experiment(folder), folder)
    assert (run.experiment.training.epochs, run.experiment.training.validation) == (2, 30)
    split = parts_of(load_dataset("iris"), run.experiment.training.validation, torch.device("cpu"))
    trained = Network.load(folder / "network.safetensors")
    circuit = FittedCircuit(run.technology, Surrogates.load(folder), torch.float64, tolerance=EXACT)
    own = {"kcl": None, "phax": PhaxSettings(load_S=2e-6)}

    def accuracy(network: Network, part: str, method: str) -> float:
        inputs, labels = split[part]
        outputs = predict(network, inputs.numpy(), circuit, method, own[method]).outputs
        return float((outputs.argmax(1) == labels).double().mean())

    told = 0
    for seed in range(60):
        network = _shaken(trained, seed)
        expected = accuracy(network, "validation", "kcl"), accuracy(network, "validation", "phax")
        found = score(run, network)
        assert (found["accuracy_circuit"], found["accuracy_model"]) == pytest.approx(expected)
        told += len({*expected, accuracy(network, "train", "kcl")}) == 3
        if told == 2:
            return
    pytest.fail("no net tells a wrong score from a right one")


def _shaken(network: Network, seed: int) -> Network:
    """Other conductances, anywhere between 1.2e-7 and 7.8e-6 S."""
    random = np.random.default_rng(seed)
    crossbars = tuple(
        Crossbar(*(np.exp(random.uniform(np.log(1.2e-7), np.log(7.8e-6), g.shape)) for g in vars(crossbar).values()))
        for crossbar in network.crossbars
    )
    return replace(network, crossbars=crossbars)


def test_the_first_of_equal_values_is_chosen_and_the_best_one_otherwise(
    done: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = done.copy(tmp_path / "out")
    for scores, chosen in (([0.5, 0.9, 0.9], 2e-6), ([0.5, 0.5, 0.6], 0.0)):
        answers = iter(scores)
        monkeypatch.setattr(InverterSystem, "score", lambda *_, a=answers: {"accuracy_circuit": next(a)})
        cell = all_cells(load_comparison(folder), folder)[0]
        search = cell.comparison.methods["phax"].search
        assert search is not None
        (cell.group / "search.json").unlink()
        assert run_search(cell, search, Run, lambda run: None)["chosen"] == chosen


# The tables


def test_the_table_says_what_the_cells_files_say(done: Finished) -> None:
    table = pd.read_parquet(done.folder / "comparison.parquet").set_index(["cell", "seed"])
    assert len(table) == 6 and set(table["state"]) == {"finished"}
    for (name, seed), row in table.iterrows():
        folder = done.folder / "iris" / name / f"seed-{seed}"
        frame = pd.read_parquet(folder / "verification.parquet")
        model, spice = (frame.filter(regex=f"^{kind}_o_").to_numpy() for kind in ("model", "spice"))
        error = np.abs(model - spice)
        expected = {
            "images": 30,
            "accuracy_model": np.mean(model.argmax(1) == frame["label"]),
            "accuracy_spice": np.mean(spice.argmax(1) == frame["label"]),
            "agreement": np.mean(model.argmax(1) == spice.argmax(1)),
            "error_mean_V": error.mean(),
            "error_rms_V": np.sqrt((error**2).mean()),
            "error_max_V": error.max(),
            "training_seconds": pd.read_json(folder / "metrics.jsonl", lines=True)["seconds"].sum(),
            "fingers": 3 * 2 * (4 if name == "kcl" else 8) + 3,
            "energy_per_inference_J": pd.read_parquet(folder / "transient.parquet")["energy_J"].mean(),
        }
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, rel=1e-12), (name, seed, column)
        assert row["method"] == ("phax" if name == "phax" else "kcl")
        assert row["inverter_sizes"] == ("4, 1" if name == "kcl" else "8, 1")
    csv = pd.read_csv(done.folder / "comparison.csv", float_precision="round_trip")
    assert csv["error_mean_V"].tolist() == table["error_mean_V"].tolist()


def test_markdown_has_means_ranges_and_ratios(done: Finished) -> None:
    table = pd.read_parquet(done.folder / "comparison.parquet")
    text = (done.folder / "comparison.md").read_text()
    shown = {line.split("|")[1].strip(): line for line in reversed(text.splitlines()) if line.startswith("|")}
    for name, cells in table.groupby("cell"):
        mean, low, high = (100 * getattr(cells["accuracy_spice"], how)() for how in ("mean", "min", "max"))
        assert f"{mean:.2f} % ({low:.2f} % .. {high:.2f} %)" in shown[str(name)]
    own = table.groupby("cell")["error_mean_V"].mean()
    cross = pd.read_csv(done.folder / "cross.csv").groupby(["cell", "predictor"])["error_mean_V"].mean().unstack()
    ratio, least = own["phax"] / own["kcl"], (cross["phax"] / cross["kcl"]).min()
    wanted = [f"{value:,.0f}x" for value in (ratio, cross["phax"]["kcl"] / cross["kcl"]["kcl"], least)]
    assert all(value > 10 for value in (ratio, least))
    assert "| phax | " + " | ".join(wanted) + " |" in text
    saved = table.groupby("cell")["energy_per_inference_J"].mean()
    assert f"| kcl | phax | {100 * (1 - saved['kcl'] / saved['phax']):.1f} % |" in text
    assert "| 62 % |" in text and "PHAX-style" in text


@pytest.mark.parametrize("name", CELLS)
def test_cross_scores_are_those_of_an_independent_prediction(done: Finished, name: str) -> None:
    folder = done.folder / "iris" / name / "seed-1"
    chosen = read_json(done.folder / "iris" / "phax" / "search.json")["chosen"]
    scores = pd.read_csv(done.folder / "cross.csv").query("cell == @name and seed == 1").set_index("predictor")
    assert set(scores.index) == {"kcl", "ideal", "phax", "rim"}  # the plan measures no load for latim
    assert "loaded_vtc" in read_json(folder / "cross.json")["latim"]["missing"]
    frame = pd.read_parquet(folder / "verification.parquet")
    spice = frame.filter(regex="^spice_o_").to_numpy()
    network, dataset = Network.load(folder / "network.safetensors"), load_dataset("iris")
    for method, row in scores.iterrows():
        circuit = FittedCircuit(load_technology("ptm90"), Surrogates.load(folder), torch.float64, tolerance=EXACT)
        settings = PhaxSettings(load_S=chosen) if method == "phax" else None
        predicted = predict(network, dataset.test_inputs, circuit, str(method), settings, batch=7)
        outputs = predicted.outputs.numpy()
        error = np.abs(outputs - spice)
        expected = (
            error.mean(), np.sqrt((error**2).mean()), error.max(), np.mean(outputs.argmax(1) == spice.argmax(1)),
            np.mean(outputs.argmax(1) == dataset.test_labels), 0,
        )  # fmt: skip
        for figure, value in zip(cross.FIGURES, expected, strict=True):
            assert row[figure] == pytest.approx(value, rel=1e-6, abs=1e-12), (method, figure)


def test_cross_scores_are_kept_for_the_same_net_only(
    done: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = Cell(load_comparison(done.toml), done.copy(tmp_path / "out"), "iris", "kcl", 0)
    asked: list[str] = []

    def noted(network: Network, inputs: Any, circuit: FittedCircuit, method: str, settings: Definition) -> Any:
        asked.append(method)
        return predict(network, inputs, circuit, method, settings)

    def cross_scores() -> dict[str, Any]:
        others = [replace(cell, name=name).experiment() for name in cell.comparison.methods]
        return cross.cross_scores(Run(cell.experiment(), cell.folder), others)

    monkeypatch.setattr(cross, "predict", noted)
    before = cross_scores()
    assert asked == []
    network = Network.load(cell.folder / "network.safetensors")
    network.crossbars[0].pos[0, 0] *= 1.5
    network.save(cell.folder / "network.safetensors")
    after = cross_scores()
    assert sorted(asked) == sorted(METHODS)
    assert after["kcl"]["error_max_V"] > 10 * before["kcl"]["error_max_V"]  # ngspice's are of the net before


@pytest.mark.parametrize("damage", ["[]", '{"kcl": 3}', '{"kcl": {}}', '{"kcl": {"error_mean_V": 1.0}}', '{"kcl"'])
@pytest.mark.parametrize("verb", ["report", "compare"])
def test_damaged_cross_scores_are_named(
    verb: str, damage: str, done: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = done.copy(tmp_path / "out")
    path = folder / "iris" / "kcl" / "seed-0" / "cross.json"
    path.write_text(damage)
    assert main([verb, str(folder)]) == 2
    assert f"{path} is not " in capsys.readouterr().err
    assert path.read_text() == damage


# The page


def test_the_page_needs_nothing_else(done: Finished) -> None:
    html = (done.folder / "comparison.html").read_text()
    targets = re.findall(r'(?:src|href|srcset|data)="([^"]*)"', html)
    inside = [target for target in targets if target.startswith(("#", "data:"))]
    reports = [target for target in targets if target not in inside]
    assert sorted(reports) == sorted(f"iris/{name}/seed-{seed}/report.html" for name in CELLS for seed in (0, 1))
    assert all((done.folder / report).exists() for report in reports)
    assert html.count("<script") == 1 and "http" not in html.replace("http-equiv", "")
    assert html.count("<svg") == 4  # errors, cross-scores, front, learning
    assert "PHAX-style" in html and "missing" not in html.split("<main>")[1]


def test_a_comparison_half_done_is_shown_as_that(done: Finished, tmp_path: Path) -> None:
    folder = done.copy(tmp_path / "out")
    for name in ("summary.json", "verification.parquet", "network.safetensors", "cell.json", "cross.json"):
        (folder / "iris" / "kcl" / "seed-1" / name).unlink()
    assert main(["report", str(folder)]) == 0
    table = pd.read_parquet(folder / "comparison.parquet").set_index(["cell", "seed"])
    assert table.loc[("kcl", 1), "state"] == "missing" and np.isnan(table.loc[("kcl", 1), "error_mean_V"])
    html = (folder / "comparison.html").read_text()
    assert "1 cell of 6 are missing" in html and "1 of 2, 1 missing" in html
    assert f"spicetrain compare {folder}" in html


def test_a_comparison_not_begun_has_a_page(tmp_path: Path) -> None:
    comparison = load_comparison(write_comparison(tmp_path))
    (tmp_path / "out").mkdir()
    comparison.save(tmp_path / "out" / "comparison.toml")
    html = write_results(tmp_path / "out").read_text()
    assert "6 cells of 6 are missing" in html and "<svg" not in html


def test_the_front_is_what_no_other_beats_in_both() -> None:
    random = np.random.default_rng(0)
    cost, value = random.integers(0, 20, 60).astype(float), random.integers(0, 20, 60).astype(float)
    beaten = [any((cost <= c) & (value >= v) & ((cost < c) | (value > v))) for c, v in zip(cost, value, strict=True)]
    chosen = pareto(cost, value)
    assert {(cost[i], value[i]) for i in chosen} == {(cost[i], value[i]) for i in np.flatnonzero(~np.array(beaten))}
    assert (np.diff(cost[chosen]) > 0).all() and (np.diff(value[chosen]) > 0).all()
    assert list(pareto(np.array([1.0, 1.0]), np.array([2.0, 2.0]))) == [0]


# Again, interrupted, failed


def test_what_is_finished_is_not_done_again(done: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = done.copy(tmp_path / "out")
    monkeypatch.setattr(Run, "train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(Run, "verified", lambda *_: pytest.fail("verified again"))
    before = stamps(folder)
    again(folder)
    assert stamps(folder) == before


def test_killed_and_called_again(done: Finished, tmp_path: Path) -> None:
    toml, folder = write_comparison(tmp_path), tmp_path / "out"
    words = ["compare", str(toml), "--out", str(folder), "--workers", "1", "--seeds", "0"]
    command = [sys.executable, "-m", "spicetrain", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    first = folder / "iris" / "phax" / "seed-0" / "cell.json"
    deadline = time.monotonic() + 180
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and first.exists()
    before = stamps(folder)
    assert "iris/kcl/seed-0/cell.json" not in before
    again(folder, seeds=[0])
    after = stamps(folder)
    assert {name: after[name] for name in before if name.startswith("iris/phax")} == {
        name: before[name] for name in before if name.startswith("iris/phax")
    }
    ours, theirs = (pd.read_parquet(one / "comparison.parquet") for one in (folder, done.folder))
    columns = ["cell", "seed", "state", "accuracy_spice", "error_mean_V", "chosen"]
    assert ours["state"].tolist() == 3 * ["finished"] + 3 * ["missing"]
    pd.testing.assert_frame_equal(ours[columns][:3], theirs[columns][:3], rtol=1e-6)
    assert "<svg" in (folder / "iris/phax/seed-0/report.html").read_text()  # the killed one's, a real one


def test_a_cell_that_fails_is_noted_and_the_others_go_on(
    done: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TOML.replace("seeds = [0, 1]", "seeds = [0]") + "verification.error_mean_max = 1e-12\n"
    toml, folder = write_comparison(tmp_path, text), tmp_path / "out"
    real = Run.train

    def train(run: Run) -> AnyNetwork:
        if run.folder.parent.name == "phax":
            raise SimulationError("it is this")
        return real(run)

    monkeypatch.setattr(Run, "train", train)
    words = ["compare", str(toml), "--out", str(folder), "--workers", "1"]
    assert main(words) == 4  # of 4, 2 and 5 the worst
    out, err = capsys.readouterr()
    assert "iris phax seed 0: it is this" in err and "error_mean_max" not in out
    table = pd.read_csv(folder / "comparison.csv").set_index("cell")
    assert table["state"].tolist() == ["failed"] * 3
    assert table.loc["phax", "message"] == "it is this"
    assert "that cell failed before it was trained" in table.loc["kcl-tuned", "message"]
    assert "error_mean_V / swing = " in table.loc["kcl", "message"] and table.loc["kcl", "accuracy_spice"] > 0
    assert (folder / "iris/kcl/seed-0/report.html").exists() and (folder / "iris/kcl/seed-0/cross.json").exists()
    assert "it is this" in (folder / "comparison.html").read_text()

    monkeypatch.setattr(Run, "train", real)
    assert main(words) == 5  # the simulation works now, the tolerance is what it was
    assert pd.read_csv(folder / "comparison.csv")["state"].tolist() == ["finished", "finished", "failed"]


@pytest.mark.parametrize("error", [ConfigurationError, SimulationError, VerificationError])
def test_the_tables_are_printed_whatever_cells_failed_of(
    error: type[SpicetrainError],
    done: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = done.copy(tmp_path / "out")
    (folder / "iris/kcl/seed-1/cell.json").unlink()

    def train(run: Run) -> Network:
        raise error("it is this")

    monkeypatch.setattr(Run, "train", train)
    assert main(["compare", str(folder), "--workers", "1"]) == error.exit_code
    out, err = capsys.readouterr()
    assert "1 of 2, 1 failed" in out and "accuracy, SPICE" in out
    assert "1 of 6 cells failed. iris kcl seed 1: it is this" in err


def test_no_tables_are_printed_when_nothing_was_begun(done: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(done.folder), "--seeds", "7"]) == 2
    out, err = capsys.readouterr()
    assert not out and "no seed '7'" in err


def test_only_what_is_asked_for(done: Finished, tmp_path: Path) -> None:
    comparison = load_comparison(done.toml)

    def names(**chosen: Any) -> list[tuple[str, int]]:
        return [(cell.name, cell.seed) for cell in chosen_cells(comparison, tmp_path, **chosen)]

    assert names(seeds=[1]) == [(name, 1) for name in CELLS]
    assert names(names=["kcl-tuned"], seeds=[0]) == [("phax", 0), ("kcl-tuned", 0)]  # with what it starts from
    assert names(datasets=["iris"], names=["kcl"]) == [("kcl", 0), ("kcl", 1)]
