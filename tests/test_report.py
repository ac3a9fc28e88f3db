"""The report: one file that says what the artefacts say, whatever of them is there."""

from __future__ import annotations

import base64
import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from pages import Page, plots, report

from spicetrain.array.crossbar import Crossbar
from spicetrain.drawing import ACCENT, STYLE, axes
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.outputs import Outputs
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.pages import write_report
from spicetrain.report.chips import bins_of
from spicetrain.report.units import percent, quantity, resistance, seconds
from spicetrain.report.verdict import verdict
from spicetrain.storage import sha256_of_file, write_json
from spicetrain.surrogates.fitted_file import save_plot
from spicetrain.tables import write_table
from spicetrain.verification.chips import ChipFigures

pytestmark = pytest.mark.xdist_group("report")  # what its tests share is made once

SECTIONS = (
    "result", "circuit", "surrogates", "training", "verification", "chips", "energy", "crossbars", "worst",
    "provenance",
)  # fmt: skip


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def keep_only(folder: Path, *kept: str) -> None:
    """Of a run, the artefacts whose names begin so; the rest would only cost time."""
    for path in folder.iterdir():
        if not path.name.startswith(("experiment", *kept)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """A made-up run of iris and its page; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    fill(folder)
    return folder, report(folder)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The same run without its page, to be changed."""
    folder = tmp_path / "run"
    folder.mkdir()
    fill(folder)
    return folder


def fill(folder: Path) -> None:
    _definition(folder, "ptm90")
    _characterization(folder)
    _surrogates(folder)
    _training(folder)
    _verification(folder)
    _chips(folder)
    rooms = {
        "verify": {
            "ngspice": 43,
            "seconds": 75.0,
            "finished": "2031-02-03T04:05:06Z",
            "artefacts_sha256": {"network.safetensors": sha256_of_file(folder / "network.safetensors")},
        }
    }
    technology = {"name": "ptm90", "fingerprint": "f" * 64, "library_sha256": "1" * 64}
    origin = {"spicetrain": "9.8.7", "git_revision": None, "python": "3.11.0", "packages": {"numpy": "7.7"}, "cores": 3}
    write_json(folder / "manifest.json", {"rooms": rooms, "technology": technology, **origin})


def _definition(folder: Path, technology: str) -> None:
    text = f"technology = {json.dumps(technology)}\n# by hand: <b>bold</b>\n"
    text += '[dataset]\nname = "iris"\n[network]\nlayers = [4, 2, 3]\n[training]\nepochs = 3\n'
    (folder / "experiment.toml").write_text(text)


def _characterization(folder: Path) -> None:
    v = np.linspace(-0.2, 0.2, 9)
    grid = pd.MultiIndex.from_product([v, v], names=["v_in_V", "v_out_V"]).to_frame(index=False)
    tables = {"current_surface": grid.assign(i_out_A=lambda t: -1e-5 * (t.v_in_V + t.v_out_V / 5))}
    loads = pd.MultiIndex.from_product([np.linspace(-0.2, 0.2, 41), [0.0, 1e-6, 1e-4], [-0.2, 0.0, 0.2]])
    vtc = loads.set_names(["v_in_V", "g_load_S", "v_load_V"]).to_frame(index=False)
    # Falls by 5 V/V around a threshold of 20 mV.
    tables["loaded_vtc"] = vtc.assign(v_out_V=lambda t: np.clip(-5 * (t.v_in_V - 0.02), -0.2, 0.2))
    row = {"rows": 5, "columns": 3, "g_sum_S": 2e-5, "g_square_S2": 4e-11, "column_sum_S": 1e-5, "g_load_S": 1.6e-5}
    tables["effective_load"] = pd.DataFrame([row, row | {"rows": 7}])
    tables["memristor_iv"] = pd.DataFrame(
        [{"form": "ohmic", "g_S": g, "v_V": x, "i_A": g * x} for g in (1.2e-7, 7.88e-6) for x in v]
    )
    for name, table in tables.items():
        write_table(folder / "characterization" / f"{name}.parquet", table, {})


def _surrogates(folder: Path) -> None:
    def errors(suffix: str, rms: float) -> dict[str, float]:
        return {f"rms_{suffix}": rms, f"q99_{suffix}": 3 * rms, f"max_{suffix}": 9 * rms}

    certificate = {
        "grid": 301, "certified": True, "falls_with_v_in": True, "margin_S": 2.5e-6, "bound_di_dv_out_S": -2.5e-6,
        "least_unique_load_S": 0.0,
    }  # fmt: skip
    surface = {"errors": errors("relative", 2e-5) | {"points": 1234, "baseline": errors("relative", 0.5)}}
    surface |= {"monotonicity": certificate, "seconds": 2.0}  # type: ignore[dict-item]
    vtc = {"errors": errors("V", 4e-4) | {"points": 99, "baseline": errors("V", 5e-2)}, "seconds": 3.0}
    content = {
        "surrogates": {"current_surface": surface, "loaded_vtc": vtc},
        "skipped": {"effective_load": "its table is not there"},
    }
    write_json(folder / "surrogates.json", content)
    with rc_context(STYLE):
        figure, axis = axes()
        axis.plot([0, 1], [1, 0], color=ACCENT)
        axis.scatter(range(9), range(9), rasterized=True)
        save_plot(folder, "current_surface", figure)


def _training(folder: Path) -> None:
    lines = [
        {
            "epoch": i, "loss": 3.0 / i, "accuracy_test": 0.3 * i, "learning_rate": 0.01 / i, "solver_step_V": 2e-5 * i,
            "solver_iterations": 6, "solver_unconverged": 0, "seconds": 1.5,
        } for i in (1, 2, 3)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    _network((4, 2, 3)).save(folder / "network.safetensors")


def _network(layers: tuple[int, ...]) -> Network:
    rng = np.random.default_rng(0)
    crossbars, sizes = [], []
    for rows, columns in zip(layers, layers[1:], strict=False):
        pos, neg = rng.uniform(1.2e-7, 7.88e-6, (2, rows, columns))
        crossbars.append(Crossbar(pos, neg, *rng.uniform(1.2e-7, 7.88e-6, (2, columns))))
        sizes.append(np.ones((columns, 2)))
    sizes[-1] = sizes[-1][:, :1]
    return Network(tuple(crossbars), tuple(sizes))


def _verification(folder: Path) -> None:
    from spicetrain.datasets import load_dataset

    label = load_dataset("iris").test_labels
    spice = np.where(np.arange(3) == label[:, None], 0.2, -0.2) + np.linspace(0, 0.01, 3)
    # image 3: wrong in SPICE by 150 mV, right in the model; the model is 1 mV off elsewhere at most
    wrong, right = (label[3] + 1) % 3, label[3]
    spice[3] = -0.2
    spice[3, wrong], spice[3, right] = 0.1, -0.05
    model = spice + 1e-6
    model[3, right] = 0.15
    columns = {
        f"{kind}_o_{j}_V": values[:, j] for kind, values in (("model", model), ("spice", spice)) for j in range(3)
    }
    pd.DataFrame({"image": np.arange(30), "label": label, **columns}).to_parquet(folder / "verification.parquet")
    summary = {
        "system": "inverter", "method": "kcl", "dataset": "iris", "technology": "ptm90", "layers": [4, 2, 3],
        "netlist": "reduced", "images": 30, "accuracy_model": 0.98765, "accuracy_spice": 0.96543, "agreement": 0.99321,
        "error_mean_V": 4.321e-7, "error_rms_V": 8.88e-7, "error_max_V": 3.456e-3, "solver_unconverged": 0,
        "seconds_ngspice": 12.3, "ngspice_version": 43, "seconds_total": 153.2, "key": "0" * 64,
        "swing_V": 0.5, "trained_in": CONDITIONS, "modelled_in": CONDITIONS, "simulated_in": CONDITIONS,
        "flat": {"images": 5, "difference_max_V": 1.57e-7, "seconds_ngspice": 0.27}, "energy": ENERGY,
    }  # fmt: skip
    write_json(folder / "summary.json", InverterSummary.model_validate(summary).to_json())
    _transient(folder)


CONDITIONS = {
    "technology": "ptm90", "fingerprint": "f" * 64, "section": None, "temperature_C": 27.0, "vdd_V": 0.25,
    "vss_V": -0.25,
}  # fmt: skip
ENERGY = {
    "images": 4, "steps": 11, "hold_time_s": 9.43e-9, "hold_time_median_s": 5.4e-9, "energy_per_inference_J": 3.21e-12,
    "static_power_W": 3.39e-4, "source_power_W": 1.126e-3, "source_energy_J": 1.06e-11, "period_s": 7.9e-8,
    "column_capacitance_F": 5e-14, "row_capacitance_F": 0.0, "edge_s": 1e-11, "settled": 0.1, "step_min_V": 1e-3,
    "fingers": 1610.0, "seconds_ngspice": 9.0,
}  # fmt: skip


def _transient(folder: Path) -> None:
    time_s = np.linspace(0, 7.9e-8, 40)
    settling = {f"o_{j}_V": 0.2 - 0.1 * j * np.exp(-time_s / 4e-9) for j in range(3)}
    waves = [pd.DataFrame({"image": k, "time_s": time_s, "power_W": 3e-4 + time_s, **settling}) for k in (0, 1)]
    pd.concat(waves).to_parquet(folder / "waveforms.parquet", index=False)
    columns = {"hold_time_s": [5e-9, 9.43e-9, 5e-9, 6e-9], "energy_J": [3e-12, 3.4e-12, 3.2e-12, 3.24e-12]}
    pd.DataFrame({"image": range(4), "label": [0, 1, 2, 0], **columns}).to_parquet(folder / "transient.parquet")


VARIATION = {
    "mismatch": {"convention": "single", "nmos": {"A_VT_Vm": 3.5e-9, "A_beta_m": 1e-8, "area_m2": None},
                 "pmos": {"A_VT_Vm": 4e-9, "A_beta_m": 0.0, "area_m2": None}},
    "mismatch_scale": 0.5, "programming": {"form": "relative", "sigma": 0.1}, "levels": None, "stuck": None,
    "read_noise": None, "drift": {"form": "power"}, "time_s": 0.0,
}  # fmt: skip
CHIPS: dict[str, Any] = ChipFigures.model_validate({
    "count": 20, "first": 0, "simulated": 2, "images": 1000, "nominal": 0.982, "accuracy_mean": 0.6812,
    "accuracy_std": 0.0987, "accuracy_p10": 0.5432, "accuracy_min": 0.4641, "worst": 7, "yield": 0.05,
    "yield_accuracy": 0.9, "variation": VARIATION, "seconds_model": 3.0, "seconds_ngspice": 9.0,
    "by_condition": {"a month": {"accuracy_mean": 0.9712, "accuracy_min": 0.953}},
    "by_source": {"programming": {"accuracy_mean": 0.9795, "accuracy_min": 0.971},
                  "mismatch": {"accuracy_mean": 0.719, "accuracy_min": 0.527}},
    "simulated_accuracy_mean": 0.7, "simulated_agreement": 0.99912, "simulated_error_mean_V": 1.2345e-6,
    "simulated_error_max_V": 2.7e-5, "simulated_flat_max_V": 3e-10, "simulated_spike_agreement": None,
    "extrapolated": 0,
}).model_dump(mode="json", by_alias=True)  # fmt: skip


def _chips(folder: Path, **changes: Any) -> None:
    """20 chips of a made-up verification, two of them simulated; the seventh takes image 3 and 4 for another class."""
    edit(folder / "summary.json", lambda summary: summary.update(chips=CHIPS | changes))
    rng = np.random.default_rng(0)
    accuracy = np.clip(np.round(rng.normal(0.68, 0.1, 20), 3), 0.47, 0.98)
    accuracy[7], accuracy[2] = 0.464, 0.912
    none = [None] * 18
    columns = {"accuracy_spice": [0.71, 0.69, *none], "agreement": [0.998, 1.0, *none]}
    errors = {"error_mean_V": [1.5e-6, 9.7e-7, *none], "error_max_V": [2.7e-5, 1.1e-5, *none]}
    table = pd.DataFrame({"chip": range(20), "accuracy_model": accuracy, **columns, **errors})
    table.to_parquet(folder / "chips.parquet", index=False)
    verified = pd.read_parquet(folder / "verification.parquet")
    label = verified["label"].to_numpy()
    outputs = np.where(np.arange(3) == label[:, None], 0.15, -0.15)
    outputs[[3, 4]] = np.where(np.arange(3) == (label[[3, 4], None] + 1) % 3, 0.12, -0.2)
    volts = {f"model_o_{j}_V": outputs[:, j] for j in range(3)}
    pd.DataFrame({"chip": 7, "image": range(30), "label": label, **volts}).to_parquet(folder / "chips-worst.parquet")


def test_numbers_are_written_as_people_read_them() -> None:
    assert quantity(4.99e-7, "V") == "499 nV"
    assert quantity(9.996e-7, "V") == "1.00 µV"  # rounding carries into the next prefix
    assert quantity(-0.0234, "V") == "-23.4 mV"
    assert quantity(0.0, "S") == "0 S"
    assert resistance(1.2e-7) == "8.33 MΩ"
    assert percent(0.9713) == "97.13 %"
    assert seconds(153.2) == "2 min 33 s"


def test_page_has_every_section_and_the_figures_of_the_summary(whole: tuple[Path, Page]) -> None:
    folder, page = whole
    assert [key for key in page.ids if key in SECTIONS] == list(SECTIONS)
    result = page.text["result"]
    for figure in ("96.54 %", "98.77 %", "99.32 %", "432 nV", "3.46 mV", "888 nV", "157 nV", "2 min 33 s"):
        assert figure in result
    for word in ("iris", "4-2-3", "kcl", "reduced", "version 43"):
        assert word in result
    assert json.loads(_listing(folder, "summary.json")) == json.loads((folder / "summary.json").read_text())


def test_figures_and_what_is_said_of_them(whole: tuple[Path, Page]) -> None:
    _, page = whole
    # circuit: schematic, three VTCs, current map, load, memristor; verification: scatter, histogram, errors, confusion
    assert {key: page.svgs[key] for key in ("circuit", "training", "verification", "chips", "energy", "crossbars")} == {
        "circuit": 7, "training": 4, "verification": 4, "chips": 6, "energy": 3, "crossbars": 4,
    }  # fmt: skip
    assert "v_in = 20.0 mV" in page.text["circuit"] and "-5.0 V/V" in page.text["circuit"]
    assert "127 kΩ to 8.33 MΩ" in page.text["circuit"]
    assert "20 ppm" in page.text["surrogates"] and "25,000 ×" in page.text["surrogates"]
    assert "Monotone, certified" in page.text["surrogates"] and "2.50 µS a finger" in page.text["surrogates"]
    assert "its table is not there" in page.text["surrogates"]
    assert "in every epoch the solver met its tolerance" in page.text["training"]
    assert "different classes for 1 image; SPICE is wrong about 1." in page.text["verification"]
    assert "further variations" in page.text["chips"] and "95.30 %" in page.text["chips"]
    assert "margin -150 mV" in page.text["worst"]


def test_nothing_is_loaded_from_elsewhere(whole: tuple[Path, Page]) -> None:
    folder, page = whole
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert page.targets and all(target.startswith(("data:image/png;base64,", "#")) for target in page.targets)
    assert not {"link", "iframe", "object"} & set(page.tags) and page.tags.count("script") == 1 + 3
    assert "://" not in html and "@import" not in html and "xmlns" not in html
    assert not re.findall(r"url\((?!#)", html)
    assert len(page.ids) == len(set(page.ids))
    inside = {f"#{key}" for key in page.ids}
    assert all(target in inside for target in page.targets if target.startswith("#"))
    assert set(re.findall(r"url\((#[^)]*)\)", html)) <= inside


def test_figures_take_the_colours_of_the_page(whole: tuple[Path, Page]) -> None:
    folder, _ = whole
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "#0b0c" not in html  # what stands for the page's colours while matplotlib draws
    assert "currentColor" in html and "stroke: var(--accent)" in html


def test_whether_it_is_fit_to_be_built(run_folder: Path) -> None:
    summary = InverterSummary.of(json.loads((run_folder / "summary.json").read_text()))
    assert summary is not None and summary.chips is not None
    chips = summary.chips.model_copy(update={"yield_": 0.97, "simulated": 2, "simulated_agreement": 1.0})

    def judged(agreement: float, chips: ChipFigures | None) -> tuple[str, str, str]:
        one = verdict(summary.model_copy(update={"agreement": agreement}), chips, "spicetrain verify run")
        return one.level, one.text.removeprefix("Fit to be built? "), one.command

    level, text, command = judged(0.95, chips)
    assert level == "bad" and text.startswith("No: model and ngspice give another class to 5.00 %") and not command
    level, text, command = judged(1.0, None)
    assert level == "open" and "nominal" in text and command == "spicetrain verify run --chips 100 --chips-simulated 2"
    level, text, _ = judged(1.0, chips.model_copy(update={"yield_": 0.5, "accuracy_min": 0.1}))
    assert level == "bad" and text.startswith("No: 50 % of") and "the worst has 10.0 %" in text
    level, text, command = judged(1.0, chips.model_copy(update={"simulated": 0}))
    assert level == "open" and "None was simulated" in text and command.endswith("--chips-simulated 2")
    level, text, _ = judged(1.0, chips)
    assert level == "good" and text.startswith("Yes: 97 % of") and "2 chips in ngspice too, 100.00 %" in text


def test_what_was_simulated_and_a_model_that_is_far_off(run_folder: Path) -> None:
    there = {"technology": "ptm90", "fingerprint": "a", "section": "ff", "temperature_C": 85.0, "vdd_V": 0.25,
             "vss_V": -0.25}  # fmt: skip
    edit(run_folder / "summary.json", lambda summary: summary.update(simulated_in=there, error_mean_V=4.9e-3))
    near = report(run_folder).text["result"]
    assert "-250 mV .. 250 mV" in near and "85 °C" in near and "ff" in near and "another circuit" not in near
    edit(run_folder / "summary.json", lambda summary: summary.update(error_mean_V=33e-3))
    assert "33.0 mV in the mean" in (far := report(run_folder).text["result"]) and "another circuit" in far


@pytest.mark.parametrize(
    ("kept", "empty", "command"),
    [
        ((), "circuit", "characterize"),
        (("characterization",), "surrogates", "fit-surrogates"),
        (("characterization", "surrogates"), "training", "train"),
        (("characterization", "surrogates", "metrics", "network"), "verification", "verify"),
    ],
)
def test_a_part_of_a_run_says_what_makes_the_rest(
    run_folder: Path, kept: tuple[str, ...], empty: str, command: str
) -> None:
    keep_only(run_folder, *kept)
    page = report(run_folder)
    assert f"spicetrain {command} {run_folder}" in page.text[empty]
    assert f"spicetrain verify {run_folder}" in page.text["result"]
    assert f"spicetrain {command} " not in "".join(page.text[key] for key in SECTIONS[1 : SECTIONS.index(empty)])
    assert page.svgs.get("verification", 0) == 0


def test_convergence_is_said_plainly(run_folder: Path) -> None:
    keep_only(run_folder, "metrics")
    path = run_folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["solver_unconverged"] = 17
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]) + '{"epoch": 3, "lo')
    text = report(run_folder).text["training"]
    assert "in 1 epoch of 2 the solver left samples unconverged, 17 in all, 17 of them in epoch 2" in text
    assert "2 epochs of 3 are done" in text


@pytest.mark.parametrize(
    ("epochs", "wrong"),
    [
        ([1, 1, 2, 2, 3, 3], "1"),
        ([1, 2, 3, 4], "4"),
        ([2, 3], "2"),
        ([1, 3], "3"),
        ([1, 3, 2], "3"),
        ([1, 2, "3"], "'3'"),
        ([1, None], "None"),
    ],
)
def test_epochs_that_do_not_count_up_are_no_learning_curve(run_folder: Path, epochs: list[Any], wrong: str) -> None:
    """Two trainings that wrote to one folder: a line of each would have been an epoch of its own."""
    path = run_folder / "metrics.jsonl"
    line = json.loads(path.read_text().splitlines()[0])
    path.write_text("".join(json.dumps(line | {"epoch": epoch}) + "\n" for epoch in epochs))
    said = f"has {len(epochs)} lines which do not count up the epochs 1, 2, 3, ..., at most 3: {wrong} is out of place"
    with pytest.raises(StorageError, match=re.escape(said)) as caught:
        report(run_folder)
    assert f"`spicetrain train {run_folder}` puts it in order" in str(caught.value)


def test_surface_that_is_not_certified(run_folder: Path) -> None:
    keep_only(run_folder, "surrogates")
    bad = {"certified": False, "bound_di_dv_out_S": 3e-8, "least_unique_load_S": 3e-8, "falls_with_v_in": False}
    edit(run_folder / "surrogates.json", lambda all_: all_["surrogates"]["current_surface"]["monotonicity"].update(bad))
    text = report(run_folder).text["surrogates"]
    assert "Not certified as monotone" in text and "30.0 nS a finger" in text and "not certain to fall" in text
    assert "Monotone, certified" not in text


def of_features(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, features: int, shape: tuple[int, int] | None
) -> tuple[Page, str]:
    """The page of a run whose inputs are so many features, and its HTML."""
    import spicetrain.datasets as datasets

    keep_only(run_folder, "verification", "summary", "manifest")
    iris = datasets.load_dataset("iris")
    inputs = np.random.default_rng(0).random((30, features), dtype=np.float32)
    made = datasets.Dataset("made", inputs, iris.test_labels, inputs, iris.test_labels, iris.classes, shape)
    monkeypatch.setattr("spicetrain.datasets.settings.load_dataset", lambda name, folder=None: made)
    _network((features, 30, 3)).save(run_folder / "network.safetensors")
    return report(run_folder), (run_folder / "report.html").read_text(encoding="utf-8")


def test_images_have_thumbnails_and_first_columns_are_images(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, html = of_features(run_folder, monkeypatch, 64, (8, 8))
    assert html.count('class="thumbnail"') == 8 + 1 + 1
    assert re.search(r'alt="test image 3, a (setosa|versicolor|virginica)"', html)
    assert "20 of its columns as images" in page.text["crossbars"]
    assert "has changed since it was verified" in page.text["result"]


@pytest.mark.parametrize(("features", "shape"), [(600, (20, 30)), (600, (30, 20)), (64, (4, 16)), (5, (1, 5))])
def test_images_have_the_shape_that_the_dataset_says(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, features: int, shape: tuple[int, int]
) -> None:
    page, html = of_features(run_folder, monkeypatch, features, shape)
    thumbnails = re.findall(r'class="thumbnail" alt="[^"]*" src="data:image/png;base64,([^"]*)"', html)
    sizes = {struct.unpack(">II", base64.b64decode(coded)[16:24]) for coded in thumbnails}  # width, height in IHDR
    assert len(thumbnails) == 10 and sizes == {(shape[1], shape[0])}
    assert "20 of its columns as images" in page.text["crossbars"]
    drawing = html[html.index('aria-label="First crossbar') :].partition("</svg>")[0]
    drawn = re.findall(r'<image [^>]*?width="([\d.]+)"[^>]*? height="([\d.]+)"', drawing)
    assert len(drawn) >= 20
    for width, height in drawn[:20]:
        assert float(width) / float(height) == pytest.approx(shape[1] / shape[0], rel=0.15)


def test_a_square_number_of_features_is_no_image(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, html = of_features(run_folder, monkeypatch, 49, None)
    assert "thumbnail" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert "columns as images" not in page.text["crossbars"]


@pytest.mark.parametrize("how", ["absent", "another"])
def test_without_its_dataset_the_page_has_no_pictures_and_says_so(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    import spicetrain.datasets as datasets
    from spicetrain.errors import DatasetError

    keep_only(run_folder, "verification")
    iris = datasets.load_dataset("iris")
    other = datasets.Dataset(
        "o", iris.train_inputs, iris.train_labels, iris.test_inputs, iris.test_labels[::-1], iris.classes
    )

    def load(name: str, folder: Path | None = None) -> datasets.Dataset:
        if how == "absent":
            raise DatasetError("the images are at the bottom of the sea")
        return other

    monkeypatch.setattr("spicetrain.datasets.settings.load_dataset", load)
    text = report(run_folder).text["worst"]
    reason = "bottom of the sea" if how == "absent" else "labels of iris are not those of verification.parquet"
    assert "Without pictures" in text and reason in text and "margin -150 mV" in text


def test_hostile_names_stay_text(run_folder: Path) -> None:
    keep_only(run_folder, "summary")
    hostile = '<script>alert("x")</script>&amp;.toml'
    _definition(run_folder, hostile)
    edit(run_folder / "summary.json", lambda summary: summary.update(technology=hostile))
    page = report(run_folder)
    assert page.tags.count("script") == 1
    assert hostile in page.text["result"] and hostile in page.text[""]
    assert "<b>bold</b>" in page.text["provenance"]  # experiment.toml, verbatim


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", b'{"system": "inverter", "acc'),
        ("summary.json", b'{"system": "inverter"}'),
        ("summary.json", b"7"),
        ("surrogates.json", b'{"surrogates": {"current_surface": {}}}'),
        ("manifest.json", b'{"rooms": {"verify": {}}}'),
        ("manifest.json", b'{"rooms": []}'),
        ("metrics.jsonl", b'{"epoch": 1}\n'),
        ("metrics.jsonl", b'{"epoch": 1,\n{"epoch": 2}\n'),
        ("verification.parquet", b"PAR1 not at all"),
        ("transient.parquet", b"PAR1 not at all"),
        ("waveforms.parquet", b"PAR1 not at all"),
        ("chips.parquet", b"PAR1 not at all"),
        ("chips-worst.parquet", b"PAR1 not at all"),
        ("characterization/loaded_vtc.parquet", b"PAR1 not at all"),
        ("network.safetensors", b"\x00\x01"),
        ("surrogates-current_surface.svg", b"\xff\xfe"),
        ("surrogates-current_surface.svg", b"no drawing"),
    ],
)
def test_damaged_artefacts_are_named(run_folder: Path, name: str, content: bytes) -> None:
    (run_folder / name).write_bytes(content)
    with pytest.raises(StorageError, match=re.escape(Path(name).name)):
        write_report(run_folder)
    assert not (run_folder / "report.html").exists()


def test_summary_whose_figures_are_no_numbers(run_folder: Path) -> None:
    edit(run_folder / "summary.json", lambda summary: summary.update(accuracy_spice="good"))
    with pytest.raises(StorageError, match="summary.json cannot be used: accuracy_spice = 'good'"):
        write_report(run_folder)


def test_energy_and_delay_in_figures_and_words(whole: tuple[Path, Page]) -> None:
    text = whole[1].text["energy"]
    for figure in ("3.21 pJ", "9.43 ns", "median 5.40 ns", "339 µW", "1.13 mW", "mean of 4 images", "11 were"):
        assert figure in text, figure
    assert "the transistors' own and 50.0 fF at every crossbar column." in text
    assert "static power alone would give 3.20 pJ" in text and "another 10.6 pJ" in text
    assert "energies lie within 12 %" in text  # 0.4 of 3.21 pJ


def test_without_energy_the_page_says_how_to_measure_it(run_folder: Path) -> None:
    keep_only(run_folder, "verification", "summary")
    edit(run_folder / "summary.json", lambda summary: summary.pop("energy"))
    page = report(run_folder)
    assert f"spicetrain verify {run_folder} --energy-images 20" in page.text["energy"]
    assert "energy" not in page.svgs


def test_energy_without_wires_waveforms_or_a_step(run_folder: Path) -> None:
    keep_only(run_folder, "verification", "summary", "transient")
    none: dict[str, float] = {"column_capacitance_F": 0.0, "hold_time_s": 0.0, "energy_per_inference_J": 0.0}
    edit(run_folder / "summary.json", lambda summary: summary["energy"].update(none))
    page = report(run_folder)
    assert "the transistors' own only, no wires" in page.text["energy"] and page.svgs["energy"] == 1


def test_energy_whose_figures_are_no_numbers(run_folder: Path) -> None:
    edit(run_folder / "summary.json", lambda summary: summary["energy"].update(hold_time_s="long"))
    with pytest.raises(StorageError, match="summary.json cannot be used: energy.hold_time_s = 'long'"):
        write_report(run_folder)


def test_chips_in_figures_and_words(run_folder: Path) -> None:
    keep_only(run_folder, "verification", "summary")
    _chips(run_folder)
    page = report(run_folder)
    text = page.text["chips"]
    for figure in ("68.12 %", "98.20 % when nothing varies", "46.41 %", "number 7", "5.0 %", "reach 90.0 %", "54.32 %",
                   "99.91 %", "1.23 µV", "27.0 µV", "chips 0 to 19, 1,000 images each"):  # fmt: skip
        assert figure in text, figure
    assert "nMOS A_VT 3.5 mV µm, A_beta 1 % µm; pMOS A_VT 4 mV µm, as of one transistor, times 0.5" in text
    assert "form relative, sigma 0.1" in text and "drift" not in text and "levels" not in text
    assert "30.1 points below" in text and "Most of it is mismatch." in text
    # histogram, yield, every chip, sources; two cards
    assert page.svgs["chips"] == 4 + 2
    assert "71.00 %" in text and "69.00 %" in text and "970 nV" in text and "nan" not in text
    assert "The worst chip, number 7: wrong" in text
    assert "2 images of 30" in text and "about 1 of them the nominal circuit is right" in text
    assert text.count("this chip ") == 2 and "moved by" in text


def test_epochs_and_chips_answer_with_all_that_is_known_of_them(run_folder: Path) -> None:
    keep_only(run_folder, "verification", "summary", "metrics", "network")
    _chips(run_folder)
    report(run_folder)
    loss, accuracy, chips = plots((run_folder / "report.html").read_text(encoding="utf-8"))
    assert [one["panels"][0]["logarithmic"] for one in (loss, accuracy)] == [True, False]
    for plot, drawn in ((loss, "loss"), (accuracy, "accuracy, test")):
        (curves,) = plot["panels"][0]["curves"]
        assert curves["x"] == [1, 2, 3] and [one["name"] for one in curves["columns"] if one["drawn"]] == [drawn]
        said = {one["name"]: one["values"] for one in curves["columns"]}
        assert said["accuracy, test"] == [30, 60, 90] and said["loss"] == [3, 1.5, 1] and said["took"] == 3 * [1.5]
    table, (curves, nominal) = pd.read_parquet(run_folder / "chips.parquet"), chips["panels"][0]["curves"]
    number, model, spice = (one["values"] for one in curves["columns"])
    assert model == sorted(model) and number[0] == 7 and nominal["columns"][0]["values"] == [98.2, 98.2]
    np.testing.assert_allclose(model, 100 * table["accuracy_model"].to_numpy()[number])
    assert {chip: share for chip, share in zip(number, spice, strict=True) if share is not None} == {0: 71, 1: 69}


def test_without_chips_the_page_says_how_to_have_some(run_folder: Path) -> None:
    keep_only(run_folder, "verification", "summary")
    edit(run_folder / "summary.json", lambda summary: summary.pop("chips"))
    page = report(run_folder)
    assert f"spicetrain verify {run_folder} --chips 20" in page.text["chips"]
    assert "chips" not in page.svgs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by_source": {}}, "by which source is not known, or there is only one"),
        ({"extrapolated": 3}, "The gates of 3 transistors can be shifted further than was measured."),
        ({"simulated": 0}, "None of them was simulated in ngspice"),
        ({"simulated_spike_agreement": 0.99765}, "99.765 %"),
        ({"variation": VARIATION | {"time_s": 86400.0}}, "form power"),
    ],
)
def test_chips_of_other_kinds(changes: dict[str, Any], said: str, run_folder: Path) -> None:
    keep_only(run_folder, "verification", "summary")
    _chips(run_folder, **changes)
    assert said in report(run_folder).text["chips"]


@pytest.mark.parametrize("accuracy", [[0.9], [0.9, 0.9, 0.9], [0.0, 1.0]])
def test_chips_few_or_all_alike(accuracy: list[float], run_folder: Path) -> None:
    keep_only(run_folder, "summary", "verification")
    figures = {"accuracy_mean": float(np.mean(accuracy)), "accuracy_min": min(accuracy), "count": len(accuracy)}
    _chips(run_folder, **figures, nominal=0.9, accuracy_std=0.0)
    table = pd.DataFrame({"chip": range(len(accuracy)), "accuracy_model": accuracy})
    table.to_parquet(run_folder / "chips.parquet")
    (run_folder / "chips-worst.parquet").unlink()
    page = report(run_folder)
    assert page.svgs["chips"] == 4 and "nan" not in page.text["chips"]


@pytest.mark.parametrize("images", [7, 30, 1000])
@pytest.mark.parametrize("chips", [1, 2, 20, 500])
def test_bins_hold_every_chip_and_equally_many_images(chips: int, images: int) -> None:
    for spread in (0.0, 0.01, 0.3):
        right = np.random.default_rng(chips).normal(0.7, spread, chips).clip(0, 1) * images
        accuracy = np.round(right) / images
        edges = bins_of(accuracy, images)
        assert np.histogram(accuracy, edges)[0].sum() == chips and len(edges) <= 32
        possible = np.histogram(np.arange(-images, 3 * images) / images, edges)[0]
        assert len(set(possible)) == 1


def test_chips_whose_figures_are_no_numbers(run_folder: Path) -> None:
    _chips(run_folder, accuracy_mean="good")
    with pytest.raises(StorageError, match="summary.json cannot be used: chips.accuracy_mean = 'good'"):
        report(run_folder)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a run folder: it has no experiment.toml"):
        write_report(tmp_path / "nowhere")


def test_margin_is_the_true_output_less_the_highest_other() -> None:
    spice = np.array([[0.2, -0.1, 0.1], [0.0, -0.2, 0.05]])
    table = {f"{kind}_o_{j}_V": spice[:, j] for kind in ("model", "spice") for j in range(3)}
    outputs = Outputs.of(pd.DataFrame({"image": [0, 1], "label": [0, 1], **table}))
    np.testing.assert_allclose(outputs.margin, [0.1, -0.25])


def test_labels_without_an_output_are_refused() -> None:
    frame = pd.DataFrame({"image": [0], "label": [2], "model_o_0_V": [0.1], "spice_o_0_V": [0.1]})
    with pytest.raises(StorageError, match="labels that do not belong"):
        Outputs.of(frame)


def _listing(folder: Path, name: str) -> str:
    import html

    page = (folder / "report.html").read_text(encoding="utf-8")
    found = re.search(rf"<summary>{re.escape(name)}</summary><pre>(.*?)</pre>", page, re.S)
    assert found
    return html.unescape(found.group(1))
