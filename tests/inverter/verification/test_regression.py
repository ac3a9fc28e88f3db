"""A regression from its CSV to its page, and what cannot be asked of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error
from tiny import PLAN, TOML

from spicetrain.cli import main

pytestmark = pytest.mark.xdist_group("regression")  # what its tests share is made once

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mine.toml, of two targets of two features, and its finished run."""
    folder = tmp_path_factory.mktemp("regression")
    u, v = np.random.default_rng(0).uniform(0, 1, (2, 300))
    columns = {"u": u, "v": v, "sum_m": 10 * (u + v), "difference": u - 2 * v}
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    (folder / "plan.toml").write_text(PLAN)
    text = TOML.replace('name = "iris"', 'file = "mine.csv"\ntarget = ["sum_m", "difference"]')
    text = text.replace("[4, 3, 3]", "[2, 6, 2]").replace("images = 30", "images = 60")
    text = text.replace("epochs = 3", "epochs = 30\nlearning_rate = 0.1\nvalidation = 6")
    text = text.replace("batch_size = 40", "batch_size = 8")
    (folder / "mine.toml").write_text(text)
    assert main(["run", str(folder / "mine.toml"), "--out", str(folder / "run"), "--workers", "1"]) == 0
    return folder


def test_summary_table_and_metrics_agree(own: Path) -> None:
    """What summary.json says is what scikit-learn finds in verification.parquet."""
    summary = json.loads((own / "run" / "summary.json").read_text())
    frame = pd.read_parquet(own / "run" / "verification.parquet")
    names = ["sum_m", "difference"]
    wanted = frame[[f"wanted_{name}" for name in names]].to_numpy()
    source = pd.read_csv(own / "mine.csv")[names].to_numpy()
    assert len(wanted) == 60 and all(np.isclose(source, row).all(1).any() for row in wanted)
    for kind in ("model", "spice"):
        found = frame[[f"{kind}_{name}" for name in names]].to_numpy()
        assert summary["regression"][f"r2_{kind}"] == pytest.approx(r2_score(wanted, found), rel=1e-9)
        errors = root_mean_squared_error(wanted, found, multioutput="raw_values")
        for name, error in zip(names, errors, strict=True):
            assert summary["regression"]["outputs"][name][f"rms_{kind}"] == pytest.approx(error, rel=1e-9)
    one = summary["regression"]["outputs"]["sum_m"]
    volts = frame["spice_o_0_V"].to_numpy()
    share = (volts - one["low_V"]) / (one["high_V"] - one["low_V"])
    np.testing.assert_allclose(one["low"] + share * (one["high"] - one["low"]), frame["spice_sum_m"], rtol=1e-9)
    assert (one["low_V"], one["high_V"]) == pytest.approx((-0.2, 0.2))  # 0.8 of +-250 mV
    assert summary["accuracy_spice"] is None and summary["agreement"] is None
    last = json.loads((own / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["r2_test"] == pytest.approx(summary["regression"]["r2_model"], abs=1e-3)
    assert {"rms_sum_m_test", "r2_validation"} <= last.keys() and "accuracy_test" not in last
    assert summary["regression"]["r2_spice"] > 0.8


def test_the_page_shows_it(own: Path) -> None:
    html = (own / "run" / "report.html").read_text()
    for told in ("R² in SPICE", "SPICE against the targets", "difference", "1 - R²", "squared error"):
        assert told in html
    assert "accuracy in SPICE" not in html and "Confusion" not in html


def test_the_terminal_says_it(own: Path, capsys: Capture) -> None:
    assert main(["verify", str(own / "run"), "--verification.r2-min", "0.5", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "R2, SPICE" in said and "sum_m, rms" in said and "accuracy" not in said


def test_a_gate_that_is_missed(own: Path, capsys: Capture) -> None:
    assert main(["verify", str(own / "run"), "--verification.r2-min", "0.9999", "--workers", "1"]) == 5
    assert "r2_spice = 0." in capsys.readouterr().err


REFUSED = {
    "chips": (["verify", "run", "--chips", "3"], "verification.chips counts right classes"),
    "a grid": (["verify", "run", "--vdd-scales", "0.9", "1"], "verification.grid counts right classes"),
    "an accuracy": (["verify", "run", "--verification.accuracy-min", "0.9"], "judged by verification.r2_min"),
    "a calibration": (["calibrate", "run"], "mine is a regression"),
    "more than one": (["verify", "run", "--verification.r2-min", "1.5"], "r2_min"),
    "another file's values": (["train", "run", "--dataset.seed", "1"], "holds a network trained otherwise"),
    "another share": (["train", "run", "--dataset.output-share", "0.5"], "holds a network trained otherwise"),
    "a spiking network": (
        ["run", "mnist-snn-circuit", "--dataset.name", "sobel", "--out", "snn"], "spiking network answers with a class",
    ),
    "r2 of classes": (["run", "iris-kcl", "--verification.r2-min", "0.9", "--out", "iris"], "is of a regression"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, own: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    words, told = REFUSED[case]
    monkeypatch.chdir(own)
    before = (own / "run" / "summary.json").read_bytes()
    assert main(words) == 2
    err = capsys.readouterr().err
    assert told in err and "Traceback" not in err
    assert (own / "run" / "summary.json").read_bytes() == before
