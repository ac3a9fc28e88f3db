"""Membranes with the charge of their transistors, against scipy's integration of the whole equation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ideal_laws import ideal_laws
from scipy.integrate import solve_ivp

from spicetrain.array.crossbar import Crossbar
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.predict import predict

C, MEAN, BUMP, WIDTH = 1e-12, 3e-14, 2e-15, 0.02  # the bump is 0.1 pF at its top: a tenth of C


def laws_with_charge(circuit: SpikingCircuit, trip: float) -> SpikingLaws:
    grid = np.linspace(-0.3, 0.3, 481)
    excess = BUMP * (np.tanh((grid - trip) / WIDTH) + np.tanh(trip / WIDTH))
    laws = replace(ideal_laws(circuit), neuron_F=(MEAN,), neuron_excess_C=(excess,))
    return replace(laws, domains={**laws.domains, "charge": (-0.3, 0.3)})


def exactly(u: float, goal: float, g: float, t: float, trip: float) -> float:
    """u after t seconds of (C + c(u)) du/dt = g (goal - u)."""

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        c = MEAN + BUMP / WIDTH / np.cosh((u - trip) / WIDTH) ** 2
        return g * (goal - u) / (C + c)

    return float(solve_ivp(rate, (0, t), [u], rtol=1e-10, atol=1e-13).y[0, -1])


@pytest.mark.parametrize("shift", [0.0, 0.03])
def test_a_membrane_goes_as_far_as_its_charge_says(shift: float) -> None:
    circuit, trip, g = load_circuit("lif-1r"), 0.02, 5e-5
    fitted = FittedSpikingCircuit(circuit, laws_with_charge(circuit, trip), torch.float64)
    charge = NeuronCharge.of(fitted, 0, shift)
    assert charge is not None
    starts, goals = np.meshgrid([-0.05, 0.0, 0.01, 0.03], [-0.04, 0.0, 0.02, 0.1])
    before, goal, t = torch.tensor(starts.ravel()), torch.tensor(goals.ravel()), 8e-9
    whole = C + MEAN
    after = goal + (before - goal) * np.exp(-g * t / whole)
    found = charge.corrected(before, after, g * (goal - after) / whole, whole, t)
    truth = np.array([exactly(float(a), float(b), g, t, trip + shift) for a, b in zip(before, goal, strict=True)])
    plain, left = np.abs(after.numpy() - truth).max(), np.abs(found.numpy() - truth).max()
    assert plain > 5e-4 and left < plain / 8


def test_a_membrane_that_stands_still_stays() -> None:
    circuit = load_circuit("lif-1r")
    charge = NeuronCharge.of(FittedSpikingCircuit(circuit, laws_with_charge(circuit, 0.02), torch.float64), 0, 0.0)
    assert charge is not None
    u = torch.linspace(-0.4, 0.4, 9, dtype=torch.float64, requires_grad=True)
    found = charge.corrected(u, u, torch.zeros_like(u), C, 1e-8)
    assert torch.equal(found, u)
    (gradient,) = torch.autograd.grad(found.sum(), u)
    assert torch.equal(gradient, torch.ones_like(u))


def test_in_training_and_without_the_law_there_is_none() -> None:
    circuit = load_circuit("lif-1r")
    laws = laws_with_charge(circuit, 0.02)
    assert NeuronCharge.of(FittedSpikingCircuit(circuit, laws), 0, 0.0) is None
    assert NeuronCharge.of(FittedSpikingCircuit(circuit, ideal_laws(circuit), torch.float64), 0, 0.0) is None


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_every_layer_has_its_neurons_charge(array: str) -> None:
    """With ideal and with driven rows, and with cells: transistors that hold more keep the membranes down."""
    circuit, rng = load_circuit(f"lif-{array}"), np.random.default_rng(0)
    crossbars = []
    for rows, columns in ((5, 3), (3, 2)):
        pos, neg = rng.uniform(1e-6, 5e-6, (2, rows + 1, columns))
        crossbars.append(Crossbar(2 * pos[:-1], neg[:-1], pos[-1], neg[-1]))
    network, spikes = SpikingNetwork(tuple(crossbars), (0.3, 0.3)), np.ones((1, 2, 5), bool)
    # In the circuit's own neuron; these thresholds move it to 20 mV.
    plain, held = ideal_laws(circuit), laws_with_charge(circuit, 0.02 + circuit.threshold_V(0) - 0.3)
    constant = replace(held, neuron_excess_C=())
    of = {name: predict(network, spikes, circuit, laws) for name, laws in
          {"plain": plain, "constant": constant, "held": held}.items()}  # fmt: skip
    for layer in range(2):
        without, mean, whole = (of[name][layer][1] for name in ("plain", "constant", "held"))
        assert (np.abs(mean) < np.abs(without)).all()
        assert (np.abs(mean - whole) > 1e-6).all()
