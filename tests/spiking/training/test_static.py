"""Layers whose inputs never change, against the same in time and against differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ideal_laws import ideal_laws
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.regular_layer import leaky
from spicetrain.spiking.training.static import firing_rate, settled

from .test_circuit_layer import circuit_of, conductances, strange_laws

STEPS = 400


def test_rate_is_that_of_a_leaky_neuron() -> None:
    """Counted over many steps; a spike a step is the most, and around the threshold the rate is smooth."""
    beta = 0.8
    z = torch.tensor([-2.0, 0.5, 1.3, 1.5, 2.0, 3.0, 8.0], dtype=torch.float64)
    weights = torch.stack([torch.zeros_like(z), z * (1 - beta)])
    spikes, _ = leaky(torch.zeros(STEPS, 1, 1, dtype=torch.float64), weights, beta, 3.0)
    counted, ours = spikes.mean(0)[0], firing_rate(z, -float(np.log(beta)))
    assert float(ours[0]) < 1e-8 and float(ours[1]) < 0.02 and float(ours.max()) <= 1
    torch.testing.assert_close(ours[2:], counted[2:], rtol=0.2, atol=0.02)
    assert (ours.diff() > 0).all()


def test_a_reset_that_leaves_something_makes_a_neuron_fire_oftener() -> None:
    beta, left = 0.9, 0.6
    z = torch.tensor([1.2, 1.6, 2.5], dtype=torch.float64)
    u, counted = torch.zeros_like(z), torch.zeros_like(z)
    for _ in range(STEPS):
        u = z + beta * (u - z)
        counted, u = counted + (u > 1), torch.where(u > 1, left * u, u)
    x = -float(np.log(beta))
    torch.testing.assert_close(firing_rate(z, x, left), counted / STEPS, rtol=0.2, atol=0.02)
    assert (firing_rate(z, x) < 0.8 * counted / STEPS).all()


def test_far_below_the_threshold_there_is_no_rate_and_no_gradient() -> None:
    z = torch.tensor([-1e3, -20.0], requires_grad=True)
    rate = firing_rate(z, 0.3)
    rate.sum().backward()
    assert z.grad is not None and float(rate.abs().max()) < 1e-20 and float(z.grad.abs().max()) < 1e-20


@pytest.mark.parametrize(("array", "g_of"), [("1r", 1.0), ("1t1r", 0.08)])
def test_membranes_settle_where_they_do_in_time(array: str, g_of: float) -> None:
    """Of rows that spike in every step, or never: no other rates stand still in time."""
    g = Conductances(*(g_of * part for part in conductances(5, 3)))
    circuit = circuit_of(array, 0.05, float(g.column_sum().mean()) * 2e-7)
    uncoupled = replace(strange_laws(circuit), cell_on_C=0.0, cell_off_C=0.0, cell_off_F=7e-16)
    laws = ideal_laws(circuit, leak_S=1e-5) if array == "1r" else uncoupled
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, simple=True, integrator=0)
    rates = torch.tensor([[0.0, 0, 0, 1, 0], [0, 0, 1, 0, 0]], dtype=torch.float64)
    u, x, _ = settled(rates, g, 0, fitted)
    in_time = circuit_layer(rates.expand(STEPS, -1, -1), g, 0, 0.05, fitted)
    # At the latch a membrane is a little off its mean over the step.
    assert float(u.abs().max()) > 0.01
    torch.testing.assert_close(u, in_time.membranes[-1], rtol=0.1, atol=3e-3)
    way = (in_time.membranes[-1] - in_time.membranes).abs()
    if array == "1r":
        torch.testing.assert_close((way[20] / way[21]).log(), x.expand(2, 3), rtol=0.02, atol=0)


def test_gradient_against_differences() -> None:
    g = conductances(5, 3)
    for array in ("1r", "1t1r"):
        circuit = circuit_of(array, 0.05, float(g.column_sum().mean()) * 15e-9)
        laws: Any = strange_laws(circuit) if array == "1t1r" else ideal_laws(circuit, leak_S=1e-6)
        fitted = FittedSpikingCircuit(circuit, laws, torch.float64, simple=True)

        def rate(rates: Tensor, *parts: Tensor, fitted: FittedSpikingCircuit = fitted) -> Tensor:
            u, x, left_V = settled(rates, Conductances(*(part * 1e-6 for part in parts)), 0, fitted)
            return firing_rate(u / 0.05, x, left_V / 0.05)

        rates = torch.rand(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
        parts = tuple((part * 1e6).requires_grad_() for part in g)
        assert 0.05 < float(rate(rates, *parts).max()) < 1
        assert torch.autograd.gradcheck(rate, (rates, *parts), eps=1e-6, atol=1e-5, rtol=1e-4)
