"""A device that is a table of measured I-V: against ngspice, scipy, finite differences; what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from PySpice.Spice.Netlist import Circuit
from scipy.interpolate import PchipInterpolator

from spicetrain.array.devices.table import Table
from spicetrain.errors import ConfigurationError, TechnologyError
from spicetrain.netlists.cells import text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology, load_technology

STATES_S = (1e-6, 4e-6, 3e-5)
V_READ = 0.2
V = np.array([-1.0, -0.7, -0.4, -0.2, -0.1, 0.0, 0.1, 0.2, 0.4, 0.7, 0.9])


def measured(v: NDArray) -> NDArray:
    """Three states that bend by different amounts, and more towards positive voltages, [states, points]."""
    bend = np.array([[4.0], [2.5], [0.6]])
    law = np.sinh(bend * v) * (1 + 0.2 * np.tanh(3 * v))
    named = np.sinh(bend * V_READ) * (1 + 0.2 * np.tanh(3 * V_READ))
    currents: NDArray = np.array(STATES_S)[:, None] * V_READ * law / named
    return currents


def fields(**changed: Any) -> dict[str, Any]:
    given = {
        "g_min_S": 1e-6, "g_max_S": 3e-5, "v_read_V": V_READ, "voltages_V": V.tolist(), "states_S": list(STATES_S),
        "currents_A": measured(V).tolist(),
    }  # fmt: skip
    return {**given, **changed}


DEVICE = Table(**fields())
ODD = Table(**fields(voltages_V=V[5:].tolist(), currents_A=measured(V[5:]).tolist()))
ONE = Table(**fields(states_S=[4e-6], currents_A=measured(V)[1:2].tolist()))
DEVICES = {"both signs": DEVICE, "odd": ODD, "one state": ONE}
# Below the lowest state, in it, between, in the highest, above; [2, 4], beside voltages of [3, 1, 1].
G = np.array([[2e-7, 1e-6, 2.2e-6, 4e-6], [1.1e-5, 2.9e-5, 3e-5, 7e-5]])
AT = np.array([-0.93, 0.0123, 0.5571])[:, None, None]


@pytest.mark.parametrize("name", DEVICES)
def test_ngspice_has_the_same_law(name: str, ngspice: Ngspice) -> None:
    device, circuit = DEVICES[name], Circuit("devices")
    circuit.V("a", "a", circuit.gnd, 0.0)
    for k, g in enumerate(G.flat):
        circuit.V(f"meter{k}", "a", f"top{k}", 0.0)
        device.add(circuit, f"x{k}", f"top{k}", "0", g)
    v = np.linspace(-1.1, 1.1, 23)  # a little beyond what was measured too
    saves = tuple(f"i(vmeter{k})" for k in range(G.size))
    found = simulate(Deck(text_of(circuit), ".dc va -1.1 1.1 0.1", saves, 23), ngspice).values
    for g, save in zip(G.flat, saves, strict=True):
        np.testing.assert_allclose(found[save], device.current(g, v), rtol=1e-9, atol=1e-17)


def test_states_and_voltages_that_were_measured_are_exact() -> None:
    np.testing.assert_allclose(DEVICE.current(np.array(STATES_S)[:, None], V), measured(V), rtol=1e-12, atol=1e-22)
    half = DEVICE.current(2.5e-6, V)  # half way between two states
    np.testing.assert_allclose(half, measured(V)[:2].mean(0), rtol=1e-12, atol=1e-22)
    np.testing.assert_allclose(DEVICE.current(6e-5, V), 2 * measured(V)[2], rtol=1e-12, atol=1e-22)
    np.testing.assert_allclose(DEVICE.current(1e-8, V), measured(V)[0] / 100, rtol=1e-12, atol=1e-22)
    np.testing.assert_allclose(ODD.current(4e-6, -V[5:]), -measured(V[5:])[1], rtol=1e-12, atol=1e-22)


@pytest.mark.parametrize("voltages", [V, np.array([-0.9, -0.123, -0.05, 0.0, 0.07, 0.31, 0.8])], ids=["step", "any"])
def test_between_them_it_is_the_monotone_cubic(voltages: NDArray) -> None:
    currents = measured(voltages)
    device = Table(**fields(voltages_V=voltages.tolist(), currents_A=currents.tolist(), v_read_V=V_READ))
    fine = np.linspace(voltages[0], voltages[-1], 333)
    cubic = PchipInterpolator(voltages, currents[1])(fine)
    np.testing.assert_allclose(device.current(4e-6, fine), cubic, rtol=2e-3, atol=2e-4 * abs(cubic).max())


@pytest.mark.parametrize("name", DEVICES)
def test_slopes_are_finite_differences(name: str) -> None:
    device = DEVICES[name]
    h = 1e-6
    in_v = (device.current(G, AT + h) - device.current(G, AT - h)) / (2 * h)
    np.testing.assert_allclose(device.slope(G, AT), in_v, rtol=1e-8)
    g = G * (1 + 1e-3)  # off the states, where the derivative jumps
    in_g = (device.current(g + 1e-9, AT) - device.current(g - 1e-9, AT)) / 2e-9
    np.testing.assert_allclose(device.per_siemens(g, AT), in_g, rtol=1e-6)


@pytest.mark.parametrize("name", DEVICES)
def test_numpy_and_torch_are_one_law(name: str) -> None:
    device = DEVICES[name]
    g, v = torch.tensor(G * 1.001, requires_grad=True), torch.tensor(AT, requires_grad=True)
    for law in (device.current, device.slope, device.per_siemens):
        np.testing.assert_allclose(law(g, v).detach().numpy(), law(G * 1.001, AT), rtol=1e-12)
        single = law(g.detach().float(), v.detach().float())
        assert single.dtype == torch.float32
        np.testing.assert_allclose(single.numpy(), law(G * 1.001, AT), rtol=2e-4)
    in_g, in_v = torch.autograd.grad(device.current(g, v).sum(), (g, v))
    np.testing.assert_allclose(in_g.numpy(), device.per_siemens(G * 1.001, AT).sum(0), rtol=1e-9)
    np.testing.assert_allclose(in_v.numpy(), device.slope(G * 1.001, AT).sum((1, 2), keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(device.current(torch.tensor(4e-6), 0.3).numpy(), device.current(4e-6, 0.3), rtol=1e-5)


@pytest.mark.parametrize("name", DEVICES)
def test_parts_in_parallel_are_the_device(name: str) -> None:
    device = DEVICES[name]
    parts = device.parts(G)
    assert len(parts) == len(device.states_S) and all(np.all(c >= 0) and c.shape == G.shape for c, _ in parts)
    np.testing.assert_allclose(sum(c for c, _ in parts), G, rtol=1e-12)
    for law in ("current", "slope"):
        found = sum(getattr(of, law)(c, AT) for c, of in parts)
        np.testing.assert_allclose(found, getattr(device, law)(G, AT), rtol=1e-12)
    for c, of in parts:
        np.testing.assert_allclose(of.current(3 * c, AT), 3 * of.current(c, AT), rtol=1e-12)
    g = torch.tensor(G * 1.001, requires_grad=True)
    total = sum(of.current(c, torch.tensor(AT)).sum() for c, of in device.parts(g))
    (gradient,) = torch.autograd.grad(total, g)
    np.testing.assert_allclose(gradient.numpy(), device.per_siemens(G * 1.001, AT).sum(0), rtol=1e-9)


def test_how_far_it_bends_is_that_of_the_state_that_bends_most() -> None:
    excess = measured(np.array([0.7]))[:, 0] / (np.array(STATES_S) * 0.7) - 1
    assert DEVICE.nonlinearity(0.7) == pytest.approx(excess.max(), rel=1e-12)
    assert DEVICE.nonlinearity(0.0) == 0


def test_a_technology_that_goes_beyond_what_was_measured_is_refused() -> None:
    DEVICE.require_range(0.9)
    ODD.require_range(0.9)
    with pytest.raises(ConfigurationError, match=r"measured up to 0\.9 V only .*may see 1 V"):
        DEVICE.require_range(1.0)
    short = Table(**fields(voltages_V=V[1:].tolist(), currents_A=measured(V[1:]).tolist()))
    with pytest.raises(ConfigurationError, match=r"measured up to 0\.7 V only"):
        short.require_range(0.8)


ROWS = measured(V).tolist()
HOLE = [*ROWS[:2], [float("nan"), *ROWS[2][1:]]]
SAGS = [[*ROWS[0][:-1], ROWS[0][-2] * 0.9], *ROWS[1:]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"voltages_V": [0.0]}, "voltages_V"),
        ({"voltages_V": V[::-1].tolist()}, "voltages_V do not ascend"),
        ({"voltages_V": [*V[:-1].tolist(), V[-2]]}, "voltages_V do not ascend"),
        ({"voltages_V": (V + 0.05).tolist()}, "they need 0 and positive ones too"),
        ({"voltages_V": (V - 1).tolist()}, "they need 0 and positive ones too"),
        ({"states_S": [1e-6, 3e-5, 4e-6]}, "states_S do not ascend"),
        ({"states_S": [1e-6, 3e-5]}, "3 rows for 2 states_S"),
        ({"states_S": [1e-3, 4e-3, 3e-2], "g_min_S": 1e-3, "g_max_S": 3e-2}, "amperes, voltages volts"),
        ({"currents_A": [*ROWS[:2], ROWS[2][1:]]}, "row 3 has 10 currents for 11 voltages_V"),
        ({"currents_A": HOLE}, "finite number"),
        ({"currents_A": SAGS}, "row 1 does not rise from 0.7 to 0.9 V"),
        ({"currents_A": (measured(V) + 1e-8).tolist()}, "row 1 has 1e-08 A at 0 V"),
        ({"currents_A": (-measured(V)).tolist()}, "wrong sign"),
        ({"currents_A": [ROWS[0], ROWS[0], ROWS[2]]}, "row 2 is not above row 1 at -1 V; states cross"),
        ({"v_read_V": 2.0}, "v_read_V = 2 is beyond"),
        ({"g_max_S": 4e-5}, "leave the states that were measured"),
        ({"g_min_S": 9e-7}, "leave the states that were measured"),
    ],
)  # fmt: skip
def test_a_table_that_no_device_has_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Table(**fields(**changed))


def test_a_table_in_a_toml(ptm90: Technology, tmp_path: Any) -> None:
    text = (ptm90.folder / "ptm90.toml").read_text()
    (tmp_path / "ptm90.lib").write_bytes(ptm90.library.read_bytes())
    content = "\n".join(f"{key} = {value}" for key, value in fields().items())
    path = tmp_path / "own.toml"
    path.write_text(f'{text[: text.index("[memristor]")]}[memristor]\nform = "table"\n{content}\n')
    technology = load_technology(path)
    assert technology.memristor == DEVICE
    other = path.read_text().replace(repr(ROWS[0][0]), repr(ROWS[0][0] * 1.01))
    path.write_text(other)
    assert load_technology(path).fingerprint != technology.fingerprint
    path.write_text(other.replace(repr(ROWS[1][1]), "nan"))
    with pytest.raises(TechnologyError, match="currents_A"):
        load_technology(path)
