"""The regular layer against its recurrence in numpy and against snntorch, and the way to conductances and back."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch

from spicetrain.array.conductances import Conductances
from spicetrain.array.devices.ohmic import Ohmic
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.training.parameters import mapped, programmed
from spicetrain.spiking.training.regular_layer import RegularNeuron, leaky, regular_layer
from spicetrain.technology import Technology

from .simple import lif

SHAPES = [(1, 1), (5, 3), (3, 7)]
OFF_CENTRE = {"rest_V": -0.1}  # the excitatory rows pull with 0.6 V, the inhibitory ones with 0.4 V


def spikes_of(rows: int, seed: int = 0, steps: int = 12, samples: int = 4) -> torch.Tensor:
    return (torch.rand(steps, samples, rows, generator=torch.Generator().manual_seed(seed)) < 0.4).double()


def weights_of(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """Such that the neurons spike now and then."""
    random = torch.randn(rows + 1, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 0.3 + random / rows**0.5


@pytest.mark.parametrize("rows, columns", SHAPES)
def test_volts_follow_the_recurrence(rows: int, columns: int, ptm90: Technology) -> None:
    """Step by step in numpy, from the equation in the module's docstring; rest is not mid-rail."""
    circuit, memristor, beta = lif(**OFF_CENTRE), ptm90.memristor, 0.8
    random = np.random.default_rng(rows)
    g = [random.uniform(memristor.g_min_S, memristor.g_max_S, (rows + 1, columns)) for _ in range(2)]
    spikes, layer = spikes_of(rows), 1
    s_per_F = circuit.clock.integrate_s / circuit.capacitance_F(layer)
    threshold_V = -0.1 + 0.7 * s_per_F * 0.6 * float(g[0].mean()) * (rows + 1) ** 0.5
    tensors = Conductances(*(torch.as_tensor(x) for x in (g[0][:-1], g[1][:-1], g[0][-1], g[1][-1])))
    fired, v = regular_layer(spikes, tensors, layer, threshold_V, RegularNeuron(circuit, beta))
    membrane = np.zeros((4, columns))
    for step in range(len(spikes)):
        driven = np.column_stack([spikes[step].numpy(), np.ones(4)])
        membrane = beta * membrane + s_per_F * (0.6 * driven @ g[0] - 0.4 * driven @ g[1])
        np.testing.assert_allclose(v[step].numpy(), membrane - 0.1, rtol=0, atol=1e-8)
        spike = membrane > threshold_V + 0.1
        assert np.array_equal(fired[step].numpy(), spike)
        membrane = np.where(spike, 0, membrane)
    assert 0 < float(fired.mean()) < 1


@pytest.mark.parametrize("rows, columns", SHAPES)
def test_it_is_snntorch_driven_by_hand(rows: int, columns: int) -> None:
    weights, spikes = weights_of(rows, columns), spikes_of(rows)
    fired, v = leaky(spikes, weights, 0.9, 3.0)
    neuron = snntorch.Leaky(torch.tensor(0.9, dtype=torch.float64), reset_mechanism="zero")
    membrane = neuron.reset_mem()
    for step in range(len(spikes)):
        spike, membrane = neuron(spikes[step] @ weights[:-1] + weights[-1], membrane)
        assert torch.equal(spike.double(), fired[step])
        torch.testing.assert_close(membrane, v[step])
    assert 0 < float(fired.mean()) < 1


def test_gradient_of_membranes_is_that_of_finite_differences() -> None:
    """With a threshold out of reach, through which nothing flows."""
    weights = 0.01 * weights_of(5, 3)
    weights.requires_grad_()
    assert torch.autograd.gradcheck(lambda w: leaky(spikes_of(5), w, 0.9, 3.0)[1], (weights,))


def test_gradient_at_the_spike_is_the_fast_sigmoid_s() -> None:
    """One step: d spike / d w = 1 / (1 + slope |w - 1|)^2."""
    weights = torch.tensor([[0.7], [0.0]], dtype=torch.float64, requires_grad=True)
    leaky(torch.ones(1, 1, 1, dtype=torch.float64), weights, 0.9, 4.0)[0].sum().backward()
    assert weights.grad is not None
    np.testing.assert_allclose(weights.grad.numpy(), 1 / (1 + 4 * 0.3) ** 2)


@pytest.mark.parametrize("circuit", [lif(), lif(rest_V=-0.1), lif(rest_V=0.015)], ids=["mid-rail", "low", "high"])
def test_mapped_weights_spike_as_they_were_trained(circuit: SpikingCircuit, ptm90: Technology) -> None:
    """With nothing clipped: charge scaling makes the two the same. Off mid-rail a pair of g_min pulls by itself, so
    there g_min has to be nothing beside g_max."""
    memristor = Ohmic(g_min_S=1e-15, g_max_S=ptm90.memristor.g_max_S)
    weights, spikes = weights_of(5, 3), spikes_of(5, steps=30)
    g, threshold_V = mapped(weights, circuit, 0, memristor, 1.0)
    fired, v = regular_layer(spikes, g, 0, threshold_V, RegularNeuron(circuit, 0.9))
    own_fired, own_v = leaky(spikes, weights, 0.9, 3.0)
    assert torch.equal(fired, own_fired) and 0 < float(fired.mean()) < 1
    swing_V = threshold_V - circuit.rest_V
    torch.testing.assert_close((v - circuit.rest_V) / swing_V, own_v, rtol=1e-6, atol=1e-6)


def test_mapped_conductances(ptm90: Technology) -> None:
    """One side at g_min, the other g_min + k |w|; the largest unclipped weight at g_max, larger ones too."""
    memristor, circuit = ptm90.memristor, lif()
    weights = torch.tensor([[0.5, -1.0], [0.0, 0.25], [-8.0, 0.1]], dtype=torch.float64)  # the last row is the bias
    g, threshold_V = mapped(weights, circuit, 1, memristor, 0.7)  # of 6 weights the 5th: 1.0
    span_S = memristor.g_max_S - memristor.g_min_S
    np.testing.assert_allclose(g.pos, memristor.g_min_S + span_S * np.array([[0.5, 0], [0, 0.25]]), rtol=1e-12)
    np.testing.assert_allclose(g.neg, memristor.g_min_S + span_S * np.array([[0, 1.0], [0, 0]]), rtol=1e-12)
    np.testing.assert_allclose(g.bias_pos, memristor.g_min_S + span_S * np.array([0, 0.1]), rtol=1e-12)
    np.testing.assert_allclose(g.bias_neg, memristor.g_min_S + span_S * np.array([1.0, 0]), rtol=1e-12)
    assert threshold_V == pytest.approx(8e-9 / 1e-12 * span_S * 0.5)
    crossbar = programmed(Conductances(*(value.float() for value in g)), memristor)
    assert crossbar.neg.dtype == np.float64 and crossbar.neg.max() == memristor.g_max_S
    assert min(float(value.min()) for value in vars(crossbar).values()) == memristor.g_min_S
