"""`verify` over a grid of conditions: refitted, simulated, recorded under each; kept, resumed, judged, shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench import Counted, simulator

from spicetrain.cli import main
from spicetrain.errors import ConfigurationError, VerificationError
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.netlists.transient import RAIL_CURRENTS
from spicetrain.inverter.network import Network
from spicetrain.operating import ConditionSet, conditions_in
from spicetrain.run import Run
from spicetrain.technology import Technology

from .reopened import copied, reopened, summary_of, verified_in

pytestmark = pytest.mark.xdist_group("grid")  # what its tests share is made once

GRID = {"temperatures_C": [27, 85], "vdd_scales": [0.9, 1]}
NAMES = ["nominal_27C_0.9x", "nominal_27C_1x", "nominal_85C_0.9x", "nominal_85C_1x"]


ASKED: dict[str, Any] = {"grid": GRID, "images": 20, "flat_images": 0}


def opened(folder: Path, run: dict[str, Any] | None = None, **changes: Any) -> Run:
    """The run in a folder with other settings of its verification."""
    return reopened(folder, run, **(ASKED | changes))


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run, verified over a grid; not to be changed."""
    return verified_in(tmp_path_factory.mktemp("grid") / "run", **ASKED)


@pytest.fixture
def folder(verified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    return copied(verified, tmp_path / "run", monkeypatch)


def test_a_row_a_condition_and_their_figures(verified: Path) -> None:
    table, found = pd.read_parquet(verified / "conditions.parquet"), summary_of(verified)["grid"]
    assert table["condition"].tolist() == NAMES
    assert table["vdd_V"].tolist() == pytest.approx([0.225, 0.25, 0.225, 0.25])
    assert (table["vss_V"] == -table["vdd_V"]).all()
    accuracy = table["accuracy_spice"]
    assert (found["count"], found["images"]) == (4, 20)
    assert found["accuracy_mean"] == pytest.approx(accuracy.mean()) and found["accuracy_min"] == accuracy.min()
    assert found["worst"] == table["condition"][accuracy.argmin()]
    assert found["nominal"] == accuracy[1] == summary_of(verified)["accuracy_spice"]
    hot = found["by_temperature_C"]["85"]
    assert (hot["count"], hot["accuracy_mean"]) == (2, pytest.approx(accuracy[2:].mean()))
    assert set(found["by_vdd_scale"]) == {"0.9", "1"} and set(found["by_corner"]) == {"nominal"}
    assert found["agreement_min"] == table["agreement"].min() == 1.0
    # The tiny run's surfaces are coarse: without a fit of its own each is off by tens of millivolts.
    assert found["error_mean_V"] == pytest.approx(table["error_mean_V"].mean())
    assert 0 < found["error_mean_V"] < 2e-3
    assert found["error_max_V"] == table["error_max_V"].max()
    assert found["static_power_max_W"] == table["static_power_W"].max()
    power = table.set_index("condition")["static_power_W"]
    assert power["nominal_85C_1x"] > power["nominal_27C_1x"] > 1.2 * power["nominal_27C_0.9x"] > 0


def test_a_row_is_what_plain_ngspice_says(verified: Path, ptm90: Technology) -> None:
    """Outputs and rail currents of the deck that anybody can write, under the condition where all is different."""
    (condition,) = conditions_in(ptm90, ConditionSet(temperatures_C=(85,), vdd_scales=(0.9,)))
    network, run = Network.load(verified / "network.safetensors"), Run.open(verified)
    inputs, labels = run.dataset.test_inputs[:20], run.dataset.test_labels[:20]
    deck = network_deck(network, condition.technology, inputs, "flat")
    assert deck.temperature_C == 85
    first = network.crossbars[0]  # flat, the rails feed its bias rows, too
    answer = simulator().simulate(
        type(deck)(**{**vars(deck), "saves": (*deck.saves, *RAIL_CURRENTS, "v(c0_0)", "v(c0_1)", "v(c0_2)")})
    )
    outputs = np.stack([answer.values[name] for name in deck.saves], 1)
    columns = np.stack([answer.values[f"v(c0_{j})"] for j in range(3)], 1)
    i_vdd, i_vss = (answer.values[name] for name in RAIL_CURRENTS)
    of_biases = ((0.225 - columns) * first.bias_pos + (columns + 0.225) * first.bias_neg).sum(1)
    power = 0.225 * (i_vss - i_vdd - of_biases)
    row = pd.read_parquet(verified / "conditions.parquet").set_index("condition").loc[condition.name]
    assert row["accuracy_spice"] == np.mean(outputs.argmax(1) == labels)
    assert row["static_power_W"] == pytest.approx(power.mean(), rel=1e-6)


def test_what_is_there_is_kept_and_what_is_missing_made(folder: Path) -> None:
    before = {name: (folder / "conditions" / name / "verified.json").read_bytes() for name in NAMES}
    counted = Counted()
    simulating = {"ngspice": simulator(answer=counted)}
    assert opened(folder, simulating).verified() and counted.calls == 0
    shutil.rmtree(folder / "conditions" / NAMES[2])
    (folder / "conditions" / NAMES[3] / "verified.json").unlink()
    opened(folder, simulating).verify()
    after = {name: json.loads((folder / "conditions" / name / "verified.json").read_text()) for name in NAMES}
    for name, row in before.items():
        same = json.loads(row) | {"seconds_ngspice": after[name]["seconds_ngspice"]}
        assert after[name] == same
    assert counted.calls == 3  # the network as it was, and under two conditions; tables come from the cache


def test_an_interrupted_one_goes_on(folder: Path) -> None:
    shutil.rmtree(folder / "conditions")
    counted = Counted(interrupt_at=4)
    with pytest.raises(KeyboardInterrupt):
        opened(folder, {"ngspice": simulator(answer=counted)}).verify()
    done = sorted(path.parent.name for path in folder.glob("conditions/*/verified.json"))
    assert done == NAMES[:2]
    counted = Counted()
    opened(folder, {"ngspice": simulator(answer=counted)}).verify()
    assert counted.calls == 2 and len(pd.read_parquet(folder / "conditions.parquet")) == 4


def test_another_grid_or_network_is_another_verification(folder: Path) -> None:
    run = opened(folder)
    assert run.system.cached_verification(run, run.network(), run.surrogates()) is not None
    for changes in ({"grid": GRID | {"temperatures_C": [27]}}, {"images": 19}):
        other = opened(folder, **changes)
        assert other.system.cached_verification(other, other.network(), other.surrogates()) is None
    without = opened(folder, grid={})
    without.verify()
    assert not (folder / "conditions.parquet").exists() and summary_of(folder)["grid"] is None


def test_the_worst_condition_is_judged(folder: Path) -> None:
    with pytest.raises(VerificationError, match="grid.accuracy_min"):
        opened(folder, grid_accuracy_min=1.0, images=30).verify()
    assert summary_of(folder)["grid"]["images"] == 30


def test_the_short_flags_and_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["verify", str(folder), "--images", "20", "--flat-images", "0", "--workers", "1"]
    assert main([*words, "--temperatures", "27", "85", "--vdd-scales", "0.9", "1"]) == 0
    said = capsys.readouterr().out
    assert "4 conditions in SPICE, mean" in said and "at 0.9 of the supply" in said
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    assert "Operating conditions" in page and "Accuracy by corner, supply and temperature" in page
    assert "nominal 85C 0.9x" in page or "nominal 27C 0.9x" in page
    assert main([*words, "--temperatures", "None", "--vdd-scales", "None"]) == 0
    assert not (folder / "conditions.parquet").exists()
    assert main([*words, "--corners", "ss"]) == 2
    assert "has no corner 'ss'" in capsys.readouterr().err


def test_one_kind_of_conditions(folder: Path) -> None:
    with pytest.raises(ValueError, match="conditions and verification.grid are both given"):
        opened(folder, conditions={"temperature_C": 85.0})


def test_without_a_way_to_fit_it_is_refused(folder: Path) -> None:
    from spicetrain.inverter.verification.verify import Verification
    from spicetrain.verification.conditions import Conditions

    run = opened(folder)
    conditions = Conditions(run.technology, run.technology)
    asked = Verification(run.network(), conditions, run.surrogates(), run.dataset, run.experiment.verification)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="fitting="):
        asked.require()
