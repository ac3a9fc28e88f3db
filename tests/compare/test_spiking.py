"""A comparison of spiking cells: both methods at two thresholds, on iris."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pytest
import tomli_w
from matplotlib import rc_context

from spicetrain import assets
from spicetrain.cli import main
from spicetrain.compare.results import Results
from spicetrain.report.drawing import STYLE
from spicetrain.spiking.comparison.severity import SILENT_ROWS, severity, severity_drawing

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
