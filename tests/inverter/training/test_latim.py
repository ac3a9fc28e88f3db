"""LATIM-style: where its one assumption holds it is Kirchhoff's law; its loads against the crossbar's own formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.latim import predicted_loads
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.stage import solve_output
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology
from spicetrain.training.settings import NoSettings

from .circuits import EXACT, random_crossbar, random_network


class ExactVtc:
    """The loaded curve from the current surface itself, in place of the small NN."""

    domain = ((-0.25, 0.25), (0.0, 1.0), (-0.25, 0.25))

    def __init__(self, inverters: Inverters) -> None:
        self.inverters = inverters

    def __call__(self, v_in: Tensor, g_load: Tensor, v_load: Tensor) -> Tensor:
        assert float(v_load) == 0.0
        loaded: Any = replace(self.inverters, ground_S=g_load)  # type: ignore[arg-type]
        return solve_output(v_in, torch.ones_like(g_load), loaded, EXACT).v_out

    def to(self, *_: Any) -> ExactVtc:
        return self


def held_at_mid_rail(technology: Technology) -> Network:
    """A network whose second crossbar's columns bias devices of 1000 S hold at mid-rail."""
    network = random_network(technology, 4, 3, 5, encoding="bipolar")
    stiff = np.full(5, 1e3)
    second = replace(network.crossbars[1], bias_pos=stiff, bias_neg=stiff)
    return replace(network, crossbars=(network.crossbars[0], second))


@pytest.mark.parametrize("ground_S", [0.0, 1e-5])
def test_with_columns_at_mid_rail_it_is_kirchhoffs_law(
    ground_S: float, ptm90: Technology, circuit: FittedCircuit, inverters: Inverters
) -> None:
    network = replace(held_at_mid_rail(ptm90), ground_S=ground_S)
    exact: Any = ExactVtc(inverters)
    circuit = replace(circuit, surrogates=replace(circuit.surrogates, loaded_vtc=exact))
    inputs = np.random.default_rng(4).random((9, 4))
    (kcl, _), (latim, last) = (predict(network, inputs, circuit, method).layers for method in ("kcl", "latim"))
    torch.testing.assert_close(latim.v_n, kcl.v_n, rtol=0, atol=1e-7)
    torch.testing.assert_close(latim.v_p, kcl.v_p, rtol=0, atol=1e-6)
    unloaded = predict(random_network(ptm90, 4, 3, 5, encoding="bipolar"), inputs, circuit, "rim").layers[0]
    assert float((unloaded.v_n - kcl.v_n).abs().max()) > 0.02
    assert last.v_n.shape == (9, 5)


def test_the_fitted_curve_does_what_ngspice_does(ptm90: Technology, surrogates: Surrogates, ngspice: Ngspice) -> None:
    network, inputs = held_at_mid_rail(ptm90), np.random.default_rng(4).random((9, 4))
    hidden = predict(network, inputs, FittedCircuit(ptm90, surrogates, torch.float64), "latim").layers[0]
    spice = simulate(network_deck(network, ptm90, inputs, "reduced", hidden=True), ngspice).values
    errors = [abs(spice[f"v(n0_{j})"] - hidden.v_n[:, j].numpy()) for j in range(3)]
    assert np.max(errors) < 5e-3  # the test's own fit is good to 1 mV
    assert float(hidden.v_n.std()) > 0.1


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 8)])
def test_predicted_loads_are_nearer_to_the_crossbars_own(
    shape: tuple[int, int], ptm90: Technology, surrogates: Surrogates
) -> None:
    """With the other rows held, a row sees sum g (1 - g / S)."""
    assert surrogates.effective_load is not None
    crossbar = Conductances.of(random_crossbar(ptm90, *shape, seed=5), torch.float64)
    found, sums = predicted_loads(surrogates.effective_load, crossbar), crossbar.row_sums()
    for g, load, most in zip(crossbar[:2], found, sums, strict=True):
        exact = (g * (1 - g / crossbar.column_sum())).sum(1)
        torch.testing.assert_close(most, g.sum(1))
        assert bool((load <= most).all())
        assert float((load / exact).log().abs().max()) < 0.35
        assert float((load - exact).abs().mean()) < 0.5 * float((most - exact).abs().mean())


def test_a_load_beyond_the_measured_is_taken_for_the_largest(ptm90: Technology, surrogates: Surrogates) -> None:
    assert surrogates.loaded_vtc is not None
    circuit = FittedCircuit(ptm90, surrogates, torch.float64)
    network, inputs = random_network(ptm90, 4, 3, sizes=(1,)), np.random.default_rng(0).random((5, 4))
    largest = surrogates.loaded_vtc.domain[1][1]
    at, beyond = (
        predict(replace(network, ground_S=g), inputs, circuit, "latim").layers[0].v_n for g in (largest, 10 * largest)
    )
    assert torch.equal(at, beyond)
    below = predict(replace(network, ground_S=largest / 2), inputs, circuit, "latim").layers[0].v_n
    assert float((at - below).abs().max()) > 1e-3


def test_what_is_not_fitted_is_named(ptm90: Technology, surrogates: Surrogates) -> None:
    without_vtc = FittedCircuit(ptm90, replace(surrogates, loaded_vtc=None))
    without_load = FittedCircuit(ptm90, replace(surrogates, effective_load=None))
    for method in ("latim", "latim-nn"):
        with pytest.raises(ConfigurationError, match=r"loaded_vtc.*section \[loaded_vtc\].*spicetrain fit-surrogates"):
            METHODS[method].predictor(without_vtc, [], 0.0, NoSettings())
    with pytest.raises(ConfigurationError, match=r"'latim-nn'.*effective_load.*section \[effective_load\]"):
        METHODS["latim-nn"].predictor(without_load, [], 0.0, NoSettings())
    METHODS["latim"].predictor(without_load, [], 0.0, NoSettings())
