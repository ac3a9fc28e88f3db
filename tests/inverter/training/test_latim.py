"""LATIM-style: where its one assumption holds it is Kirchhoff's law; its loads against the crossbar's own formula."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.loaded_vtc import LoadedVtc
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.latim import predicted_loads
from spicetrain.inverter.training.loop import train
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.output import solve_output
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.surrogates.extrapolation import Extrapolation, outside
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


def asked_outside(
    network: Network, technology: Technology, surrogates: Surrogates, dtype: torch.dtype, method: str
) -> Extrapolation:
    circuit = FittedCircuit(technology, surrogates, dtype)
    found = predict(network, np.full((2, network.layers[0]), 0.5), circuit, method, batch=1)
    return found.extrapolation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("layers", "factor"), [((4, 5, 3), 100.0), ((2, 1, 1), 1e4), ((3, 4, 2, 5), 100.0)])
def test_loads_beyond_the_measured_are_counted(
    layers: tuple[int, ...], factor: float, dtype: torch.dtype, ptm90: Technology, surrogates: Surrogates
) -> None:
    assert surrogates.loaded_vtc is not None
    _, high = surrogates.loaded_vtc.domain[1]
    network = random_network(ptm90, *layers)
    assert not asked_outside(network, ptm90, surrogates, dtype, "latim")
    boxes = [network.crossbars[0], *(scaled(crossbar, factor) for crossbar in network.crossbars[1:])]
    heavy = replace(network, crossbars=tuple(boxes))
    per_finger = np.concatenate(
        [
            np.concatenate([box.pos.sum(1) / size[:, 0], box.neg.sum(1) / size[:, 1]])
            for box, size in zip(boxes[1:], network.sizes[:-1], strict=True)
        ]
    )
    too_much = per_finger[per_finger > high]
    assert len(too_much) > 0
    found = asked_outside(heavy, ptm90, surrogates, dtype, "latim")
    assert found.count == {"loaded_vtc.g_load_S": len(too_much)}
    assert found.farthest["loaded_vtc.g_load_S"] == pytest.approx(too_much.max() - high, rel=1e-5, abs=0)
    assert f"loaded_vtc.g_load_S: {len(too_much)} values, by up to" in str(found)


def scaled(crossbar: Crossbar, factor: float) -> Crossbar:
    return Crossbar(*(factor * value for value in vars(crossbar).values()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resistors_to_mid_rail_count_at_every_inverter(
    dtype: torch.dtype, ptm90: Technology, surrogates: Surrogates
) -> None:
    """The output inverters too, and the end of the domain itself is inside."""
    assert surrogates.loaded_vtc is not None
    largest = surrogates.loaded_vtc.domain[1][1]
    network = random_network(ptm90, 4, 3, sizes=(1.0,))
    assert not asked_outside(replace(network, ground_S=largest), ptm90, surrogates, dtype, "latim-nn")
    found = asked_outside(replace(network, ground_S=1.5 * largest), ptm90, surrogates, dtype, "latim-nn")
    assert found.count == {"loaded_vtc.g_load_S": 3}
    assert found.farthest["loaded_vtc.g_load_S"] == pytest.approx(0.5 * largest, rel=1e-5, abs=0)


@pytest.mark.parametrize("shape", [(5, 3), (1, 1)])
def test_rows_unlike_the_measured_ones_are_counted(
    shape: tuple[int, int], ptm90: Technology, surrogates: Surrogates
) -> None:
    """Per row: the logarithm of its feedback, g^2 / (sum g mean S), and of its concentration, g^2 / (sum g)^2."""
    assert surrogates.effective_load is not None
    network = random_network(ptm90, 4, *shape)
    box = network.crossbars[1]
    if shape == (5, 3):
        assert not asked_outside(network, ptm90, surrogates, torch.float64, "latim-nn")
        box.neg[2] = [7e-6, 1e-12, 1e-12]  # one device carries the row
    logs = []
    for g in (box.pos, box.neg):
        square, total = (g**2).sum(1), g.sum(1)
        logs.append(np.log([square / (g @ box.column_sum), square / total**2]))
    found = asked_outside(network, ptm90, surrogates, torch.float64, "latim-nn")
    for k, name in enumerate(("log_feedback", "log_concentration")):
        low, high = surrogates.effective_load.domain[k]
        values = np.concatenate([of_rows[k] for of_rows in logs])
        excess = np.maximum(low - values, values - high)
        key = f"effective_load.{name}"
        assert found.count.get(key, 0) == (excess > 1e-6 * (high - low)).sum()
        assert key not in found.count or found.farthest[key] == pytest.approx(excess.max(), rel=1e-9)
        assert name == "log_feedback" or key in found.count
    assert all(name.startswith("effective_load.") for name in found.count)
    assert not asked_outside(network, ptm90, surrogates, torch.float64, "latim")


def test_a_summary_and_an_epoch_say_what_was_asked_outside(
    ptm90: Technology, surrogates: Surrogates, tmp_path: Path
) -> None:
    narrow = replace(surrogates, loaded_vtc=_up_to(surrogates, 1e-7))
    settings = TrainingSettings(method="latim", epochs=1, device="cpu", threads=1)
    shape = NetworkSettings(layers=(4, 5, 3), encoding="bipolar")
    train(shape, settings, load_dataset("iris"), ptm90, narrow, tmp_path)
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert 0 < line["extrapolated"]["loaded_vtc.g_load_S"] <= 10  # of five neurons, two inverters each


def _up_to(surrogates: Surrogates, g_load_S: float) -> LoadedVtc:
    vtc = surrogates.loaded_vtc
    assert vtc is not None
    v_in, (low, _), *others = vtc.domain
    return replace(vtc, domain=(v_in, (low, g_load_S), *others))


def test_what_is_no_number_is_outside_every_domain() -> None:
    found = outside("x", torch.tensor([[0.0, 1.0], [float("nan"), 1.2]]), (0.0, 1.0))
    assert found == Extrapolation({"x": 2}, {"x": float("inf")})
    assert not outside("x", torch.tensor([0.0, 1.0]), (0.0, 1.0))
    assert not outside("x", torch.zeros(0), (0.0, 1.0))


def test_what_is_not_fitted_is_named(ptm90: Technology, surrogates: Surrogates) -> None:
    without_vtc = FittedCircuit(ptm90, replace(surrogates, loaded_vtc=None))
    without_load = FittedCircuit(ptm90, replace(surrogates, effective_load=None))
    for method in ("latim", "latim-nn"):
        with pytest.raises(ConfigurationError, match=r"loaded_vtc.*section \[loaded_vtc\].*spicetrain fit-surrogates"):
            METHODS[method].predictor(without_vtc, [], 0.0, NoSettings())
    with pytest.raises(ConfigurationError, match=r"'latim-nn'.*effective_load.*section \[effective_load\]"):
        METHODS["latim-nn"].predictor(without_load, [], 0.0, NoSettings())
    METHODS["latim"].predictor(without_load, [], 0.0, NoSettings())
