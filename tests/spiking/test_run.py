"""A whole spiking experiment through the command line, on both arrays, and what it says to bad input."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w
from bent import bent_toml
from sklearn.datasets import load_iris

from spicetrain import assets
from spicetrain.cli import main
from spicetrain.run import Run
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.storage import read_json
from spicetrain.systems import load_experiment, presets
from spicetrain.technology import load_technology
from spicetrain.variation import TrainingVariation

pytestmark = [pytest.mark.usefixtures("shared_cache"), pytest.mark.xdist_group("spiking run")]  # measured once

Capture = pytest.CaptureFixture[str]
STEPS, IMAGES = 4, 3
TOML = """
system = "spiking"
circuit.name = "circuit.toml"

[dataset]
name = "iris"

[network]
layers = [4, 5, 3]
steps = 4

[training]
epochs = 2
batch_size = 40
augmentation = {}
regular = { calibration_images = 20 }

# A spike or two of so few may differ, and all that comes after them.
[verification]
images = 3
flat_images = 1
spike_agreement_min = 0.97
membrane_rms_max = 0.2
"""


# Trained, and verified, for chips that differ.
CHIPS = ["--chips", "2", "--chips-simulated", "1", "--chips-images", "2", "--training.variation.mismatch", "0.3"]


def circuit_toml(folder: Path, array: str, changes: Mapping[str, object] | None = None) -> Path:
    """The shipped circuit, for columns of five rows instead of a thousand: a tenth of the capacitance."""
    content = tomllib.loads((assets.netlists_folder() / "spiking" / f"lif-{array}.toml").read_text())
    content["neuron"] |= {"capacitance_F": [500e-15], "threshold_V": [0.05], "reset_fingers": [2]}
    for key, value in (changes or {}).items():
        table, _, name = key.rpartition(".")
        (content[table] if table else content)[name] = value
    (folder / "circuit.toml").write_text(tomli_w.dumps(content))
    return folder / "circuit.toml"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TOML)
    circuit_toml(tmp_path, "1r")
    return tmp_path


@pytest.fixture
def refused(capsys: Capture) -> Callable[..., str]:
    """Runs a command line that must fail with the given exit code and without a traceback; what it says."""

    def run(exit_code: int, *words: str) -> str:
        capsys.readouterr()
        assert main(list(words)) == exit_code
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return run


@pytest.mark.parametrize("method", ["circuit", "regular"])
@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_all_rooms_in_order(array: str, method: str, own_folder: Path, capsys: Capture) -> None:
    circuit_toml(own_folder, array)
    more = CHIPS if method == "circuit" else []
    words = ["run", "tiny.toml", "--workers", "1", "--method", method, "--out", "run", *more]
    assert main(words) == 0, capsys.readouterr()
    summary, folder = read_json(Path("run/summary.json")), Path("run")
    assert (summary["system"], summary["method"], summary["array"]) == ("spiking", method, array)
    assert summary["images"] == IMAGES and summary["flat"]["images"] == 1
    # One spike may differ; until it does, the model is close.
    assert summary["spike_agreement"] > 0.97 and summary["before_mismatch"]["membrane_rms_V"] < 3e-4
    assert summary["flat"]["membrane_difference_max_V"] < (1e-4 if array == "1r" else 2e-3)
    table = pd.read_parquet(folder / "verification.parquet")
    assert len(table) == IMAGES
    network = SpikingNetwork.load(folder / "network.safetensors")
    assert network.layers == (4, 5, 3)
    for text in ("report.html", "network.cir"):
        assert (folder / text).stat().st_size > 1000
    said = capsys.readouterr().out
    assert "spike agreement" in said
    if more:
        assert "chips, spike agreement" in said and len(pd.read_parquet(folder / "chips.parquet")) == 2
        assert summary["chips"]["simulated_spike_agreement"] > 0.96
        assert network.about["varied"]["mismatch_scale"] == 0.3
    written = (folder / "summary.json").read_bytes()
    assert main(["run", "run", "--workers", "1"]) == 0  # again: all of it is kept
    assert (folder / "summary.json").read_bytes() == written
    assert main(["netlist", "run", "--image", "2"]) == 0
    assert "run/network-flat-2.cir" in capsys.readouterr().out


def test_a_table_of_ones_own(own_folder: Path, capsys: Capture) -> None:
    """A CSV whose classes have names, from file to report; another content is another experiment."""
    circuit_toml(own_folder, "1r")
    frame = load_iris(as_frame=True).frame.sample(90, random_state=0)
    frame["kind"] = frame.pop("target").map(dict(enumerate("abc")))
    frame.to_csv("flowers.csv", index=False)
    text = TOML.replace('name = "iris"', 'file = "flowers.csv"\nlabel = "kind"')
    Path("own.toml").write_text(text.replace("layers = [4, 5, 3]", 'layers = [4, 5, 3]\nencoder = "dither"'))
    assert main(["run", "own.toml", "--workers", "1"]) == 0
    summary = read_json(Path("runs/own/summary.json"))
    assert summary["dataset"] == "flowers" and summary["accuracy_spice"] is not None
    assert len(np.load("runs/own/spikes.npz")["input"]) == IMAGES
    frame.assign(kind=frame["kind"].replace("c", "b")).to_csv("flowers.csv", index=False)
    capsys.readouterr()
    assert main(["train", "runs/own"]) == 2
    assert "flowers" in capsys.readouterr().err


def test_figures_outside_what_is_asked_fail_after_all_is_written(refused: Callable[..., str]) -> None:
    said = refused(5, "run", "tiny.toml", "--workers", "1", "--images", "2", "--verification.membrane-rms-max", "1e-9")
    assert "membrane_rms_V / threshold = " in said and "asked at most 1e-09" in said
    folder = Path("runs/tiny")
    assert read_json(folder / "summary.json")["images"] == len(pd.read_parquet(folder / "verification.parquet")) == 2
    assert (folder / "report.html").stat().st_size > 1000


def test_shipped_spiking_experiments_are_what_they_say() -> None:
    named = [name for name in presets() if "snn" in name]
    plain = {f"{data}-snn-{how}" for data in ("mnist", "fashion-mnist") for how in ("regular", "circuit")}
    further = {f"{data}-snn-circuit-{how}" for data in ("mnist", "fashion-mnist") for how in ("graded", "1t1r")}
    assert set(named) == plain | further | {"mnist-snn-circuit-robust", "mnist-snn-circuit-gf180"}
    for name in named:
        experiment = load_experiment(name)
        assert isinstance(experiment, SpikingExperiment)
        shown = name.removesuffix("-robust").removesuffix("-gf180").removesuffix("-graded").removesuffix("-1t1r")
        assert shown == f"{experiment.dataset.name}-snn-{experiment.training.method}"
        assert (experiment.training.variation != TrainingVariation()) == name.endswith("-robust")
        assert experiment.network.layers == (784, 100, 10) and experiment.network.steps <= 25
        load_circuit(experiment.circuit.name)
        for end in ("-graded", "-1t1r"):
            assert experiment.circuit.name.endswith(end) == name.endswith(end)
        foundry = name.endswith("-gf180")
        assert (experiment.technology, experiment.circuit.name.endswith("-gf180")) == (
            "gf180mcu" if foundry else "ptm90",
            foundry,
        )


BAD_CIRCUITS: dict[str, tuple[dict[str, object], str]] = {
    "unknown array": ({"array": "2t2r"}, "array = '2t2r'"),
    "threshold above the rails": ({"neuron.threshold_V": [0.7]}, "neuron.threshold_V = 0.7 is outside"),
    "threshold below rest": ({"neuron.threshold_V": [-0.1]}, "neuron.threshold_V = -0.1 is outside"),
    "too short a step": (
        {"clock.integrate_s": 2e-12, "clock.rest_s": 2e-12, "clock.edge_s": 1e-13},
        "too short to charge layer 1",
    ),
    "edges longer than phases": ({"clock.edge_s": 5e-9}, "more than a quarter"),
    "unknown key": ({"neuron.capacity_F": [1e-12]}, "Did you mean 'capacitance_F'?"),
}


@pytest.mark.parametrize("name", BAD_CIRCUITS)
def test_impossible_circuits(name: str, own_folder: Path, refused: Callable[..., str]) -> None:
    changes, text = BAD_CIRCUITS[name]
    circuit_toml(own_folder, "1r", changes)
    assert text in refused(2, "run", "tiny.toml")
    assert not Path("runs").exists()


def test_a_1t1r_circuit_without_access_transistors(own_folder: Path, refused: Callable[..., str]) -> None:
    circuit_toml(own_folder, "1r", {"array": "1t1r"})
    assert "needs the access transistors" in refused(2, "run", "tiny.toml")


def test_driven_inputs_have_no_reduced_form(own_folder: Path, refused: Callable[..., str], capsys: Capture) -> None:
    circuit_toml(own_folder, "1r", {"inputs": "driven"})
    assert "verify with --netlist flat" in refused(2, "run", "tiny.toml")
    assert not Path("runs/tiny/characterization").exists()  # before the work
    assert main(["run", "tiny.toml", "--workers", "1", "--netlist", "flat"]) == 0
    assert read_json(Path("runs/tiny/summary.json"))["membrane_rms_V"] < 2e-3


def test_arrays_with_wires(own_folder: Path, capsys: Capture) -> None:
    """Strong ones; every segment of them in ngspice, against the model and the multiport."""
    wires = ["--wires.row-ohm", "1000", "--wires.column-ohm", "1500", "--wires.column-F", "2e-17"]
    assert main(["run", "tiny.toml", "--workers", "1", "--epochs", "1", *wires]) == 0, capsys.readouterr()
    summary = read_json(Path("runs/tiny/summary.json"))
    assert summary["netlist"] == "mesh" and summary["before_mismatch"]["membrane_rms_V"] < 3e-4
    assert summary["flat"]["membrane_difference_max_V"] < 2e-4
    assert SpikingExperiment.model_validate(tomllib.loads(Path("runs/tiny/experiment.toml").read_text())).wires


def test_wires_of_a_1t1r_are_refused_before_the_work(own_folder: Path, refused: Callable[..., str]) -> None:
    circuit_toml(own_folder, "1t1r")
    said = refused(2, "run", "tiny.toml", "--wires.row-ohm", "5", "--wires.column-ohm", "5")
    assert "every cell stands at a voltage of its own. Take a 1r circuit" in said
    of_conditions = ["--verification.conditions.wires.row-ohm", "5", "--verification.conditions.wires.column-ohm", "5"]
    assert "is a 1t1r" in refused(2, "run", "tiny.toml", *of_conditions)
    assert not Path("runs/tiny/characterization").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--images 0", "images"),
        ("--wires.row-ohm 5", "column_ohm"),
        ("--wires.row-ohm 5 --wires.column-ohm 5 --netlist reduced", "a column behind wires that resist"),
        ("--netlist mesh", "has no [wires]"),
        ("--images 31", "30 test images"),
        ("--network.layers 5 5 3", "begin with 4 and end with 3"),
        ("--circuit.name lif-2r", "Did you mean 'lif-1r'?"),
        ("--circuit.threshold-V 0.9", "is outside"),
        ("--verification.spikes none.npy", "none.npy"),
        ("--hidden", "Unknown flag --hidden"),
        ("--chips 2 --chips-simulated 3", "chips_simulated = 3 of chips = 2"),
        ("--chips 2 --chips-images 31", "chips_images = 31"),
        ("--chips 2 --verification.variation.mismatch 0 --verification.variation.programming 0", "nothing varies"),
        ("--chips 2 --verification.variation.programming -0.1", "programming"),
        ("--training.variation.mismatch -1", "mismatch"),
        ("--circuit.inverter-fingers 0", "inverter_fingers"),
        ("--initial none.safetensors", "none.safetensors"),
    ],
)
def test_impossible_settings(flags: str, text: str, refused: Callable[..., str], capsys: Capture) -> None:
    try:
        said = refused(2, "run", "tiny.toml", *flags.split())
    except SystemExit as refusal:  # a number out of range is answered by tyro
        assert refusal.code == 2
        said = capsys.readouterr().err
    assert text in said
    assert not Path("runs/tiny/characterization").exists()


@pytest.mark.parametrize("shape", [(IMAGES, STEPS, 5), (IMAGES, STEPS + 1, 4), (IMAGES - 1, STEPS, 4), (STEPS, 4)])
def test_spike_files_of_the_wrong_shape(shape: tuple[int, ...], refused: Callable[..., str]) -> None:
    np.save("spikes.npy", np.zeros(shape, bool))
    said = refused(2, "run", "tiny.toml", "--verification.spikes", "spikes.npy")
    assert "x".join(map(str, shape)) in said and "4 x 4" in said
    assert not Path("runs/tiny/characterization").exists()  # before the work


def test_bent_devices_on_a_passive_array_are_refused(own_folder: Path, refused: Callable[..., str]) -> None:
    """Its model takes them as ohmic, whatever the netlist; on 1t1r cells are measured, whatever they do."""
    technology = bent_toml(load_technology("ptm90"), own_folder, 3.0)
    for form in ("flat", "reduced"):
        said = refused(2, "run", "tiny.toml", "--technology", str(technology), "--netlist", form)
        assert "ohmic to 0.001" in said
    assert not Path("runs/tiny/characterization").exists()
    circuit_toml(own_folder, "1t1r")
    Run("tiny.toml", "runs/tiny").require()
    changed = Path("tiny.toml").read_text()
    Path("tiny.toml").write_text(f'technology = "{technology}"\n' + changed)
    Run("tiny.toml", "runs/tiny").require()


def test_rails_that_no_circuit_has_are_refused_before_the_work(refused: Callable[..., str]) -> None:
    assert "threshold" in refused(2, "run", "tiny.toml", "--verification.conditions.vdd-scale", "0.05")
    assert not Path("runs/tiny/characterization").exists()


def test_an_unknown_system(own_folder: Path, refused: Callable[..., str]) -> None:
    (own_folder / "tiny.toml").write_text('system = "spikin"')
    assert "Did you mean 'spiking'?" in refused(2, "run", "tiny.toml")
