"""What a programmed network answers, in both models, and the thresholds that a regular one gets on the circuit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.calibrate import calibrated
from spicetrain.spiking.training.neuron_bias import tuned
from spicetrain.spiking.training.predict import predict
from spicetrain.technology import Technology

from .simple import lif, random_crossbar, random_spikes, simple_laws

BETA = 0.9
CIRCUIT = lif(capacitance_F=(1e-12,))  # a column of few rows charges no more


def network_of(memristor: Device, thresholds_V: tuple[float, ...], *layers: int) -> SpikingNetwork:
    crossbars = tuple(random_crossbar(memristor, *shape, seed=i) for i, shape in enumerate(pairwise(layers)))
    return SpikingNetwork(
        crossbars, thresholds_V, {"regular": {"beta": BETA}, "regular_thresholds_V": list(thresholds_V)}
    )


@pytest.fixture
def network(ptm90: Technology) -> SpikingNetwork:
    return network_of(ptm90.memristor, (0.02, 0.03), 5, 3, 4)


def test_regular_network_layer_by_layer_in_numpy(network: SpikingNetwork) -> None:
    circuit, spikes = CIRCUIT, random_spikes(7, 15, 5)
    answers = predict(network, spikes, circuit, None, "regular")
    signal = spikes.astype(float)
    for layer, (crossbar, (fired, v)) in enumerate(zip(network.crossbars, answers, strict=True)):
        per_spike = (circuit.clock.integrate_s / circuit.capacitance_F(layer)) * 0.5
        v_now = np.zeros((7, crossbar.columns))
        for step in range(15):
            bias = crossbar.bias_pos - crossbar.bias_neg
            v_now = BETA * v_now + per_spike * (signal[:, step] @ (crossbar.pos - crossbar.neg) + bias)
            np.testing.assert_allclose(v[:, step], v_now, rtol=0, atol=1e-12)
            assert np.array_equal(fired[:, step], v_now > network.thresholds_V[layer])
            v_now = np.where(fired[:, step], 0.0, v_now)
        assert fired.dtype == np.bool_ and v.dtype == np.float64
        assert 0.02 < fired.mean() < 0.98
        signal = fired.astype(float)


def test_circuit_layer_by_layer_in_numpy(network: SpikingNetwork) -> None:
    """Columns between stiff sources: the exponential of their conductances, edges in their middle."""
    circuit = CIRCUIT
    spikes, clock = random_spikes(7, 15, 5), circuit.clock
    answers = predict(network, spikes, circuit, simple_laws(circuit))
    signal = spikes.astype(float)
    for layer, (crossbar, (fired, v)) in enumerate(zip(network.crossbars, answers, strict=True)):
        C, G, v_now = circuit.capacitance_F(layer), crossbar.column_sum, np.zeros((7, crossbar.columns))
        for step in range(15):
            pull = 0.5 * (signal[:, step] @ (crossbar.pos - crossbar.neg) + crossbar.bias_pos - crossbar.bias_neg)
            v_now = pull / G + (v_now - pull / G) * np.exp(-G * (clock.integrate_s - clock.edge_s / 2) / C)
            # Rows behind 100 Ohm sag by their 40 uS at most: a part in 250 of what they drive.
            np.testing.assert_allclose(v[:, step], v_now, rtol=0, atol=1e-8 if layer == 0 else 2e-3)
            if layer == 0:
                assert np.array_equal(fired[:, step], v_now > network.thresholds_V[layer])
            v_now = pull / G + (v[:, step] - pull / G) * np.exp(-G * clock.edge_s / 2 / C)
            v_now = np.where(fired[:, step], 0.0, v_now * np.exp(-G * clock.rest_s / C))
        assert 0.02 < fired.mean() < 0.98
        signal = fired.astype(float)


@pytest.mark.parametrize("model", ["circuit", "regular"])
def test_batches_change_nothing(model: str, network: SpikingNetwork) -> None:
    circuit, spikes = CIRCUIT, random_spikes(7, 6, 5)
    whole, parts = (predict(network, spikes, circuit, simple_laws(circuit), model, batch=batch) for batch in (7, 3))
    for (fired, v), (fired_too, v_too) in zip(whole, parts, strict=True):
        assert fired.shape == v.shape and fired.shape[:2] == (7, 6)
        assert np.array_equal(fired, fired_too)
        np.testing.assert_allclose(v, v_too, atol=1e-14)


def test_what_is_missing_is_said(network: SpikingNetwork) -> None:
    circuit, spikes = CIRCUIT, random_spikes(2, 3, 5)
    with pytest.raises(ArchitectureMismatch, match=r"\(2, 3, 4\) for a network of 5 rows"):
        predict(network, spikes[:, :, :4], circuit, None, "regular")
    with pytest.raises(ConfigurationError, match="give laws"):
        predict(network, spikes, circuit, None)
    with pytest.raises(ConfigurationError, match="does not state 'beta'"):
        predict(replace(network, about={}), spikes, circuit, None, "regular")


def test_a_network_of_an_older_version_states_its_decay_beside_the_rest(network: SpikingNetwork) -> None:
    spikes = random_spikes(2, 6, 5)
    thresholds_V = {"regular_thresholds_V": list(network.thresholds_V)}
    older = replace(network, about=thresholds_V | {"beta": BETA})
    other = replace(network, about=thresholds_V | {"beta": 0.5})
    now, then, not_so = (predict(each, spikes, CIRCUIT, None, "regular")[0][1] for each in (network, older, other))
    assert np.array_equal(now, then) and not np.array_equal(now, not_so)


def rates(network: SpikingNetwork, spikes: np.ndarray, circuit: SpikingCircuit, model: str) -> list[float]:
    laws = simple_laws(circuit)
    return [float(fired.mean()) for fired, _ in predict(network, spikes, circuit, laws, model)]


def test_calibrated_layers_spike_as_often_as_the_regular_ones(network: SpikingNetwork) -> None:
    """At thresholds so high that the current of a spike falls on the way to them."""
    circuit, spikes = CIRCUIT, random_spikes(300, 15, 5)
    network = replace(network, thresholds_V=(0.06, 0.08), about=network.about | {"regular_thresholds_V": [0.06, 0.08]})
    before = rates(network, spikes, circuit, "circuit")
    made = calibrated(network, spikes, circuit, simple_laws(circuit))
    wanted, reached = (rates(made, spikes, circuit, model) for model in ("regular", "circuit"))
    assert wanted == rates(network, spikes, circuit, "regular")
    np.testing.assert_allclose(reached, wanted, rtol=0.01)  # of few rows, rates go in steps
    assert min(np.abs(np.array(before) / wanted - 1)) > 0.1
    assert made.about["spike_rates"] == {"regular": wanted, "circuit": reached}
    assert made.about["regular_thresholds_V"] == network.about["regular_thresholds_V"]
    assert all(circuit.rest_V < threshold_V < circuit.rails.vdd_V for threshold_V in made.thresholds_V)


def test_where_the_array_is_linear_calibration_finds_the_regular_thresholds(ptm90: Technology) -> None:
    """A capacitor that no column discharges, a threshold far below V_S: then both models are the same."""
    circuit, spikes = lif(capacitance_F=(2e-10,)), random_spikes(300, 40, 5)
    plain = network_of(ptm90.memristor, (2e-3,), 5, 3)
    network = replace(plain, thresholds_V=(0.3,), about=plain.about | {"regular": {"beta": 1 - 1e-9}})
    made = calibrated(network, spikes, circuit, simple_laws(circuit))
    assert made.thresholds_V[0] == pytest.approx(2e-3, rel=0.03)


def by_neuron(network: SpikingNetwork, spikes: Any, circuit: SpikingCircuit, model: str) -> list[np.ndarray]:
    laws = None if model == "regular" else simple_laws(circuit)
    return [fired.mean((0, 1)) for fired, _ in predict(network, spikes, circuit, laws, model)]


def test_calibrated_neurons_spike_each_as_often_as_the_regular_ones(ptm90: Technology) -> None:
    """Where thresholds alone leave most of them off; the regular model is of the biases that it was trained with."""
    circuit, spikes = CIRCUIT, random_spikes(200, 15, 5)
    network = network_of(ptm90.memristor, (0.06, 0.08), 5, 7, 4)
    by_layer = calibrated(network, spikes, circuit, simple_laws(circuit))
    made = calibrated(network, spikes, circuit, simple_laws(circuit), memristor=ptm90.memristor)
    assert made.thresholds_V[0] == by_layer.thresholds_V[0]
    wanted = by_neuron(network, spikes, circuit, "regular")
    for a, b in zip(wanted, by_neuron(made, spikes, circuit, "regular"), strict=True):
        np.testing.assert_array_equal(a, b)
    for layer, (before, after) in enumerate(
        zip(*(by_neuron(one, spikes, circuit, "circuit") for one in (by_layer, made)), strict=True)
    ):
        off_before, off_after = (np.abs(one - wanted[layer]) for one in (before, after))
        assert off_after.max() < 0.02  # of few rows, rates go in steps
        assert layer > 0 or off_after.mean() < 0.3 * off_before.mean() > 0.003
        box, old = made.crossbars[layer], network.crossbars[layer]
        assert np.array_equal(box.pos, old.pos) and np.array_equal(box.neg, old.neg)
        for g in (box.bias_pos, box.bias_neg):
            assert (g >= ptm90.memristor.g_min_S).all() and (g <= ptm90.memristor.g_max_S).all()
    assert made.about["spike_rates"]["circuit"] == rates(made, spikes, circuit, "circuit")


def test_a_neuron_that_is_right_is_left_alone_and_one_out_of_reach_comes_near(ptm90: Technology) -> None:
    """A rate that is a line of the bias: the closed form."""
    device, columns = ptm90.memristor, 4
    g = Conductances.of(random_crossbar(device, 2, columns), torch.float64)
    span_S = device.g_max_S - device.g_min_S

    def spikes(of: Conductances) -> torch.Tensor:
        return ((of.bias_pos - of.bias_neg) / span_S + 1).div(2)[None, None]

    now = spikes(g)[0, 0]
    wanted = torch.tensor([float(now[0]), 0.75, 0.125, 1.5], dtype=torch.float64)
    made = tuned(spikes, g, wanted, device)
    assert made.bias_pos[0] == g.bias_pos[0] and made.bias_neg[0] == g.bias_neg[0]
    torch.testing.assert_close(spikes(made)[0, 0], wanted.clamp(max=1.0), atol=2.0**-11, rtol=0)
    assert made.pos is g.pos and made.neg is g.neg
