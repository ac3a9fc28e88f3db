"""The cells against decks written by hand and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter
from PySpice.Spice.Netlist import Circuit

from spicetrain.array.device import Device
from spicetrain.array.devices import AnyDevice
from spicetrain.inverter.netlists.cells import add_inverter, new_circuit
from spicetrain.netlists.cells import text_of
from spicetrain.netlists.index_source import add_index, add_lookup, sweep
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology


def values(
    circuit: Circuit | str, analysis: str, saves: tuple[str, ...], points: int, ngspice: Ngspice
) -> list[NDArray]:
    text = circuit if isinstance(circuit, str) else text_of(circuit)
    answer = simulate(Deck(text, analysis, saves, points), ngspice)
    return [answer.values[name] for name in saves]


def test_size_three_is_three_unit_inverters_in_parallel(
    ptm90: Technology, made_up: Technology, ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        rails = technology.rails
        circuit = new_circuit(technology)
        circuit.V("gate", "gate", circuit.gnd, 0.0)
        for node, sizes in (("one", [3.0]), ("three", [1.0, 1.0, 1.0]), ("unit", [1.0])):
            circuit.V(node, node, circuit.gnd, rails.mid_V + 0.3 * rails.half_swing_V)
            for k, size in enumerate(sizes):
                add_inverter(circuit, f"{node}{k}", "gate", node, size)
        step = (rails.vdd_V - rails.vss_V) / 8
        analysis = f".dc vgate {rails.vss_V} {rails.vdd_V} {step}"
        one, three, unit = values(circuit, analysis, ("i(vone)", "i(vthree)", "i(vunit)"), 9, ngspice)
        # ngspice puts its gmin, 1e-12 S, beside each device, however many fingers it has.
        np.testing.assert_allclose(one, three, rtol=1e-9, atol=2e-12)
        np.testing.assert_allclose(one, 3 * unit, rtol=1e-9, atol=2e-12)
        assert np.ptp(one) > 1e-6


def test_the_inverter_is_the_circuit_it_should_be(ptm90: Technology, ngspice: Ngspice) -> None:
    circuit = new_circuit(ptm90)
    circuit.V("gate", "gate", circuit.gnd, 0.0)
    add_inverter(circuit, "1", "gate", "drain", 2.0)
    by_hand = f"""
.include {ptm90.library}
vupper upper 0 0.25
vlower lower 0 -0.25
vgate gate 0 0.0
mn drain gate lower lower nmos w=240e-9 l=90e-9 m=2
mp drain gate upper upper pmos w=560e-9 l=90e-9 m=2
"""
    analysis = ".dc vgate -0.25 0.25 0.05"
    (ours,) = values(circuit, analysis, ("v(drain)",), 11, ngspice)
    (theirs,) = values(by_hand, analysis, ("v(drain)",), 11, ngspice)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert ours[0] > 0.249
    assert ours[-1] < -0.249


def test_another_supply_can_be_named(ptm90: Technology, ngspice: Ngspice) -> None:
    circuit = new_circuit(ptm90)
    circuit.V("own", "own", circuit.gnd, 0.1)
    circuit.V("gate", "gate", circuit.gnd, -0.25)
    add_inverter(circuit, "1", "gate", "drain", 1.0, supply="own")
    (v,) = values(circuit, ".op", ("v(drain)",), 1, ngspice)
    assert v[0] == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize(("form", "b"), [("ohmic", 0.05), ("sinh", 3.0)])
def test_memristor_current(form: str, b: float, ptm90: Technology, ngspice: Ngspice) -> None:
    table = {"form": form, "g_min_S": 1e-7, "g_max_S": 1e-5, "b_per_V": b}
    device: Device = TypeAdapter(AnyDevice).validate_python(table)
    circuit = new_circuit(ptm90)
    circuit.V("a", "a", circuit.gnd, 0.0)
    device.add(circuit, "x", "a", "0", 3.7e-6)
    (drawn,) = values(circuit, ".dc va -0.5 0.5 0.125", ("i(va)",), 9, ngspice)
    v = np.linspace(-0.5, 0.5, 9)
    expected = 3.7e-6 * v if form == "ohmic" else 3.7e-6 / b * np.sinh(b * v)
    np.testing.assert_allclose(-drawn, expected, rtol=1e-9, atol=1e-17)


def lookups(tables: list[NDArray], ngspice: Ngspice) -> list[NDArray]:
    circuit = Circuit("lookups")
    add_index(circuit)
    for k, table in enumerate(tables):
        add_lookup(circuit, f"t{k}", table)
        circuit.R(f"load{k}", f"t{k}", circuit.gnd, 1000.0)
    samples = len(tables[0])
    return values(circuit, sweep(samples), tuple(f"v(t{k})" for k in range(len(tables))), samples, ngspice)


def test_looked_up_voltages_are_exact_up_to_the_last_of_many_samples(ngspice: Ngspice) -> None:
    """At corners of a pwl curve the error grows with index^2: 10 mV and more at index 800."""
    rng = np.random.default_rng(0)
    steps = np.repeat(rng.uniform(-0.25, 0.25, 300), 10)
    tables = [rng.uniform(-0.25, 0.25, 3000), steps, np.full(3000, 0.1), np.r_[np.zeros(2999), 0.2]]
    for found, table in zip(lookups(tables, ngspice), tables, strict=True):
        np.testing.assert_allclose(found, table, rtol=0, atol=1e-15)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_few_samples(samples: int, ngspice: Ngspice) -> None:
    table = np.array([0.1, -0.2, 0.05])[:samples]
    np.testing.assert_allclose(lookups([table], ngspice)[0], table, rtol=0, atol=1e-15)
