"""The page of a spiking run: what the artefacts say, whatever of them is there; and the waveforms as a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from pages import Page, plots, report

from spicetrain.array.crossbar import Crossbar
from spicetrain.assets import netlists_folder
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.pages import read_page
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.report.waveforms import write_waveform_svg
from spicetrain.spiking.verification.figures import Layer
from spicetrain.spiking.verification.spikes_file import write_spikes
from spicetrain.storage import write_json
from spicetrain.technology import Technology

pytestmark = pytest.mark.xdist_group("spiking report")  # what its tests share is made once

SECTIONS = (
    "result", "circuit", "surrogates", "training", "verification", "waveforms", "rasters", "crossbars", "provenance",
)  # fmt: skip
LAYERS, STEPS, IMAGES, MISMATCHED = (4, 5, 3), 6, 5, 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """A made-up run and its page; not to be changed."""
    folder = _filled(tmp_path_factory.mktemp("whole"))
    return folder, report(folder)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The same run without its page, to be changed."""
    folder = tmp_path / "run"
    folder.mkdir()
    return _filled(folder)


def _filled(folder: Path) -> Path:
    _definition(folder, "lif-1r")
    crossbars = [Crossbar(*(np.full(s, 1e-6) for s in ((r, c), (r, c), c, c))) for r, c in ((4, 5), (5, 3))]
    SpikingNetwork(tuple(crossbars), (0.0203, 0.0315), {}).save(folder / "network.safetensors")
    lines = [
        {"epoch": k, "loss": 2.0 / k, "accuracy_test": 0.3 * k, "learning_rate": 0.01, "spike_rates": [0.3, 0.123],
         "extrapolated": {"reset": 17} if k == 2 else {}, "seconds": 1.0} for k in (1, 2)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    law = {"errors": {"rms_A": 3.21e-9, "max_V": 4e-5, "trip_relative": 0.0123, "points": 1234, "kept": "cubic"}}
    write_json(folder / "surrogates.json", {"surrogates": {"leak_current": law}})
    _verification(folder)
    return folder


def _definition(folder: Path, circuit: str) -> None:
    text = f'system = "spiking"\ncircuit.name = "{circuit}"\n[dataset]\nname = "iris"\n'
    text += "[network]\nlayers = [4, 5, 3]\nsteps = 6\n[training]\nepochs = 2\n"
    (folder / "experiment.toml").write_text(text)


def _layers() -> tuple[list[Layer], list[Layer]]:
    """Model and SPICE: the same, but for one spike of an output that only the model has, in image MISMATCHED."""
    rng = np.random.default_rng(0)
    model: list[Layer] = []
    for width in LAYERS[1:]:
        spikes = rng.random((IMAGES, STEPS, width)) < 0.3
        spikes[:, :, 0] = False
        model.append((spikes, rng.normal(0, 0.01, spikes.shape)))
    spice: list[Layer] = [(spikes.copy(), v + 1e-5) for spikes, v in model]
    model[1][0][MISMATCHED, 2, 1], spice[1][0][MISMATCHED, 2, 1] = True, False
    return model, spice


def _verification(folder: Path) -> None:
    model, spice = _layers()
    label = load_dataset("iris").test_labels[:IMAGES]
    inputs = np.random.default_rng(1).random((IMAGES, STEPS, 4)) < 0.5
    write_spikes(folder, inputs, model, spice)
    clock = load_circuit("lif-1r").clock
    time_s = np.linspace(0, (STEPS + 1) * clock.step_s, 60)
    waves = [
        pd.DataFrame({"image": 0, "layer": layer, "neuron": neuron, "time_s": time_s, "membrane_V": 1e-3, "spike": 0.0})
        for layer, neuron in ((0, 1), (0, 0), (1, 2))
    ]
    pd.concat(waves).to_parquet(folder / "waveforms.parquet", index=False)
    wrong = np.zeros(IMAGES, int)
    wrong[MISMATCHED] = 1
    found = {"class_own": label, "class_model": label, "class_spice": (label + wrong) % 3, "mismatches": wrong}
    pd.DataFrame({"image": range(IMAGES), "label": label, **found}).to_parquet(folder / "verification.parquet")
    write_json(folder / "summary.json", _summary())


def _summary() -> dict[str, Any]:
    return {
        "system": "spiking", "method": "regular", "dataset": "iris", "technology": "ptm90", "circuit": "lif-1r",
        "array": "1r", "threshold_share": 0.04, "threshold_V": 0.0203, "layers": list(LAYERS), "steps": STEPS,
        "netlist": "reduced", "images": 1234, "key": "",
        "accuracy_model": 0.98765, "accuracy_circuit_model": 0.71234, "accuracy_spice": 0.70543,
        "accuracy_gap": 0.28222, "agreement": 0.99321, "spike_agreement": 0.998761,
        "spike_agreement_by_layer": [0.99912, 0.99754], "spike_mismatches": 9, "images_without_mismatch": 1226,
        "membrane_rms_V": 1.234e-4, "membrane_rms_V_by_layer": [1.11e-4, 2.22e-4], "membrane_max_V": 0.05,
        "membrane_points": 59000,
        "before_mismatch": {"membrane_rms_V": 5.67e-5, "membrane_max_V": 2e-4, "membrane_points": 58000},
        "spikes_per_image_input": 831.5,
        "spikes_per_image_model": [170.25, 10.75], "spikes_per_image_spice": [169.5, 11.25],
        "energy_per_inference_J": 5.02e-10, "energy_by_supply_J": {"vdd": 1.02e-10, "rows": 4e-10},
        "seconds_ngspice": 3777.0, "seconds_per_image": 3.06, "seconds_total": 1900.0, "ngspice_version": 43,
        "flat": {"images": 3, "same_spikes": True, "spike_mismatches": 0, "membrane_difference_max_V": 7.7e-7,
                 "energy_per_inference_J": 5.11e-10, "energy_by_supply_J": {"vdd": 5.11e-10},
                 "energy_per_inference_reduced_J": 5.12e-10,
                 "seconds_ngspice": 353.0},
    }  # fmt: skip


def edit(folder: Path, **changes: Any) -> None:
    summary = json.loads((folder / "summary.json").read_text()) | changes
    write_json(folder / "summary.json", {key: value for key, value in summary.items() if value is not None})


def test_the_page_has_every_section_and_the_figures(whole: tuple[Path, Page]) -> None:
    _, page = whole
    assert [key for key in page.ids if key in SECTIONS] == list(SECTIONS)
    for text in (
        "70.54 %", "98.77 %", "71.23 %", "99.32 %", "99.876 %", "99.912 %", "123 µV", "56.7 µV", "222 µV", "831.5",
        "170.25", "11.25", "502 pJ", "400 pJ", "79.7 %", "3.06 s", "1,234 test images", "770 nV", "the same spikes",
        "511 pJ an inference, reduced 512 pJ", "version 43", "This is exact", "4-5-3",
    ):  # fmt: skip
        assert text in page.text["result"], text
    # verification: membranes, errors, mismatches, confusion; rasters: the first three images and the worst one
    drawn = {"training": 4, "verification": 4, "waveforms": 1, "rasters": 4, "crossbars": 4}
    assert {key: page.svgs[key] for key in drawn} == drawn
    for text in (
        "8.00 ns, 2.00 ns, 20.0 ps",
        "7 steps of 10.0 ns: 70.0 ns",
        "20.3 mV",
        "31.5 mV",
        "6.3 %",
        "Passive array",
    ):
        assert text in page.text["circuit"], text
    assert "rms 3.21 nA, max 40.0 µV, trip 1.230 %, points 1,234" in page.text["surrogates"]
    assert "reset 17 times" in page.text["training"] and "30.0 % and 12.3 %" in page.text["training"]
    assert "SPICE is wrong about 1" in page.text["verification"]
    assert "80.0 % of the images" in page.text["verification"]
    assert "4 have the same spikes in both" in page.text["rasters"]
    assert f"Test image {MISMATCHED}" in page.text["rasters"] and "1 spike in only one" in page.text["rasters"]
    assert "differ by 10.0 µV at most" in page.text["waveforms"]


def test_what_reduced_means_is_said_plainly(run_folder: Path) -> None:
    for name in ("spikes.npz", "metrics.jsonl", "network.safetensors"):  # the drawings take their time
        (run_folder / name).unlink()
    edit(run_folder, flat=None)
    text = report(run_folder).text["result"]
    assert "not compared with the flat netlist" in text and f"spicetrain verify {run_folder} --flat-images 3" in text
    _definition(run_folder, "lif-1t1r")
    differing = _summary()["flat"] | {"same_spikes": False, "spike_mismatches": 4}
    edit(run_folder, array="1t1r", circuit="lif-1t1r", flat=differing)
    page = report(run_folder)
    assert "Reduced netlist, not exact" in page.text["result"] and "measured cell currents" in page.text["result"]
    assert "4 spikes differing" in page.text["result"] and "1T1R" in page.text["circuit"]
    edit(run_folder, netlist="flat", flat=None)
    assert "every device and every driver" in report(run_folder).text["result"]


@pytest.mark.parametrize(
    ("gone", "empty", "command"),
    [
        (("summary.json", "verification.parquet", "spikes.npz", "waveforms.parquet"), "verification", "verify"),
        (("waveforms.parquet",), "waveforms", "verify"),
        (("surrogates.json",), "surrogates", "fit-surrogates"),
        (("metrics.jsonl", "network.safetensors"), "training", "train"),
    ],
)
def test_what_is_missing_is_named(run_folder: Path, gone: tuple[str, ...], empty: str, command: str) -> None:
    for name in gone:
        (run_folder / name).unlink()
    page = report(run_folder)
    assert f"spicetrain {command} {run_folder}" in page.text[empty]
    assert empty not in page.svgs


def test_a_run_of_an_older_version_is_shown(run_folder: Path) -> None:
    """Its epochs say by another word that laws were asked beyond what was measured."""
    path = run_folder / "metrics.jsonl"
    path.write_text(path.read_text().replace("extrapolated", "beyond_laws"))
    assert "reset 17 times" in report(run_folder).text["training"]


def test_other_conditions_stand_beside_the_figures(run_folder: Path) -> None:
    trained = {"technology": "ptm90", "fingerprint": "a", "temperature_C": 27.0}
    edit(run_folder, trained_in=trained, modelled_in=trained, simulated_in=trained)
    assert "other conditions" not in report(run_folder).text["result"]
    edit(run_folder, simulated_in=trained | {"fingerprint": "b", "temperature_C": 85.0})
    assert "temperature_C 27.0 in the model, 85.0 in ngspice" in report(run_folder).text["result"]


def test_sizes_are_in_the_unit_of_the_technology(tmp_path: Path, ptm90: Technology) -> None:
    """A library in micrometres; without it, what the circuit's file says."""
    text = (ptm90.folder / "ptm90.toml").read_text().replace('"ptm90.lib"', f'"{ptm90.library}"')
    (tmp_path / "own.toml").write_text(text.replace("multiplicity", "geometry_unit_m = 1e-6\nmultiplicity"))
    circuit = (netlists_folder() / "spiking" / "lif-1r.toml").read_text()
    (tmp_path / "own-1r.toml").write_text(circuit.replace("w = 4e-6, l = 90e-9", "w = 4.0, l = 0.09"))
    folder = tmp_path / "run"
    folder.mkdir()
    _definition(folder, str(tmp_path / "own-1r.toml"))
    definition = folder / "experiment.toml"
    definition.write_text(f'technology = "{tmp_path / "own.toml"}"\n' + definition.read_text())
    assert "4.00 µm / 90.0 nm" in report(folder).text["circuit"]
    (tmp_path / "own.toml").unlink()
    assert "w = 4, l = 0.09" in report(folder).text["circuit"]


def test_what_is_damaged_is_refused(run_folder: Path) -> None:
    path = run_folder / "spikes.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(StorageError, match="spikes.npz does not hold the spikes of a 4-5-3 network"):
        report(run_folder)
    write_spikes(run_folder, np.zeros((1, 2, 9), bool), *_layers())
    with pytest.raises(StorageError, match="packed spikes for 4 neurons"):
        report(run_folder)
    path.write_bytes(whole)
    edit(run_folder, array=None)
    with pytest.raises(StorageError, match="summary.json cannot be used: key 'array' is missing"):
        report(run_folder)


def test_nothing_is_loaded_from_elsewhere(whole: tuple[Path, Page]) -> None:
    folder, page = whole
    html = (folder / "report.html").read_text()
    assert all(target.startswith(("data:image/png;base64,", "#")) for target in page.targets)
    assert "://" not in html and "xmlns" not in html and "#0b0c" not in html
    assert len(page.ids) == len(set(page.ids))


def test_waveforms_answer_with_membranes_and_spikes(whole: tuple[Path, Page]) -> None:
    folder, _ = whole
    *_, waves = plots((folder / "report.html").read_text())
    assert [panel["title"] for panel in waves["panels"]] == [
        "layer 1, neuron 1", "layer 1, neuron 0", "output, neuron 2",
    ]  # fmt: skip
    clock, (model, spice) = load_circuit("lif-1r").clock, _layers()
    for panel, (layer, neuron) in zip(waves["panels"], ((0, 1), (0, 0), (1, 2)), strict=True):
        line, latched, threshold = panel["curves"]
        assert len(line["x"]) == 60 and set(line["columns"][0]["values"]) == {1}  # of 1 mV
        latch_ns = 1e9 * (clock.integrate_s + clock.step_s * (layer + np.arange(STEPS)))
        np.testing.assert_allclose(latched["x"], latch_ns, rtol=1e-5)
        at_latch, of_spice, of_model = (one["values"] for one in latched["columns"])
        np.testing.assert_allclose(at_latch, 1e3 * model[layer][1][0, :, neuron], rtol=1e-5)
        assert of_spice == list(spice[layer][0][0, :, neuron]) and of_model == list(model[layer][0][0, :, neuron])
        assert threshold["columns"][0]["values"] == 2 * [(20.3, 31.5)[layer]]
        np.testing.assert_allclose(panel["shaded"][0][1], latch_ns[0])


def test_waveforms_as_a_file_that_stands_alone(run_folder: Path) -> None:
    path = run_folder / "waveforms.svg"
    write_waveform_svg(read_page(run_folder), path)
    text = path.read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(--" not in text and "currentColor" not in text and "<script" not in text
    assert not re.findall(r'href="(?!#)', text)
    words = "".join(root.itertext())
    for said in ("layer 1, neuron 1", "layer 1, neuron 0", "output, neuron 2", "threshold", "time (ns)"):
        assert said in words
    with pytest.raises(ConfigurationError, match="no waveforms of test image 1"):
        write_waveform_svg(read_page(run_folder), path, image=1)
    assert path.read_text() == text


def test_a_page_without_a_dataset_numbers_the_classes(run_folder: Path) -> None:
    (run_folder / "network.safetensors").unlink()
    text = (run_folder / "experiment.toml").read_text().replace('"iris"', '"mnist"\nfolder = "nowhere"')
    (run_folder / "experiment.toml").write_text(text)
    page: Page = report(run_folder)
    assert "a 0: SPICE says 0" in page.text["rasters"] or "a 1: SPICE says 1" in page.text["rasters"]
