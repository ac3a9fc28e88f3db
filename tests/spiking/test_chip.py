"""Chips: independent draws, what ngspice makes of a drawn neuron, and decks that are as before without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bench import double, simulator

from spicetrain.array.variation import ArrayStatistics, Relative, Stuck
from spicetrain.characterization.sweep import swept
from spicetrain.draw import Draw
from spicetrain.errors import ConfigurationError
from spicetrain.mismatch import Mismatch, TransistorMismatch
from spicetrain.netlists.cells import VSS, text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spiking.characterization.chip_law import chip_law, measure_chip_law
from spicetrain.spiking.chip import SpikingChip, drawn, neuron_sigmas
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.spiking.netlists.cells import add_membrane_transistors, add_threshold_supplies, new_spiking_circuit
from spicetrain.spiking.netlists.network import latched, membranes_at_latch, spiking_deck
from spicetrain.technology import Technology
from spicetrain.variation import Statistics
from spiking.verification.nets import random_spiking_network, small_circuit

TRANSISTOR = TransistorMismatch(A_VT_Vm=3.5e-9, A_beta_m=1e-8)
MISMATCH = Mismatch(convention="single", nmos=TRANSISTOR, pmos=TRANSISTOR)
ARRAY = ArrayStatistics(programming=Relative(form="relative", sigma=0.1), stuck=Stuck(at_g_min=0.2))
BOTH = Statistics(MISMATCH, 1.0, ARRAY)
LAYERS = (5, 3, 2)


def chip_of(technology: Technology, statistics: Statistics, draw: Draw) -> SpikingChip:
    circuit = small_circuit()
    return drawn(random_spiking_network(technology, circuit, *LAYERS), circuit, technology, statistics, draw)


def test_cells_of_a_1t1r_are_drawn_each_for_itself(ptm90: Technology) -> None:
    circuit = load_circuit("lif-1t1r")
    network = random_spiking_network(ptm90, circuit, 200, 100, 2)
    one, other = (drawn(network, circuit, ptm90, Statistics(MISMATCH), Draw(number)).access for number in (0, 1))
    assert one is not None and other is not None and one[0]["excitatory"].shape == (201, 100)
    sigma_V = 3.5e-3 / np.sqrt(0.24 * 0.09)
    for side in ("excitatory", "inhibitory"):
        assert np.std(one[0][side]) == pytest.approx(sigma_V, rel=0.03)
        assert abs(np.corrcoef(one[0][side].ravel(), other[0][side].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(one[0]["excitatory"].ravel(), one[0]["inhibitory"].ravel())[0, 1]) < 0.03
    assert drawn(network, load_circuit("lif-1r"), ptm90, Statistics(MISMATCH), Draw(0)).access is None


def flat(chip: SpikingChip) -> list[np.ndarray]:
    return [value for one in chip.shifts or () for shift in one for value in shift]


def test_a_chip_is_its_number_whatever_else_varies(ptm90: Technology) -> None:
    one, again, other = (chip_of(ptm90, BOTH, Draw(number)) for number in (7, 7, 8))
    for a, b, c in zip(flat(one), flat(again), flat(other), strict=True):
        assert np.array_equal(a, b) and not np.isclose(a, c).any()
    assert one.network.fingerprint == again.network.fingerprint != other.network.fingerprint
    alone, array = (chip_of(ptm90, BOTH.only(source), Draw(7)) for source in ("mismatch", "programming"))
    assert all(np.array_equal(a, b) for a, b in zip(flat(one), flat(alone), strict=True))
    assert array.shifts is None
    written = chip_of(ptm90, BOTH, Draw(7, writing=1))
    assert all(np.array_equal(a, b) for a, b in zip(flat(one), flat(written), strict=True))
    assert written.network.fingerprint != one.network.fingerprint


def test_transistors_of_a_chip_are_independent_and_fall_with_their_area(ptm90: Technology) -> None:
    circuit = load_circuit("lif-1r").changed(inverter_fingers=(4.0, 1.0))
    network = random_spiking_network(ptm90, circuit, 1, 600, 600)
    shifts = drawn(network, circuit, ptm90, replace(BOTH, mismatch_scale=2.0), Draw(0)).shifts
    assert shifts is not None
    nm2 = {"nmos": 240 * 90, "pmos": 560 * 90, "leak": 240 * 90}
    for layer, fingers in enumerate((4, 1)):
        for name, shift in zip(nm2, shifts[layer], strict=True):
            root_um = np.sqrt(nm2[name] * 1e-6 * (1 if name == "leak" else fingers))
            assert np.std(shift.shift_V) == pytest.approx(2 * 3.5e-3 / root_um, rel=0.1)
            assert np.std(shift.factor) == pytest.approx(2 * 1e-2 / root_um, rel=0.1)
    every = np.stack([value for one in shifts for shift in one for value in shift])
    assert len(every) == 12 and np.abs(np.corrcoef(every) - np.eye(12)).max() < 0.16


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_a_drawn_neuron_trips_and_leaks_as_the_law_says(array: str, ptm90: Technology, ngspice: Ngspice) -> None:
    """In ngspice, transistor by transistor, against the law of currents: within 2 % of the spread of the trips."""
    circuit, neurons, layer = load_circuit(f"lif-{array}").changed(inverter_fingers=(1.0, 4.0)), 12, 1
    statistics = Statistics(MISMATCH, 1.0)
    chip = drawn(random_spiking_network(ptm90, circuit, 1, 1, neurons), circuit, ptm90, statistics, Draw(4))
    law = chip_law(circuit, ptm90, statistics, simulator(ngspice))
    assert law is not None and chip.shifts is not None
    shifts, threshold_V = chip.shifts[layer], circuit.threshold_V(layer)
    deck = new_spiking_circuit(circuit, ptm90, 0)
    add_threshold_supplies(deck, layer, threshold_V, circuit)
    for j in range(neurons + 1):
        one = shifts.of(j) if j < neurons else None
        add_membrane_transistors(deck, layer, str(j), VSS, circuit, ptm90, shifts=one)
        deck.V(f"m{j}", f"m{j}", "m", 0.0)
    deck.V("m", "m", deck.gnd, 0.0)
    v, options = np.linspace(threshold_V - 0.06, threshold_V + 0.06, 1201), {"reltol": 1e-8, "vntol": 1e-11}
    saves = tuple(f"{kind}{j})" for kind in ("v(q", "i(vm") for j in range(neurons + 1))
    values = simulator(ngspice).simulate(
        Deck(text_of(deck), f".dc {swept('vm', v)}", saves, len(v), temperature_C=27.0, options=options)
    ).values  # fmt: skip
    trips = np.array([np.interp(-threshold_V, -values[f"v(q{j})"], v) for j in range(neurons + 1)])
    moved, predicted = trips[:-1] - trips[-1], law.trip_V(shifts)
    assert np.sqrt(np.mean((moved - predicted) ** 2)) < 0.02 * np.std(moved)
    sigmas = neuron_sigmas(circuit, ptm90, statistics, layer)
    assert sigmas is not None and 0.5 < np.std(moved) / law.trip_sigma_V(sigmas) < 1.6
    if array == "1t1r":  # on 1r it is off: 4 nS of 1.7 mS
        i = np.array([values[f"i(vm{j})"][len(v) // 2] for j in range(neurons + 1)])
        np.testing.assert_allclose(i[:-1] / i[-1], law.leak_factor(shifts), rtol=0.03)
        assert np.ptp(i) > i[-1] / 2


def test_shifts_beyond_what_was_measured_do_not_run_away(ptm90: Technology, ngspice: Ngspice) -> None:
    law = measure_chip_law(load_circuit("lif-1r"), ptm90, 0.05, simulator(ngspice))
    shifts = drawn(
        random_spiking_network(ptm90, small_circuit(), *LAYERS), small_circuit(), ptm90,
        Statistics(ptm90.mismatch, 40.0), Draw(0),
    ).shifts  # fmt: skip
    assert shifts is not None
    assert np.isfinite(law.leak_factor(shifts[0])).all()
    np.testing.assert_allclose(law.trip_V(shifts[0]), shifts[0].pmos.shift_V, atol=0.1)


def test_an_inverter_that_trips_nowhere_is_refused(ptm90: Technology) -> None:
    flat_currents = double(
        lambda deck: {name: np.full(401, -1e-6 if "low" not in name else 1e-9) for name in deck.saves}
    )
    with pytest.raises(ConfigurationError, match=r"does not trip within 0.1 V.*inverter_fingers"):
        measure_chip_law(load_circuit("lif-1r"), ptm90, 0.1, flat_currents)


@pytest.mark.parametrize("form", ["flat", "reduced"])
def test_a_deck_has_gate_sources_on_a_chip_only(form: Any, ptm90: Technology) -> None:
    circuit, spikes = small_circuit(), np.ones((2, LAYERS[0]), bool)
    network = random_spiking_network(ptm90, circuit, *LAYERS)
    nominal = spiking_deck(network, circuit, ptm90, spikes, form).text()
    assert "gn0_0" not in nominal and "gl0_0" not in nominal
    chip = drawn(network, circuit, ptm90, Statistics(MISMATCH), Draw(1))
    text = spiking_deck(network, circuit, ptm90, spikes, form, shifts=chip.shifts).text()
    assert chip.shifts is not None
    for layer, width in enumerate(LAYERS[1:]):
        for j in range(width):
            one, name = chip.shifts[layer].of(j), f"{layer}_{j}"
            for node, before, shift in (
                (f"gn{name}", f"m{name}", one.nmos),
                (f"gp{name}", f"m{name}", one.pmos),
                (f"gl{name}", "leak", one.leak),
            ):
                assert f"V{node} {node} {before} {-shift.shift_V!r}\n" in text
            assert f"m={1 + one.nmos.factor}" in text and f"m={1 + one.leak.factor}" in text


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_circuits_without_fingers_are_what_they_were(array: str) -> None:
    """Networks that were trained before there was a choice know their circuit by this."""
    known = {"1r": "a8a3df805d38", "1t1r": "d4f4bead2d96"}
    circuit = load_circuit(f"lif-{array}")
    assert circuit.fingerprint.startswith(known[array])
    assert SpikingCircuit.model_validate(circuit.model_dump()).fingerprint == circuit.fingerprint
    assert circuit.changed(inverter_fingers=(2.0,)).fingerprint != circuit.fingerprint


def with_gate_sources(deck: Deck, beginnings: tuple[str, ...], rng: np.random.Generator) -> Deck:
    """Every transistor whose name begins so with its gate shifted by its own standard deviation."""
    lines = []
    for number, line in enumerate(deck.circuit.splitlines()):
        words = line.split()
        if words and words[0].startswith(beginnings):
            size = dict(word.split("=") for word in words[6:])
            sigma_V = 3.5e-9 / np.sqrt(float(size["w"]) * float(size["l"]) * float(size["m"]))
            lines.append(f"Vo{number} o{number} {words[2]} {float(rng.normal() * sigma_V)!r}")
            line = " ".join([*words[:2], f"o{number}", *words[3:]])
        lines.append(line)
    assert lines != deck.circuit.splitlines()
    return replace(deck, circuit="\n".join(lines) + "\n")


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_what_is_not_drawn_moves_no_membrane(array: str, ptm90: Technology, ngspice: Ngspice) -> None:
    """Resets and row drivers, by less than 0.05 mV and no spike; what is drawn, by a hundred times that."""
    circuit, steps = small_circuit(array), 6
    network = random_spiking_network(ptm90, circuit, 6, 5, 3)
    spikes = np.random.default_rng(1).random((steps, 6)) < 0.5
    deck = spiking_deck(network, circuit, ptm90, spikes, "flat")

    def answers(deck: Deck) -> tuple[np.ndarray, np.ndarray]:
        values = simulator(ngspice).simulate(deck).values
        v, s = (of_deck(values, network, circuit, steps) for of_deck in (membranes_at_latch, latched))
        return np.concatenate([one.ravel() for one in v]), np.concatenate([one.ravel() for one in s])

    def moved(*beginnings: str) -> tuple[float, int]:
        other, fired = answers(with_gate_sources(deck, beginnings, np.random.default_rng(2)))
        below = ~(fired | nominal_fired)
        return float(np.sqrt(np.mean((other - nominal)[below] ** 2))), int((fired != nominal_fired).sum())

    nominal, nominal_fired = answers(deck)
    drivers = tuple(f"M{kind}{side}{layer}_" for kind in "np" for side in "ei" for layer in (0, 1))
    rms_V, spikes_moved = moved("Mreset", *(drivers if array == "1t1r" else [name for name in drivers if "1_" in name]))
    assert rms_V < 5e-5 and spikes_moved == 0
    drawn_too = ("Mnt", "Mpt", "Mleak", *(("Me", "Mi") if array == "1t1r" else ()))
    rms_V, spikes_moved = moved(*drawn_too)
    assert rms_V > 5e-3 or spikes_moved > 0
