"""`verify --chips` of a run: its figures and tables, kept, resumed, the same in any number of processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from bench import Counted, simulator

from spicetrain.cli import main
from spicetrain.draw import Draw
from spicetrain.errors import VerificationError
from spicetrain.inverter.chip import chip_of
from spicetrain.inverter.definition import VerificationSettings
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification import chips as module
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.inverter.verification.verify import Verification
from spicetrain.run import Run
from spicetrain.verification.conditions import Conditions

from .reopened import copied, reopened, summary_of, verified_in

pytestmark = pytest.mark.xdist_group("chips")  # what its tests share is made once

CHIPS = 5
SIMULATED = 2


ASKED: dict[str, Any] = {"chips": CHIPS, "chips_simulated": SIMULATED, "yield_accuracy": 0.6}


def opened(folder: Path, *, run: dict[str, Any] | None = None, **changes: Any) -> Run:
    """The run in a folder with other settings of its verification."""
    return reopened(folder, run, **(ASKED | changes))


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run, first verified without chips, then with some; not to be changed."""
    return verified_in(tmp_path_factory.mktemp("chips") / "run", **ASKED)


@pytest.fixture
def folder(verified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    return copied(verified, tmp_path / "run", monkeypatch)


def test_the_figures_are_those_of_the_table(verified: Path) -> None:
    found, table = summary_of(verified)["chips"], pd.read_parquet(verified / "chips.parquet")
    accuracy = table["accuracy_model"]
    assert table["chip"].tolist() == list(range(CHIPS))
    assert (found["count"], found["first"], found["simulated"], found["images"]) == (CHIPS, 0, SIMULATED, 30)
    assert found["accuracy_mean"] == pytest.approx(accuracy.mean())
    assert found["accuracy_std"] == pytest.approx(accuracy.std())
    assert found["accuracy_min"] == accuracy.min() and found["worst"] == int(table["chip"][accuracy.argmin()])
    assert found["accuracy_p10"] == pytest.approx(np.percentile(accuracy, 10))
    assert found["yield"] == pytest.approx((accuracy >= 0.6).mean()) and found["yield_accuracy"] == 0.6
    assert "yield_" not in found
    assert set(found["by_source"]) == {"mismatch", "programming"}
    for name, of_source in found["by_source"].items():
        assert of_source["accuracy_mean"] == pytest.approx(table[f"accuracy_{name}"].mean())
        assert of_source["accuracy_min"] == table[f"accuracy_{name}"].min()
    assert not np.allclose(table["accuracy_mismatch"], table["accuracy_programming"])
    simulated = table[: len(table) - (CHIPS - SIMULATED)]
    assert table["accuracy_spice"].notna().tolist() == [True] * SIMULATED + [False] * (CHIPS - SIMULATED)
    assert found["simulated_accuracy_mean"] == pytest.approx(simulated["accuracy_spice"].mean())
    assert found["simulated_agreement"] == pytest.approx(simulated["agreement"].mean()) == 1.0
    assert found["simulated_error_mean_V"] == pytest.approx(simulated["error_mean_V"].mean())
    assert 0 < found["simulated_error_mean_V"] < 1e-3  # the tiny run's surfaces are coarse
    assert found["simulated_error_max_V"] == pytest.approx(simulated["error_max_V"].max())
    assert found["simulated_flat_max_V"] < 1e-6  # of the first chip; may be 0: gate sources make ngspice round alike
    assert found["variation"]["mismatch"]["nmos"]["A_VT_Vm"] == 3.5e-9
    assert InverterSummary.of(summary_of(verified)) is not None


def test_a_chip_of_the_table_is_the_chip_of_its_number(folder: Path) -> None:
    """Again by hand: drawn, predicted, counted."""
    run = opened(folder)
    conditions = Conditions(run.technology, run.technology)
    network = Network.load(folder / "network.safetensors")
    settings = VerificationSettings.model_validate(run.experiment.verification.model_dump())
    population = Verification(network, conditions, run.surrogates(), run.dataset, settings).population
    table = pd.read_parquet(folder / "chips.parquet")
    for number in (0, 3):
        chip = chip_of(network, run.technology, population.statistics, Draw(number))
        right = population.outputs(chip).argmax(1) == run.dataset.test_labels[:30]
        assert table["accuracy_model"][number] == right.mean()
    assert summary_of(folder)["chips"]["nominal"] == summary_of(folder)["accuracy_model"]


def test_the_worst_chip_is_kept_image_by_image(verified: Path) -> None:
    worst, found = pd.read_parquet(verified / "chips-worst.parquet"), summary_of(verified)["chips"]
    assert worst["image"].tolist() == list(range(30)) and set(worst["chip"]) == {found["worst"]}
    outputs = worst[[f"model_o_{j}_V" for j in range(3)]].to_numpy()
    assert (outputs.argmax(1) == worst["label"]).mean() == pytest.approx(found["accuracy_min"])


def test_a_folder_of_before_gets_its_shifted_surface_and_stays_the_same_run(
    folder: Path,
) -> None:
    before = tiny.finished().folder
    assert not (before / "characterization" / "shifted_surface.parquet").exists()
    assert (folder / "characterization" / "shifted_surface.parquet").exists()
    fit = [json.loads((one / "surrogates.json").read_text())["surrogates"] for one in (before, folder)]
    assert "shifted_surface" not in fit[0] and "shifted_surface" in fit[1]
    runs = [Run.open(one, workers=1) for one in (before, folder)]
    assert runs[0].surrogates().fingerprint == runs[1].surrogates().fingerprint
    assert runs[0].network().fingerprint == runs[1].network().fingerprint
    kept = {name: (folder / name).read_bytes() for name in ("network.safetensors", "metrics.jsonl")}
    assert main(["run", str(folder), "--workers", "1"]) == 0  # the training is not refused, and not begun again
    assert kept == {name: (folder / name).read_bytes() for name in kept}
    assert summary_of(folder)["chips"]["count"] == CHIPS


def test_a_verification_of_the_same_chips_is_kept(folder: Path) -> None:
    answer = Counted()
    run = {"ngspice": simulator(answer=answer)}
    first = summary_of(folder)
    assert opened(folder, run=run).verified().to_json() == first
    assert answer.calls == 0
    for change in ({"chips": 4}, {"chips_first": 1}, {"yield_accuracy": 0.7}, {"chips_simulated": 1},
                   {"chips_images": 20}, {"variation": {"programming": 0.2}}, {"chips_sources": False}):  # fmt: skip
        other = opened(folder, run=run, **change)
        kept = other.system.cached_verification(other, other.network(), other.surrogates())
        assert kept is None, change
    (folder / "chips-worst.parquet").unlink()
    other = opened(folder, run=run)
    assert other.system.cached_verification(other, other.network(), other.surrogates()) is None


def test_chips_that_are_asked_for_no_longer_are_gone(folder: Path) -> None:
    summary = opened(folder, chips=0, chips_simulated=0).verify()
    assert isinstance(summary, InverterSummary) and summary.chips is None
    assert not list(folder.glob("chips*"))


def test_the_same_chips_in_two_processes(folder: Path) -> None:
    one, table = summary_of(folder)["chips"], pd.read_parquet(folder / "chips.parquet")
    two = opened(folder, run={"workers": 2}, chips_sources=False, chips_simulated=1).verify()
    assert isinstance(two, InverterSummary) and two.chips is not None
    found = two.chips.model_dump(mode="json", by_alias=True)
    for name in ("accuracy_mean", "accuracy_std", "accuracy_p10", "accuracy_min", "yield", "worst", "nominal"):
        assert found[name] == one[name], name
    again = pd.read_parquet(folder / "chips.parquet")
    assert again["accuracy_model"].tolist() == table["accuracy_model"].tolist()
    for name in ("accuracy_spice", "agreement", "error_mean_V", "error_max_V"):
        assert again[name][0] == pytest.approx(table[name][0], abs=1e-7), name


def test_the_first_chip_is_a_number(folder: Path) -> None:
    table = pd.read_parquet(folder / "chips.parquet")
    opened(folder, chips=2, chips_first=3, chips_simulated=0).verify()
    later = pd.read_parquet(folder / "chips.parquet")
    assert later["chip"].tolist() == [3, 4]
    assert later["accuracy_model"].tolist() == table["accuracy_model"][3:].tolist()
    assert later["accuracy_spice"].isna().all()
    worst = later["chip"][later["accuracy_model"].argmin()]
    assert set(pd.read_parquet(folder / "chips-worst.parquet")["chip"]) == {worst}
    assert summary_of(folder)["chips"]["worst"] == worst


def test_an_interrupted_one_goes_on_with_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pd.read_parquet(folder / "chips.parquet")
    real, evaluated = module.accuracies, list[int]()

    def counted(*arguments: Any) -> Any:
        evaluated.extend(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(module, "accuracies", counted)
    monkeypatch.setattr(module, "PIECE", 2)  # 5 chips: three pieces, of everything and of each of two sources
    nominal = 1 + 1  # pieces of ngspice: reduced and flat
    answer = Counted(interrupt_at=nominal + 3)  # the second chip, behind the first one, reduced and flat
    with pytest.raises(KeyboardInterrupt):
        opened(folder, run={"ngspice": simulator(answer=answer)}).verify()
    assert evaluated == 3 * list(range(CHIPS))
    assert (folder / ".verification").is_dir()
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "chips.parquet"), whole)  # of before, untouched
    evaluated.clear()
    answer = Counted()
    opened(folder, run={"ngspice": simulator(answer=answer)}).verify()
    assert evaluated == [] and answer.calls == 1
    assert not (folder / ".verification").exists()
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "chips.parquet"), whole)


def test_in_the_midst_of_the_model_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pd.read_parquet(folder / "chips.parquet")
    real, evaluated, most = module.accuracies, list[int](), 4

    def broken(*arguments: Any) -> Any:
        if len(evaluated) == most:
            raise KeyboardInterrupt
        evaluated.extend(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(module, "accuracies", broken)
    monkeypatch.setattr(module, "PIECE", 2)
    with pytest.raises(KeyboardInterrupt):
        opened(folder).verify()
    most = -1
    opened(folder).verify()
    assert evaluated == [0, 1, 2, 3, 4, *(2 * list(range(CHIPS)))]
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "chips.parquet"), whole)


def test_what_is_asked_of_chips_is_judged(folder: Path) -> None:
    worst = summary_of(folder)["chips"]["accuracy_min"]
    opened(folder, yield_accuracy=worst, yield_min=1.0).verify()
    with pytest.raises(VerificationError, match=r"chips\.yield"):
        opened(folder, chips=20, chips_simulated=0, chips_sources=False, yield_accuracy=1.0, yield_min=0.99).verify()
    assert summary_of(folder)["chips"]["count"] == 20  # written before it is judged


def test_of_one_source_none_is_looked_at_alone(folder: Path) -> None:
    summary = opened(folder, chips_simulated=0, variation={"mismatch": 0.0}).verify()
    assert isinstance(summary, InverterSummary) and summary.chips is not None
    assert summary.chips.by_source == {} and summary.chips.variation["mismatch"] is None
    known = pd.read_parquet(folder / "chips.parquet")
    assert set(known) & {"accuracy_mismatch", "accuracy_programming"} == set()


def test_flat_chips_are_the_reduced_ones(folder: Path) -> None:
    reduced = pd.read_parquet(folder / "chips.parquet")
    opened(folder, netlist="flat", chips_images=4, images=4, chips_sources=False).verify()
    flat = pd.read_parquet(folder / "chips.parquet")
    assert (flat["error_max_V"][:SIMULATED] < 2 * reduced["error_max_V"][:SIMULATED] + 2e-6).all()
