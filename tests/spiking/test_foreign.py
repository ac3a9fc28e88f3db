"""A neuron of one's own: against ours written as a subcircuit, against ngspice on a network, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from bench import plan_of, simulator

from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.sweep import Subject
from spicetrain.cli import main
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.characterization.foreign_check import require_neuron
from spicetrain.spiking.characterization.tables import TABLES
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.spiking.netlists.network import latched, membranes_at_latch, spiking_deck
from spicetrain.spiking.surrogates.fit import fit_spiking_surrogates
from spicetrain.spiking.surrogates.laws import load_laws
from spicetrain.spiking.training.predict import predict
from spicetrain.storage import content_hash, read_json
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.tables import read_table
from spicetrain.technology import Technology
from spiking.neurons import OTA, OWN, circuit_with, ideal, written
from spiking.verification.nets import random_spiking_network

PLAN: dict[str, dict[str, Any]] = {
    "driver_current": {"points": 51},
    "leak_current": {"points": 61},
    "reset_current": {"points": 61},
    "neuron_capacitance": {"points": 61},
    "threshold": {"slopes_V_per_s": [1e6, 1e7, 3e7]},
    "reset_residue": {"g_columns_S": [0.0, 1e-4], "v_points": 5},
}


def measured(circuit: SpikingCircuit, technology: Technology, ngspice: Ngspice, folder: Path) -> dict[str, Path]:
    plan = plan_of(TABLES, **{name: TABLES[name].section(**given) for name, given in PLAN.items()})
    return characterize(Subject(technology, circuit), plan, simulator(ngspice), folder)


def tables(paths: dict[str, Path]) -> dict[str, pd.DataFrame]:
    return {name: read_table(path) for name, path in paths.items()}


def test_our_own_neuron_as_a_subcircuit_is_measured_the_same(
    ptm90: Technology, ngspice: Ngspice, tmp_path: Path
) -> None:
    ours, theirs = load_circuit("lif-1r"), circuit_with(written(tmp_path, OWN))
    require_neuron(theirs, ptm90, simulator(ngspice))
    one, other = (
        tables(measured(circuit, ptm90, ngspice, tmp_path / name)) for circuit, name in ((ours, "a"), (theirs, "b"))
    )
    for name, wanted in one.items():
        for column, values in wanted.items():
            found = other[name][column]
            if values.dtype != np.float64:
                assert list(found) == list(values)
                continue
            # Time points are others where a ramp is longer.
            atol = 2e-5 if name == "threshold" else 1e-6 if name == "reset_residue" else 0.0
            np.testing.assert_allclose(found, values, rtol=1e-6, atol=atol or 1e-9 * np.abs(values).max())


def test_a_network_of_neurons_with_amplifiers(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    """Every spike, and membranes that the same laws describe as well as those of our own neuron."""
    circuit = circuit_with(OTA, capacitance_F=(400e-15, 100e-15), reset_fingers=(1.2, 0.3), threshold_V=(0.04,))
    measured(circuit, ptm90, ngspice, tmp_path)
    fit_spiking_surrogates(tmp_path, ptm90, circuit, SurrogateSettings(iterations=20, starts=1), tmp_path)
    laws = load_laws(tmp_path / "surrogates.safetensors")[0]
    assert abs(laws.trip[0]) > 1e-3  # unlike ours, it has one
    network = random_spiking_network(ptm90, circuit, 20, 8, 3)
    spikes, fired = np.random.default_rng(5).random((4, 6, 20)) < 0.4, 0
    answers = predict(network, spikes, circuit, laws)
    forms: tuple[Form, ...] = ("reduced", "flat")
    for form in forms:
        for image, inputs in enumerate(spikes):
            values = simulate(spiking_deck(network, circuit, ptm90, inputs, form), ngspice).values
            found = latched(values, network, circuit, 6), membranes_at_latch(values, network, circuit, 6)
            for (model, v_model), spice, v_spice in zip(answers, *found, strict=True):
                assert np.array_equal(model[image], spice)
                np.testing.assert_allclose(v_model[image], v_spice, rtol=0, atol=5e-4)
                fired += int(spice.sum())
    assert 80 < fired < 400


BAD_FILES = {
    "no port reset": OWN.replace(" reset ", " "),
    "no port spike": OWN.replace(" spike_b reset", " reset"),
    "'membran' that nothing is known .* Did you mean 'membrane'": OWN.replace("membrane", "membran"),
    "has the port reset twice": OWN.replace(" bias\n", " bias reset\n"),
    "of spike and spike_b one is wanted": OWN.replace("spike_b reset", "spike_b spike reset"),
    "high and low only together": OWN.replace("+ high low", "+ high"),
    "has no .subckt": "* nothing\n",
    "'v1 x 0 1' stands outside": f"v1 x 0 1\n{OWN}",
    "none called 'mine' like the file": OWN.replace("mine", "a") + OWN.replace("mine", "b"),
    "must not run anything": f"{OWN}.control\nshell ls\n.endc\n",
    "'gone.lib' is not a file": f".include gone.lib\n{OWN}",
}


@pytest.mark.parametrize("said", BAD_FILES)
def test_a_file_that_is_no_neuron(said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        circuit_with(written(tmp_path, BAD_FILES[said]))


BAD_NEURONS = {
    "never trips it: the port spike is -0.5 V at rest": ideal(spike="0.5*tanh(400*(v(membrane)-0.7))"),
    "goes the wrong way.* Call the port 'spike_b'": ideal(spike="-0.5*tanh(400*(v(membrane)-0.02))"),
    "more than once": ideal(spike="0.5*tanh(400*(v(membrane)-0.02)*(v(membrane)-0.1)*(v(membrane)-0.2))"),
    "feedback inside it remembers": ideal(spike="0.5*tanh(50*(v(membrane)-0.02+0.1*v(spike)))"),
    "it trips at 0.1 V, and neuron.threshold_V is 0.02": ideal(spike="0.5*tanh(400*(v(membrane)-0.1))"),
    "no smooth function of the membrane": ideal("bj 0 membrane i=1e-3*tanh(1e4*(v(membrane)-0.03))"),
    "is not a function of the membrane": ideal(
        "bx x 0 v=tanh(3*(v(x)+10*v(membrane)))\nbj 0 membrane i=1e-3*v(x)", spike="0.5*tanh(400*(v(membrane)-0.02))"
    ),
    "its membrane remembers": ideal("rslow membrane x 1e5\ncslow x 0 1e-12\nbj membrane 0 i=1e-4*v(x)"),
    "defines 'nmos' once more": ideal().replace(".ends", ".ends\n.model nmos nmos level=1"),
    "does not pull the membrane to rest": ideal(reset="0.0*v(membrane)"),
    "ngspice cannot solve it": ideal("mx membrane reset rest rest unknown w=1e-6 l=90e-9"),
}


@pytest.mark.parametrize("said", BAD_NEURONS)
def test_a_neuron_that_the_laws_do_not_describe(said: str, ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    circuit = circuit_with(written(tmp_path, BAD_NEURONS[said]))
    with pytest.raises(ConfigurationError, match=f"The neuron mine of .*{said}"):
        require_neuron(circuit, ptm90, simulator(ngspice))


def test_one_that_they_do(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    require_neuron(circuit_with(written(tmp_path, ideal())), ptm90, simulator(ngspice))


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    ours = load_circuit("lif-1r")
    content = ours.model_dump(mode="json", exclude={"name", "description"})
    for name in ("inverter_fingers", "subcircuit", "capacitor_F_per_m2"):
        del content["neuron"][name]
    del content["word_line_boost_V"]
    assert ours.fingerprint == content_hash(content)
    (tmp_path / "elsewhere").mkdir()
    here, there = (circuit_with(written(folder, OWN)) for folder in (tmp_path, tmp_path / "elsewhere"))
    changed = circuit_with(written(tmp_path, OWN.replace("560e-9", "570e-9"), "other.cir"))
    assert len({ours.fingerprint, here.fingerprint, there.fingerprint, changed.fingerprint}) == 3
    part = written(tmp_path, "* part\n.param w0=240e-9\n", "part.inc")
    including = written(tmp_path, f".include part.inc\n{OWN}", "including.cir")
    before = circuit_with(including).fingerprint
    part.write_text("* part\n.param w0=250e-9\n")
    assert circuit_with(including).fingerprint != before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"leak": {"w": 1e-6, "l": 9e-8}}, "neuron: leak: .*mine.cir stands in their place"),
        ({"threshold_V": [0.02, 0.03]}, "give one for all layers"),
        ({"subcircuit": "gone.cir"}, "There is no neuron .*gone.cir"),
        ({"subcircuit": None}, "neuron: half_supply_V, inverter, leak, leak_gate_V, reset: missing"),
        ({}, "half_supply_V: missing, and .*mine.cir has the ports high and low"),
    ],
)
def test_a_circuit_with_what_the_neuron_has_no_use_for(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    written(tmp_path, OWN)
    content = tomllib.loads((OTA.parent / "lif-1r-ota.toml").read_text())
    content["neuron"] = {"subcircuit": "mine.cir", "capacitance_F": [1e-12], "threshold_V": [0.02], **changes}
    content["neuron"] = {key: value for key, value in content["neuron"].items() if value is not None}
    (tmp_path / "circuit.toml").write_text(tomli_w.dumps(content))
    with pytest.raises(ConfigurationError, match=said):
        load_circuit(tmp_path / "circuit.toml")


TOML = """
system = "spiking"
circuit = { name = "lif-1r", capacitance_F = [500e-15], threshold_V = [0.05], neuron = "parts/mine.cir" }
dataset.name = "iris"
network = { layers = [4, 5, 3], steps = 4 }
training = { epochs = 1, batch_size = 40, augmentation = {} }
verification = { images = 2, flat_images = 1 }
"""


def test_regular_thresholds_need_a_neuron_that_follows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, ideal())
    (tmp_path / "tiny.toml").write_text(TOML.replace("parts/mine.cir", "mine.cir"))
    assert main(["run", "tiny.toml", "--method", "regular"]) == 2
    assert "neither a port threshold nor high and low" in capsys.readouterr().err


@pytest.mark.usefixtures("shared_cache")
def test_all_rooms_and_a_neuron_beside_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "parts").mkdir()
    # With our reset of 24 fingers a falling gate would swamp half a picofarad.
    file = written(tmp_path / "parts", OWN.replace(" reset_fingers=1", "").replace("m={reset_fingers}", "m=2"))
    (tmp_path / "tiny.toml").write_text(TOML)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = ["run", "../tiny.toml", "--workers", "1", "--out", "run"]
    assert main([*run, "--chips", "2"]) == 2
    assert "programmed only: set variation.mismatch = 0" in capsys.readouterr().err
    chips = ["--chips", "2", "--verification.variation.mismatch", "0"]
    assert main([*run, *chips]) == 0, capsys.readouterr()
    summary = read_json(Path("run/summary.json"))
    assert summary["spike_agreement"] > 0.95 and summary["flat"]["membrane_difference_max_V"] < 1e-4
    assert len(pd.read_parquet("run/chips.parquet")) == 2
    assert f'.include "{file}"' in Path("run/network.cir").read_text()
    assert "subcircuit mine of mine.cir" in Path("run/report.html").read_text()
    capsys.readouterr()
    file.write_text(file.read_text().replace("560e-9", "570e-9"))
    assert main(["verify", "run"]) == 2  # another neuron than the one that was trained
    assert "circuit" in capsys.readouterr().err
