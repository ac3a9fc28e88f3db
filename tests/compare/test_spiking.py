"""A comparison of spiking cells: both methods at two thresholds, on iris."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import tomli_w
from matplotlib import rc_context

from compare.small import without_reports
from spicetrain import assets
from spicetrain.cli import main
from spicetrain.compare.results import Results
from spicetrain.drawing import STYLE
from spicetrain.spiking.comparison.outcomes import in_words, outcomes
from spicetrain.spiking.comparison.severity import SILENT_ROWS, severity, severity_drawing

pytestmark = pytest.mark.usefixtures("shared_cache")

TOML = """
system = "spiking"
datasets = ["iris"]
network = { layers = [4, 3, 3], steps = 3 }
training = { epochs = 1, batch_size = 40, augmentation = {}, regular.calibration_images = 0 }
verification = { images = 2, waveform_images = 0 }
circuit.name = "circuit.toml"
"""


def test_methods_and_thresholds_on_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    without_reports(monkeypatch)
    circuit = tomllib.loads((assets.netlists_folder() / "spiking" / "lif-1r.toml").read_text())
    circuit["neuron"] |= {"capacitance_F": [500e-15], "reset_fingers": [2]}
    Path("circuit.toml").write_text(tomli_w.dumps(circuit))
    cells = "".join(
        f"[methods.{method}-{share}]\ntraining.method = '{method}'\ncircuit.threshold_V = [{share / 200}]\n"
        for method in ("circuit", "regular")
        for share in (4, 20)
    )
    Path("two.toml").write_text(TOML + cells)
    assert main(["compare", "two.toml", "--workers", "1"]) == 0
    results = Results.read(Path("runs/two"))
    frame = results.frame.set_index("cell")
    assert list(frame["state"]) == ["finished"] * 4
    assert frame.loc["circuit-4", "threshold_share"] == pytest.approx(0.04)
    assert frame.loc["circuit-20", "threshold_share"] == pytest.approx(0.2)
    assert (frame["array"] == "1r").all() and (frame["spike_agreement"] > 0.8).all()
    hurt = severity(results.frame, "iris")
    assert hurt is not None
    assert [row[1] for row in hurt.rows if row[-1]] == ["0.04", "0.2"]  # of the circuit's cells
    page = Path("runs/two/comparison.html").read_text()
    assert "Accuracy in SPICE over the share of the threshold" in page
    assert "held at rest (1r)" in page
    written = pd.read_csv("runs/two/comparison.csv")
    assert main(["compare", "two.toml", "--workers", "1"]) == 0  # again: every cell is kept
    pd.testing.assert_frame_equal(pd.read_csv("runs/two/comparison.csv"), written)


def accuracies(*methods: str) -> pd.DataFrame:
    """Cells of these methods on both arrays at two thresholds, each method 10 points above the one before."""
    return pd.DataFrame(
        {
            "dataset": "iris",
            "method": method,
            "array": array,
            "threshold_share": share,
            "accuracy_model": 0.9,
            "accuracy_spice": 0.1 * (number + 1),
        }
        for number, method in enumerate(methods)
        for array in ("1r", "1t1r")
        for share in (0.1, 0.2)
    )


@pytest.mark.parametrize(
    ("methods", "shown"),
    [
        (["regular", "circuit"], ["regular", "circuit"]),
        (["circuit", "regular"], ["regular", "circuit"]),
        (["circuit"], ["circuit"]),
        (
            ["another", "circuit", "one-more", "regular", "fifth"],
            ["regular", "circuit", "another", "one-more", "fifth"],
        ),
    ],
)
def test_the_severity_of_any_number_of_methods(methods: list[str], shown: list[str]) -> None:
    frame = accuracies(*methods)
    table = severity(frame, "iris")
    assert table is not None
    assert list(table.head[2:]) == [f"{name}, {by}" for name in shown for by in ("own model", "SPICE")]
    assert [row[:2] for row in table.rows] == [
        (rows, share) for rows in ("held at rest (1r)", "floating (1t1r)") for share in ("0.1", "0.2")
    ]
    figures = [figure for name in shown for figure in ("90.00 %", f"{10 * methods.index(name) + 10:.2f} %")]
    assert all(list(row[2:]) == figures for row in table.rows)
    with rc_context(STYLE):
        drawing = severity_drawing(frame, "iris")
    assert drawing is not None
    assert all(f"{name}, silent rows {rows}" in drawing.picture for name in shown for rows in SILENT_ROWS.values())


DESIGNER = """
system = "spiking"
datasets = ["iris"]
network = { layers = [4, 3, 3], steps = 3 }
training = { epochs = 1, batch_size = 40, augmentation = {} }
circuit.name = "circuit.toml"

[verification]
images = 2
model_images = 20
waveform_images = 0
chips = 2
chips_images = 6
chips_simulated = 1
chips_simulated_images = 2
conditions_simulated = 1
operating_images = 2
variation = { mismatch = 0.0, programming = 0.1 }
chips_conditions.mild = { mismatch = 0.0, programming = 0.0, threshold_sigma_V = 2e-3 }
chips_conditions.rough = { mismatch = 0.0, programming = 0.0, threshold_sigma_V = 10e-3 }
chips_conditions.halved = { mismatch = 0.0, programming = 0.0, threshold_scale = 0.5 }
operating.hot = { temperature_C = 85.0 }

[methods.uncalibrated]
training = { method = "regular", regular = { calibration_images = 0 } }

[methods.regular]
initial = "uncalibrated"
training = { method = "regular", epochs = 0, regular = { calibration_images = 60, calibration = "neuron" } }

[methods.noise]
training = { method = "circuit", variation = { threshold_sigma_V = 5e-3 } }
"""


def test_what_a_designer_asks_is_a_table_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One training, programmed twice; a row a circumstance; a line a cell over the thresholds' sigma."""
    monkeypatch.chdir(tmp_path)
    without_reports(monkeypatch)
    circuit = tomllib.loads((assets.netlists_folder() / "spiking" / "lif-1r.toml").read_text())
    circuit["neuron"] |= {"capacitance_F": [500e-15], "reset_fingers": [2]}
    Path("circuit.toml").write_text(tomli_w.dumps(circuit))
    Path("ask.toml").write_text(DESIGNER)
    assert main(["compare", "ask.toml", "--workers", "1"]) == 0
    root = Path("runs/ask")
    rows = pd.read_csv(root / "robustness.csv").set_index(["cell", "circumstance"])
    asked = ["nominal", "programming 10 %", "mild", "rough", "halved", "hot"]
    assert rows.index.tolist() == [(cell, what) for cell in ("uncalibrated", "regular", "noise") for what in asked]
    assert rows[["model_mean", "model_worst", "spice", "ties", "energy_J", "threshold_V"]].notna().all(axis=None)
    sigmas = rows.loc["noise"]["sigma_V"]
    assert sigmas["rough"] == 10e-3 and sigmas[["nominal", "programming 10 %", "halved", "hot"]].isna().all()
    assert (rows.xs("nominal", level=1)["model_images"] == 20).all()
    assert (rows.xs("rough", level=1)["spice_images"] == 2).all()
    text = (root / "comparison.md").read_text()
    assert "accuracy under everything" in text and "| halved |" in text
    assert "Accuracy over the standard deviation of the thresholds" in (root / "comparison.html").read_text()
    frame = Results.read(root).frame.set_index("cell")["trained"]
    assert frame.to_dict() == {
        "uncalibrated": "regular", "regular": "regular, calibrated by neuron", "noise": "circuit, under variation",
    }  # fmt: skip
    fits = [path.parent.name for path in root.glob("iris/*/seed-0/conditions/*/surrogates.json")]
    assert fits == ["hot"] * 3
    tells_figures_apart(root)


def tells_figures_apart(root: Path) -> None:
    """Accuracies of a few flowers are alike; here every one of a cell's summary is another number."""
    path = root / "iris" / "noise" / "seed-0" / "summary.json"
    summary = json.loads(path.read_text())
    summary |= {"accuracy_spice": 0.11, "accuracy_model": 0.12, "accuracy_circuit_model": 0.13, "tie_rate": 0.14}
    summary["accuracy_circuit_model_all"] = 0.15
    summary["chips"] |= {"accuracy_mean": 0.22, "accuracy_min": 0.21}
    summary["chips"]["by_condition"]["rough"] |= {"accuracy_mean": 0.32, "accuracy_min": 0.31}
    summary["operating"]["hot"] |= {"accuracy_model": 0.41, "accuracy_spice": 0.42, "tie_rate": 0.43}
    path.write_text(json.dumps(summary))
    found = {one.circumstance: one for one in outcomes(Results.read(root).frame, root, "iris") if one.cell == "noise"}
    nominal, chips, rough, hot = (found[what] for what in ("nominal", "programming 10 %", "rough", "hot"))
    assert (nominal.model_mean, nominal.model_worst, nominal.spice, nominal.ties) == (0.15, 0.15, 0.11, 0.14)
    assert (chips.model_mean, chips.model_worst) == (0.22, 0.21)
    assert (rough.model_mean, rough.model_worst) == (0.32, 0.31)
    assert (hot.model_mean, hot.model_worst, hot.spice, hot.ties) == (0.41, 0.41, 0.42, 0.43)


def test_what_varied_in_words() -> None:
    nothing = {"mismatch": None, "mismatch_scale": 1.0, "beta": None, "programming": None, "time_s": 0.0}
    tenth = {"form": "relative", "sigma": 0.1}
    assert in_words(nothing | {"programming": tenth}) == "programming 10 %"
    assert in_words(nothing | {"threshold_sigma_V": 5e-3}) == "threshold sigma 5.00 mV"
    assert in_words(nothing | {"threshold_sigma_V": 5e-3, "programming": tenth}) == "chips"
    assert in_words(nothing | {"mismatch": {"convention": "pair"}, "programming": tenth}) == "chips"
    assert in_words(nothing | {"programming": {"form": "lognormal", "sigma": 0.1}}) == "chips"
