"""Outputs that only integrate: in the circuit, in the regular model, in scores and in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ideal_laws import ideal_laws
from interrupted import metrics

from spicetrain.array.conductances import Conductances
from spicetrain.errors import ConfigurationError
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.calibrate import calibrated
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.training.readout import SWINGS, scores
from spicetrain.spiking.verification.figures import accuracies, classes, compare_spikes
from spicetrain.spiking.verification.tables import drawn_neurons
from spicetrain.technology import Technology

from .simple import lif, random_crossbar, random_spikes, simple_laws
from .test_loop import CIRCUIT, LAWS, Trainer

SHAPE = SpikingNetworkSettings(layers=(4, 6, 3), steps=8, readout="integrator")


@pytest.fixture
def train(ptm90: Technology) -> Trainer:
    return Trainer(ptm90)


@pytest.mark.parametrize(("array", "driven"), [("1r", False), ("1r", True), ("1t1r", False)])
def test_it_is_a_layer_whose_threshold_no_membrane_reaches(array: str, driven: bool, ptm90: Technology) -> None:
    """The same laws; only that nothing fires, and nothing is reset."""
    circuit = load_circuit(f"lif-{array}").changed((0.01,), (1e-12,))
    circuit = circuit.model_copy(update={"inputs": "driven" if driven else "ideal"})
    laws = ideal_laws(circuit, leak_S=3e-6, driver_S=1e-3)
    g = Conductances.of(random_crossbar(ptm90.memristor, 5, 3), torch.float64)
    spikes = torch.as_tensor(random_spikes(4, 9, 5)).transpose(0, 1).double()
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64)
    fired, v, _ = circuit_layer(spikes, g, 0, 0.01, replace(fitted, integrator=0))
    _, unreached, _ = circuit_layer(spikes, g, 0, 10.0, fitted)
    again, reset, _ = circuit_layer(spikes, g, 0, 0.01, replace(fitted, integrator=1))
    assert not fired.any() and again.any()
    torch.testing.assert_close(v, unreached, rtol=0, atol=1e-12)
    assert float((v - reset).abs().max()) > 0.01


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_scores_and_the_class_are_of_the_last_membrane(method: str, ptm90: Technology) -> None:
    crossbars = random_crossbar(ptm90.memristor, 5, 4), random_crossbar(ptm90.memristor, 4, 3, seed=1)
    about = {"readout": "integrator", "regular": {"beta": 0.9}, "regular_thresholds_V": [0.02, 0.03]}
    network = SpikingNetwork(crossbars, (0.02, 0.03), about)
    circuit = lif(capacitance_F=(1e-12,))
    spikes = random_spikes(7, 12, 5)
    (fired, _), (outputs, v) = layers = predict(network, spikes, circuit, simple_laws(circuit), method)
    assert fired.any() and not outputs.any()
    if method == "regular":  # by hand
        box, membrane = crossbars[1], np.zeros((7, 3))
        per_spike = circuit.clock.integrate_s / circuit.capacitance_F(1) * 0.5
        for step in range(12):
            drive = fired[:, step] @ (box.pos - box.neg) + (box.bias_pos - box.bias_neg)
            membrane = 0.9 * membrane + per_spike * drive
            np.testing.assert_allclose(v[:, step], membrane, rtol=0, atol=1e-12)
    last = v[:, -1]
    assert classes(layers, network).tolist() == [row.tolist().index(max(row)) for row in last]
    fired_last, membranes = (torch.as_tensor(a).double().transpose(0, 1) for a in (outputs, v))
    answer = LayerResponse(fired_last, membranes)
    found = scores(answer, "integrator", 0.03).numpy()
    np.testing.assert_allclose(found[:, 1] - found[:, 0], 12 * (last[:, 1] - last[:, 0]) / (SWINGS * 0.03), rtol=1e-9)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-9)
    labels = last.argmax(1)
    figures = accuracies(layers, layers, layers, labels, network)
    assert (figures["accuracy_spice"], figures["tie_rate"]) == (1.0, 0.0)
    compared = compare_spikes(layers, [(~fired, layers[0][1]), layers[1]], integrator=1)
    assert compared["spike_agreement"] == 0.0 and compared["spike_agreement_by_layer"] == [0.0, None]
    assert compare_spikes(layers[1:], layers[1:], integrator=0)["spike_agreement"] == 1.0
    highest = [(1, int(j)) for j in last[2].argsort()[::-1][:2]]
    assert list(drawn_neurons(layers, 2, 1))[-2:] == highest


def test_a_tie_is_what_the_read_out_leaves_open() -> None:
    """As many spikes: open for the counters, not for the comparators unless membranes are equal."""
    spikes, v = np.zeros((3, 2, 3), bool), np.zeros((3, 2, 3))
    spikes[:, 0, :2] = True
    v[0, -1], v[1, -1], v[2, -1] = (0.01, 0.02, 0.03), (0.02, 0.02, 0.03), (0.03, 0.0, 0.03)
    layers, labels = [(spikes, v)], np.zeros(3, int)
    found = {
        readout: accuracies(layers, layers, layers, labels, SpikingNetwork((), (), {"readout": readout}))["tie_rate"]
        for readout in ("counts", "membrane")
    }
    assert found == {"counts": 1.0, "membrane": pytest.approx(1 / 3)}


@pytest.mark.parametrize("encoder", ["dither", "direct"])
@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_learns_iris(method: Any, encoder: Any, train: Trainer, tmp_path: Path) -> None:
    shape = SHAPE.model_copy(update={"layers": (4, 10, 3), "encoder": encoder})
    network = train(tmp_path, shape, epochs=10, learning_rate=0.1, method=method)
    line = metrics(tmp_path)[-1]
    assert network.about["readout"] == "integrator" and network.integrator == 1
    answers = predict(network, encode(train.iris.test_inputs, shape, 0), CIRCUIT, LAWS, method)
    found = float((classes(answers, network) == train.iris.test_labels).mean())
    assert found > 0.7 and line["accuracy_test"] == pytest.approx(found, abs=0.04)
    assert line["tie_rate_test"] == 0 and line["spike_rates"][1] == 0


def test_calibration_leaves_the_integrators_threshold(ptm90: Technology) -> None:
    crossbars = random_crossbar(ptm90.memristor, 5, 4), random_crossbar(ptm90.memristor, 4, 3, seed=1)
    about = {"regular": {"beta": 0.9}, "regular_thresholds_V": [0.02, 0.03]}
    circuit, spikes = lif(capacitance_F=(1e-12,)), random_spikes(7, 12, 5)
    both = [
        calibrated(SpikingNetwork(crossbars, (0.02, 0.03), about | more), spikes, circuit, simple_laws(circuit))
        for more in ({}, {"readout": "integrator"})
    ]
    assert both[0].thresholds_V[0] == both[1].thresholds_V[0] != 0.02
    assert both[0].thresholds_V[1] != 0.03 == both[1].thresholds_V[1]


def test_an_integrator_need_not_reach_its_threshold(train: Trainer, tmp_path: Path) -> None:
    """A capacitor far too large for the outputs to fire."""
    circuit = lif(capacitance_F=(1e-12, 1e-6))
    with pytest.raises(ConfigurationError, match="too short to charge layer 2"):
        train(tmp_path, SHAPE.model_copy(update={"readout": "counts"}), circuit=circuit, epochs=1)
    assert train(tmp_path, SHAPE, circuit=circuit, epochs=1).integrator == 1
