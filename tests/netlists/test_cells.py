"""The cells against decks written by hand and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
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


V = np.linspace(-0.5, 0.5, 9)
LAWS: dict[str, tuple[dict[str, Any], NDArray]] = {
    "ohmic": ({"b_per_V": 0.05}, V),
    "sinh": ({"b_per_V": 3.0}, np.sinh(3 * V) / 3),
    # I(2 V) is 5 I(V), and at 0.2 V it is g V: to a hundred-thousandth, which is what the millivolt at 0 leaves.
    "power": ({"ratio": 5.0, "v_ref_V": 0.2}, V * (np.abs(V) / 0.2) ** (np.log2(5) - 1)),
    "poole-frenkel": ({"b_per_sqrt_V": 2.0}, V * np.exp(2 * (np.sqrt(np.abs(V)) - 0.01))),
    # Two states of one shape, which every conductance then has: at the voltages measured exactly.
    "table": (
        {
            "v_read_V": 0.5,
            "voltages_V": V[4:].tolist(),
            "states_S": [1e-7, 1e-5],
            "currents_A": [(g * 0.5 * np.sinh(3 * V[4:]) / np.sinh(1.5)).tolist() for g in (1e-7, 1e-5)],
        },
        0.5 * np.sinh(3 * V) / np.sinh(1.5),
    ),
}


@pytest.mark.parametrize("form", LAWS)
def test_memristor_current(form: str, ptm90: Technology, ngspice: Ngspice) -> None:
    settings, law = LAWS[form]
    table = {"form": form, "g_min_S": 1e-7, "g_max_S": 1e-5, **settings}
    device: Device = TypeAdapter(AnyDevice).validate_python(table)
    circuit = new_circuit(ptm90)
    circuit.V("a", "a", circuit.gnd, 0.0)
    device.add(circuit, "x", "a", "0", 3.7e-6)
    (drawn,) = values(circuit, ".dc va -0.5 0.5 0.125", ("i(va)",), 9, ngspice)
    np.testing.assert_allclose(-drawn, device.current(3.7e-6, V), rtol=1e-9, atol=1e-17)
    np.testing.assert_allclose(-drawn, 3.7e-6 * law, rtol=1e-9 if form in ("ohmic", "sinh") else 3e-5, atol=1e-17)


@pytest.mark.parametrize("form", LAWS)
def test_memristor_slope(form: str) -> None:
    """Of finite differences, through 0 too, in numpy and torch; of autograd in torch."""
    device: Device = TypeAdapter(AnyDevice).validate_python(
        {"form": form, "g_min_S": 1e-7, "g_max_S": 1e-5, **LAWS[form][0]}
    )
    v, h = np.array([[-0.5, -0.013], [0.0, 2e-4], [0.07, 0.31]]), 1e-7
    g = np.array([1e-6, 7e-6])
    differences = (device.current(g, v + h) - device.current(g, v - h)) / (2 * h)
    np.testing.assert_allclose(device.slope(g, v), differences, rtol=2e-6, atol=1e-14)
    v_torch, g_torch = torch.tensor(v, requires_grad=True), torch.tensor(g)
    current = device.current(g_torch, v_torch)
    np.testing.assert_allclose(current.detach().numpy(), device.current(g, v), rtol=1e-12, atol=1e-25)
    (gradient,) = torch.autograd.grad(current.sum(), v_torch)
    np.testing.assert_allclose(gradient.numpy(), device.slope(g, v), rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(device.slope(g_torch, v_torch).detach().numpy(), device.slope(g, v), rtol=1e-12)
    assert device.nonlinearity(0.3) == pytest.approx(float(device.current(1.0, 0.3)) / 0.3 - 1)


@pytest.mark.parametrize("ratio", [1.0, 20.0])
def test_a_power_law_is_one_that_devices_have(ratio: float) -> None:
    with pytest.raises(ValueError, match="ratio"):
        TypeAdapter(AnyDevice).validate_python(
            {"form": "power", "g_min_S": 1e-7, "g_max_S": 1e-5, "ratio": ratio, "v_ref_V": 0.2}
        )


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
