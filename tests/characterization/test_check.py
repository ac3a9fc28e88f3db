"""What a technology is looked at for: sound ones pass, each way to be wrong is told as what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench import plan_of, simulator

from spicetrain.characterization import check as module
from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.check import Figures
from spicetrain.characterization.examined import Examined
from spicetrain.characterization.memristor_iv import MemristorIvPlan
from spicetrain.characterization.sweep import Subject
from spicetrain.errors import SimulationError, TechnologyError
from spicetrain.inverter.characterization.check import examined as examined_inverter
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spiking.characterization.check import examined as examined_circuit
from spicetrain.spiking.characterization.plans import MembraneCurrentPlan
from spicetrain.spiking.characterization.tables import TABLES as SPIKING_TABLES
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.technology import Technology


@pytest.fixture(autouse=True)
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def examined(technology: Technology, circuit: SpikingCircuit | None = None) -> Examined:
    return examined_inverter(technology) if circuit is None else examined_circuit(technology, circuit)


def check(technology: Technology, ngspice: Ngspice, circuit: SpikingCircuit | None = None) -> Figures:
    return module.check(examined(technology, circuit), simulator(ngspice))


def changed(technology: Technology, **sections: Any) -> Technology:
    """The same with other keys in its sections."""
    content = technology.model_dump()
    for section, keys in sections.items():
        content[section] |= keys
    return Technology.model_validate(content)


def with_library(technology: Technology, folder: Path, text: str, **models: Any) -> Technology:
    """The same with a library of its own, included as a whole."""
    (folder / "own.lib").write_text(text)
    models = {"library": "own.lib", "section": None, **models}
    return changed(technology.model_copy(update={"folder": folder}), transistors=models)


def refused(technology: Technology, ngspice: Ngspice, circuit: SpikingCircuit | None = None) -> str:
    with pytest.raises(TechnologyError) as caught:
        check(technology, ngspice, circuit)
    assert technology.name in str(caught.value) and str(technology.library) in str(caught.value)
    return str(caught.value)


def swapped(technology: Technology) -> Technology:
    models = technology.transistors
    return changed(technology, transistors={"nmos": models.pmos, "pmos": models.nmos})


# Sound ones


def test_figures_of_the_shipped_technology(ptm90: Technology, ngspice: Ngspice) -> None:
    """32.3 uA and 1.73 nA are the published ones of 240 nm at 0.5 V; the threshold is what ptm90.toml says of it."""
    figures = check(ptm90, ngspice)
    assert set(figures) == {"inverter.nmos", "inverter.pmos", "inverter"}
    assert figures["inverter.nmos"]["on_A"] == pytest.approx(32.3e-6, rel=5e-3)
    assert figures["inverter.nmos"]["off_A"] == pytest.approx(1.73e-9, rel=5e-3)
    assert abs(figures["inverter"]["switches_at_V"]) < 0.2e-3
    assert figures["inverter"]["v_out_max_V"] == pytest.approx(0.25, abs=1e-3)
    assert figures["inverter"]["v_out_min_V"] == pytest.approx(-0.25, abs=1e-3)
    assert 5 < figures["inverter"]["gain"] < 15


def test_subcircuits_between_unequal_rails_pass(made_up: Technology, ngspice: Ngspice) -> None:
    figures = check(made_up, ngspice)
    # Level 1 in saturation, as in test_characterize.py.
    assert figures["inverter.nmos"]["on_A"] == pytest.approx(1e-4 * 5 * 0.4**2 * 1.12, rel=0.08)
    assert figures["inverter"]["v_out_max_V"] == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("array", ["lif-1r", "lif-1t1r"])
def test_transistors_of_a_spiking_circuit(array: str, ptm90: Technology, ngspice: Ngspice) -> None:
    circuit = load_circuit(array)
    figures = check(ptm90, ngspice, circuit)
    places = {f"{pair}.{kind}" for pair in ("neuron.inverter", "excitatory", "inhibitory") for kind in ("nmos", "pmos")}
    access = {"access.nmos", "access.pmos"} if array == "lif-1t1r" else set()
    assert set(figures) == places | access | {"neuron.leak", "neuron.reset"}
    rails = {"vdd_V": circuit.rails.vdd_V, "vss_V": circuit.rails.vss_V}
    as_inverter = changed(ptm90, rails=rails, inverter={"nmos": circuit.neuron.reset})
    reset = check(as_inverter, ngspice)["inverter.nmos"]["on_A"]
    assert figures["neuron.reset"]["on_A"] == pytest.approx(reset, rel=1e-9)


def test_a_found_technology_is_not_looked_at_again(
    ptm90: Technology, ngspice: Ngspice, own_cache: Path, own_temporary: Path
) -> None:
    first = check(ptm90, ngspice)
    nowhere = replace(ngspice, executable=Path("/nowhere"))
    assert check(ptm90, nowhere) == first
    (kept,) = own_cache.rglob("check.json")
    kept.write_text("{")
    assert check(ptm90, ngspice) == first
    assert json.loads(kept.read_text()) == first
    assert list(own_temporary.iterdir()) == []


@pytest.mark.parametrize("what", ["technology", "version", "circuit"])
def test_another_one_is(what: str, ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    check(ptm90, ngspice, None if what != "circuit" else load_circuit("lif-1r"))
    script = tmp_path / "broken-ngspice"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    broken = replace(ngspice, executable=script, version=ngspice.version + (what == "version"))
    technology = changed(ptm90, rails={"vdd_V": 0.24}) if what == "technology" else ptm90
    with pytest.raises(SimulationError):
        check(technology, broken, load_circuit("lif-1t1r") if what == "circuit" else None)


def test_nothing_is_kept_of_a_refused_one(ptm90: Technology, ngspice: Ngspice, own_cache: Path) -> None:
    refused(swapped(ptm90), ngspice)
    assert not list(own_cache.rglob("check.json"))


@pytest.mark.parametrize("system", ["inverter", "spiking"])
def test_characterize_looks_at_what_it_is_to_measure(
    system: str, ptm90: Technology, ngspice: Ngspice, tmp_path: Path
) -> None:
    """A spiking circuit has rails and transistors of its own: there the unit inverter may be anything."""
    circuit, used = load_circuit("lif-1r"), None if system == "inverter" else load_circuit("lif-1r")
    plan = plan_of(memristor_iv=MemristorIvPlan())
    if system == "spiking":
        plan = plan_of(SPIKING_TABLES, leak_current=MembraneCurrentPlan())
    bad_inverter = changed(ptm90, rails={"vdd_V": 0.01, "vss_V": -0.01})
    bad_circuit = circuit.model_copy(update={"excitatory": circuit.excitatory.model_copy(update={"nmos": {}})})
    sound, wrong = (
        ((ptm90, None), (bad_inverter, None)) if used is None else ((bad_inverter, used), (ptm90, bad_circuit))
    )
    for (technology, of), folder in ((sound, tmp_path / "a"), (wrong, tmp_path / "b")):
        subject, looked = Subject(technology, of), examined(technology, of)
        if folder.name == "a":
            characterize(subject, plan, simulator(ngspice), folder, examined=looked)
            continue
        said = "does not invert" if used is None else "excitatory.nmos is empty"
        with pytest.raises(TechnologyError, match=said):
            characterize(subject, plan, simulator(ngspice), folder, examined=looked)
        assert not folder.exists()


# Names and parameters


@pytest.mark.parametrize("half_V", [0.25, 0.9])
def test_swapped_transistors(half_V: float, ptm90: Technology, made_up: Technology, ngspice: Ngspice) -> None:
    """At 0.9 V their junctions conduct far more than their channels."""
    for technology in (ptm90, made_up):
        wide = changed(technology, rails={"vdd_V": half_V, "vss_V": -half_V})
        check(wide, ngspice)
        said = refused(swapped(wide), ngspice)
        right = technology.transistors
        assert "nmos and pmos are likely swapped" in said
        assert f"with transistors.nmos = {right.nmos!r} and transistors.pmos = {right.pmos!r} both conduct" in said


def test_the_same_model_twice(ptm90: Technology, ngspice: Ngspice) -> None:
    said = refused(changed(ptm90, transistors={"pmos": "nmos"}), ngspice)
    assert "swapped" not in said and "inverter.pmos (transistors.pmos = 'nmos') does not switch" in said
    assert "the model is one of the other kind" in said


@pytest.mark.parametrize("where", ["nmos", "pmos"])
def test_unknown_parameters(
    where: str, ptm90: Technology, made_up: Technology, ngspice: Ngspice, own_temporary: Path
) -> None:
    card = changed(ptm90, inverter={where: {"Width": 240e-9, "l": 90e-9}})
    said = refused(card, ngspice)
    assert f"inverter.{where}.Width is not a parameter of 'nmos' and 'pmos'. Known: ad, as, l, m, nf" in said
    subcircuit = changed(made_up, inverter={where: {"wdth": 1e-6, "lg": 1e-7}})
    assert f"inverter.{where}.wdth is not a parameter of '{where[0]}ch_lvt'. Did you mean 'wd'?" in refused(
        subcircuit, ngspice
    )
    assert list(own_temporary.iterdir()) == []


def test_an_unknown_multiplicity(ptm90: Technology, made_up: Technology, ngspice: Ngspice) -> None:
    said = refused(changed(ptm90, transistors={"multiplicity": "mult"}), ngspice)
    assert "transistors.multiplicity = 'mult' is not a parameter of" in said
    said = refused(changed(made_up, transistors={"multiplicity": "finger"}), ngspice)
    assert "transistors.multiplicity = 'finger' is not a parameter of 'nch_lvt'. Did you mean 'fingers'?" in said


BEHAVIOURAL = """.subckt ncell d g s b w=1e-6 l=1e-7 mult=1
b1 d s i = {mult*2e-5*w/l}*ln(1+exp((v(g,s)-0.1)/0.04))*tanh(v(d,s)/0.05)
.ends
.subckt pcell d g s b w=1e-6 l=1e-7 mult=1
b1 s d i = {mult*2e-5*w/l}*ln(1+exp((v(s,g)-0.1)/0.04))*tanh(v(s,d)/0.05)
.ends
"""
X = {"element": "X", "nmos": "ncell", "pmos": "pcell", "multiplicity": "mult"}


def test_a_multiplicity_that_behavioural_sources_ignore(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    said = refused(with_library(ptm90, tmp_path, BEHAVIOURAL, **X | {"multiplicity": "m"}), ngspice)
    assert (
        "transistors.multiplicity = 'm' does not multiply: 2 fingers of inverter.nmos ('ncell') carry 1 times" in said
    )
    assert "behavioural sources" in said
    check(with_library(ptm90, tmp_path, BEHAVIOURAL, **X), ngspice)
    whole = BEHAVIOURAL.replace("{mult*", "{floor(mult)*")
    said = refused(with_library(ptm90, tmp_path, whole, **X), ngspice)
    assert "2.5 fingers of inverter.nmos ('ncell') carry 2 times" in said


def test_a_multiplicity_that_divides_the_width(ptm90: Technology, ngspice: Ngspice) -> None:
    said = refused(changed(ptm90, transistors={"multiplicity": "nf"}), ngspice)
    assert "transistors.multiplicity = 'nf' does not multiply: 2 fingers of inverter.nmos ('nmos') carry 0.96" in said


def test_a_multiplicity_that_is_given_twice(ptm90: Technology, ngspice: Ngspice) -> None:
    said = refused(changed(ptm90, inverter={"pmos": {"w": 560e-9, "l": 90e-9, "M": 2.0}}), ngspice)
    assert "inverter.pmos.M is also transistors.multiplicity" in said


# Sizes


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"w": 0.24, "l": 0.09}, "inverter.nmos.w is 0.24 m to ngspice: sizes are in metres, so 240 nm is 240e-9"),
        ({"w": 240e-9, "l": 0.09}, "inverter.nmos.l is 0.09 m to ngspice"),
        ({"W": 0.24, "L": 90e-9}, "With it one finger conducts 1.7 A."),
        ({"w": 0.0, "l": 90e-9}, "inverter.nmos.w = 0.0: a size is above 0"),
        ({"w": 240e-9, "L": -90e-9}, "inverter.nmos.L = -9e-08: a size is above 0"),
        ({}, "inverter.nmos is empty"),
    ],
)
def test_impossible_sizes(size: dict[str, float], said: str, ptm90: Technology, ngspice: Ngspice) -> None:
    assert said in refused(changed(ptm90, inverter={"nmos": size}), ngspice)


def test_micrometres_in_a_library_that_scales(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    text = f"* mine\n.options scale=1e-6\n.include {ptm90.library}\n"
    scaled = with_library(ptm90, tmp_path, text)
    unit = {kind: {"w": w, "l": 0.09} for kind, w in (("nmos", 0.24), ("pmos", 0.56))}
    figures = check(changed(scaled, inverter=unit), ngspice)
    assert figures["inverter.nmos"]["on_A"] == pytest.approx(check(ptm90, ngspice)["inverter.nmos"]["on_A"], rel=1e-6)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"wd": 0.5, "lg": 1e-7}, "conducts 89.6 A from rail to rail, its gate at 0.6 V"),
        ({"wd": -0.5e-6, "lg": 1e-7}, "does not switch: it conducts -8.96e-05 A"),
        ({"wd": 0.0, "lg": 1e-7}, "does not switch: it conducts 6.68e-13 A"),
    ],
)
def test_sizes_of_subcircuits_by_what_they_conduct(
    size: dict[str, float], said: str, made_up: Technology, ngspice: Ngspice
) -> None:
    said_of_it = refused(changed(made_up, inverter={"nmos": size}), ngspice)
    assert said in said_of_it and "its size is in another unit" in said_of_it and "swapped" not in said_of_it


# The inverter


def test_rails_too_low_for_the_transistors(ptm90: Technology, made_up: Technology, ngspice: Ngspice) -> None:
    said = refused(changed(ptm90, rails={"vdd_V": 0.02, "vss_V": -0.02}), ngspice)
    assert (
        "v_out goes from 0.01031 V at v_in = -0.02 V to -0.01329 V at v_in = 0.02 V, at no point steeper than 0.7"
        in said
    )
    assert "does not invert" in said and "the rails are too low" in said
    assert "does not switch" in refused(changed(made_up, rails={"vdd_V": 0.02}), ngspice)  # it has no subthreshold


def test_an_inverter_of_unequal_transistors(ptm90: Technology, ngspice: Ngspice) -> None:
    said = refused(changed(ptm90, inverter={"pmos": {"w": 120e-9, "l": 5e-5}}), ngspice)
    assert "does not invert" in said and "one of them is far too weak (a finger conducts 3.23e-05 A, nMOS, and " in said


def test_a_curve_that_turns_back_is_no_inverter(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    """A pMOS that opens once more at high inputs."""
    once = "ln(1+exp((v(s,g)-0.1)/0.04))"
    again = BEHAVIOURAL.replace(once, f"({once}+30*exp(-((v(s,g)-0.1)/0.02)^2))")
    assert "does not invert" in refused(with_library(ptm90, tmp_path, again, **X), ngspice)


def test_a_curve_that_amplifies_nothing_is_no_inverter(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    """Gates that vary a conductance: from rail to rail along a straight line, of slope -0.5 / 0.54."""
    line = (
        ".subckt ncell d g s b w=1 l=1 mult=1\nb1 d s i = {mult*1e-4}*(v(g,s)+0.02)*v(d,s)\n.ends\n"
        ".subckt pcell d g s b w=1 l=1 mult=1\nb1 s d i = {mult*1e-4}*(v(s,g)+0.02)*v(s,d)\n.ends\n"
    )
    said = refused(with_library(ptm90, tmp_path, line, **X), ngspice)
    assert "goes from 0.2315 V at v_in = -0.25 V to -0.2315 V at v_in = 0.25 V, at no point steeper than 0.926" in said


def test_a_current_of_the_wrong_sense(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    """Closed it conducts backwards, open a little less."""
    backwards = BEHAVIOURAL.replace("b1 d s i = {mult*", "b1 d s i = {-mult*").replace("v(g,s)-0.1", "0.1-v(g,s)")
    said = refused(with_library(ptm90, tmp_path, backwards, **X), ngspice)
    assert "inverter.nmos (transistors.nmos = 'ncell') does not switch" in said


def test_a_transistor_as_weak_as_gmin_is_not_taken_for_a_wrong_multiplicity(
    made_up: Technology, ngspice: Ngspice
) -> None:
    weak = changed(made_up, inverter={"nmos": {"wd": 0.5e-6, "lg": 0.1}, "pmos": {"wd": 1.5e-6, "lg": 0.1}})
    assert check(weak, ngspice)["inverter.nmos"]["on_A"] < 1e-10


def test_a_leak_that_is_not_multiplied(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    leaky = BEHAVIOURAL.replace("b1 d s", "r1 d s 2e5\nb1 d s")  # 2.5 uA beside 530
    said = refused(with_library(ptm90, tmp_path, leaky, **X), ngspice)
    assert "does not multiply: 2 fingers of inverter.nmos ('ncell') carry 1.99" in said


def test_an_ngspice_that_fails_is_not_the_technologys_fault(
    ptm90: Technology, ngspice: Ngspice, own_temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "fails").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "fails").chmod(0o755)
    with pytest.raises(SimulationError, match="exit code 3") as caught:
        check(ptm90, replace(ngspice, executable=tmp_path / "fails"))
    assert list(own_temporary.iterdir()) == [caught.value.folder]


def test_what_the_transistors_do_is_told_where_the_inverter_does_not_converge(
    ptm90: Technology, ngspice: Ngspice, own_temporary: Path
) -> None:
    with pytest.raises(TechnologyError, match="conducts 2.39 A from rail to rail, its gate at 2.5 V"):
        check(changed(ptm90, rails={"vdd_V": 2.5, "vss_V": -2.5}), ngspice)
    assert list(own_temporary.iterdir()) == []


# Spiking circuits


def test_parameters_of_a_spiking_circuit(ptm90: Technology, made_up: Technology, ngspice: Ngspice) -> None:
    circuit = load_circuit("lif-1r")
    neuron = circuit.neuron.model_copy(update={"reset": {"width": 1e-6, "l": 90e-9}})
    wrong = circuit.model_copy(update={"neuron": neuron})
    said = refused(ptm90, ngspice, wrong)
    assert (
        said.startswith("Circuit 'lif-1r' with technology 'ptm90'") and "neuron.reset.width is not a parameter" in said
    )
    said = refused(made_up, ngspice, circuit)
    assert "neuron.leak.w is not a parameter of 'nch_lvt'. Did you mean 'wd'?" in said
    said = refused(swapped(ptm90), ngspice, circuit)
    assert "nmos and pmos are likely swapped" in said
    said = refused(changed(ptm90, transistors={"multiplicity": "nf"}), ngspice, circuit)
    assert "does not multiply: 2 fingers of neuron.leak ('nmos') carry" in said


def test_every_limit_is_one_that_the_shipped_technology_keeps_far_from(ptm90: Technology, ngspice: Ngspice) -> None:
    figures = check(ptm90, ngspice)
    for kind in ("inverter.nmos", "inverter.pmos"):
        assert 1e4 * module._SMALLEST_A < figures[kind]["on_A"] < 1e-4 * module._LARGEST_A
