"""PHAX-style and RIM-style curves: the loaded curve against ngspice, the fits against their own optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import InverterExperiment
from spicetrain.inverter.netlists.cells import MID, add_ground_resistor, add_inverter, new_circuit
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.phax import PhaxSettings
from spicetrain.inverter.training.tanh_vtc import TanhVtc, fit_tanh, loaded_curve, tanh_pairs
from spicetrain.netlists.cells import text_of
from spicetrain.rails import Rails
from spicetrain.schema import parse
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

from .circuits import random_network

LOADS_S = [0.0, 5e-6, 5e-5]
V_IN = torch.linspace(-0.25, 0.25, 2001, dtype=torch.float64)


def curve(inverters: Inverters, pair: tuple[float, float], load_S: float, kind: int) -> NDArray:
    """v_n (kind 0) or v_p (1) over V_IN, volts."""
    v = V_IN
    for fingers in pair[: kind + 1]:
        v = loaded_curve(inverters, v, torch.tensor([fingers], dtype=torch.float64), load_S)[:, 0]
    return v.numpy()


def rms(fit: TanhVtc, expected: NDArray, **changes: Tensor) -> float:
    found = replace(fit, **changes)(V_IN[:, None])[:, 0].numpy()
    return float(np.sqrt(np.mean((found - expected) ** 2)))


@pytest.mark.parametrize(("fingers", "load_S"), [(1.0, 5e-6), (8.0, 5e-5), (3.0, 0.0)])
def test_the_loaded_curve_is_that_of_ngspice(
    fingers: float, load_S: float, ptm90: Technology, inverters: Inverters, ngspice: Ngspice
) -> None:
    circuit = new_circuit(ptm90)
    circuit.V("in", "v_in", circuit.gnd, 0.0)
    circuit.V(MID, MID, circuit.gnd, ptm90.rails.mid_V)
    add_inverter(circuit, "unit", "v_in", "v_out", fingers)
    add_ground_resistor(circuit, "v_out", load_S)
    deck = Deck(text_of(circuit), ".dc vin -0.25 0.25 0.01", ("v(v_out)",), 51, temperature_C=ptm90.temperature_C)
    v_in = torch.linspace(-0.25, 0.25, 51, dtype=torch.float64)
    found = loaded_curve(inverters, v_in, torch.tensor([fingers], dtype=torch.float64), load_S)
    np.testing.assert_allclose(found[:, 0], simulate(deck, ngspice).values["v(v_out)"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("load_S", LOADS_S)
@pytest.mark.parametrize("free", [False, True])
def test_no_other_tanh_is_nearer(free: bool, load_S: float, circuit: FittedCircuit) -> None:
    pair = (8.0, 2.0)
    fits = tanh_pairs(circuit, torch.tensor([pair]), load_S, free=free)
    for kind, fit in enumerate(fits):
        expected = curve(circuit.exact_inverters, pair, load_S, kind)
        best, steps = rms(fit, expected), {"slope": 0.02 * fit.slope, "shift": 2e-4 * torch.ones(1)}
        assert best < 0.03
        if free:
            steps |= {"amplitude": 0.01 * fit.amplitude, "offset": 1e-3 * torch.ones(1)}
        else:
            assert (float(fit.amplitude), float(fit.offset)) == (0.25, 0.0)
        for name, step in steps.items():
            for sign in (-1, 1):
                assert rms(fit, expected, **{name: getattr(fit, name) + sign * step}) > best


@pytest.mark.parametrize("load_S", LOADS_S)
def test_four_coefficients_fit_at_least_as_well_as_two(load_S: float, circuit: FittedCircuit) -> None:
    pair = (4.0, 1.0)
    two, four = (tanh_pairs(circuit, torch.tensor([pair]), load_S, free=free) for free in (False, True))
    for kind in (0, 1):
        expected = curve(circuit.exact_inverters, pair, load_S, kind)
        assert rms(four[kind], expected) < 0.995 * rms(two[kind], expected)


def test_a_tanh_is_found_again_between_any_rails(made_up: Technology) -> None:
    x = np.linspace(0.0, 0.6, 500)
    for offset, amplitude, slope, shift in ((0.28, 0.25, -11.0, 0.33), (0.31, 0.29, 40.0, 0.27)):
        y = offset + amplitude * np.tanh(slope * (x - shift))
        np.testing.assert_allclose(
            fit_tanh(x, y, made_up.rails, free=True), [offset, amplitude, slope, shift], rtol=1e-6
        )
        y = 0.3 + 0.3 * np.tanh(slope * (x - shift))
        np.testing.assert_allclose(fit_tanh(x, y, made_up.rails, free=False), [0.3, 0.3, slope, shift], rtol=1e-6)


def test_the_load_goes_to_mid_rail(inverters: Inverters) -> None:
    """The same inverter with both rails 0.4 V higher has the same curve, 0.4 V higher."""
    up, one = 0.4, torch.ones(1, dtype=torch.float64)
    lifted = replace(
        inverters,
        current=lambda v_in, v_out: inverters.current(v_in - up, v_out - up),
        coarse=lambda v_in, v_out: inverters.coarse(v_in - up, v_out - up),
        vtc=lambda v_in: inverters.vtc(v_in - up) + up,
        rails=Rails(vdd_V=inverters.rails.vdd_V + up, vss_V=inverters.rails.vss_V + up),
    )
    expected = loaded_curve(inverters, V_IN, one, 2e-5) + up
    torch.testing.assert_close(loaded_curve(lifted, V_IN + up, one, 2e-5), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["phax", "rim"])
def test_every_pair_has_the_curves_of_its_own_sizes(method: str, ptm90: Technology, circuit: FittedCircuit) -> None:
    network = random_network(ptm90, 3, 4, 2, sizes=(1, 1))
    network.sizes[0][:] = [[8, 1], [1, 8], [8, 1], [2, 2]]
    network.sizes[1][:] = [[3], [1]]
    inputs, ground_S = np.random.default_rng(0).random((6, 3)), 1e-5
    free, frozen_S = method == "rim", 7e-6
    settings = None if free else PhaxSettings(load_S=frozen_S)
    hidden, last = predict(replace(network, ground_S=ground_S), inputs, circuit, method, settings).layers
    hidden_S = ground_S if free else ground_S + frozen_S
    for j, pair in enumerate(network.sizes[0]):
        to_n, to_p = tanh_pairs(circuit, torch.from_numpy(pair[None]), hidden_S, free=free)
        torch.testing.assert_close(to_n(hidden.v_col[:, j]), hidden.v_n[:, j])
        torch.testing.assert_close(to_p(hidden.v_col[:, j]), torch.as_tensor(hidden.v_p)[:, j])
    for j, size in enumerate(network.sizes[1]):
        (to_out,) = tanh_pairs(circuit, torch.from_numpy(size[None]), ground_S, free=free)
        torch.testing.assert_close(to_out(last.v_col[:, j]), last.v_n[:, j])


def test_rim_without_its_resistors_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"a.toml: training.method = 'rim' needs.*network.ground_ohm, e.g. 1e5"
    ):
        parse(InverterExperiment, {"training": {"method": "rim"}}, "a.toml")
    settings = {"training": {"method": "rim"}, "network": {"ground_ohm": 1e5}}
    assert parse(InverterExperiment, settings, "a.toml").network.ground_S == pytest.approx(1e-5)
