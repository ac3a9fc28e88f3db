"""Rows driven by transistors and the membranes on them, against scipy on Kirchhoff's law at every row; gradients."""

from __future__ import annotations

import decimal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import SIDES, SpikingCircuit, load_circuit
from spicetrain.spiking.surrogates.laws import Driver, SpikingLaws
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.coupled import _SERIES, _weights
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.phases import Phases

LAYER, THRESHOLD_V = 1, 0.02


def saturating(slope_S: float, overdrive_V: float, sign: int) -> NDArray[np.float64]:
    """A transistor in its triode region, and a little more: I = slope d (1 - d / (2 overdrive)) - ..., d = sign x."""
    return np.array([0.0, -slope_S, sign * slope_S / (2 * overdrive_V), -0.1 * slope_S])


def sagging_laws(circuit: SpikingCircuit, slope_S: float, **more: Any) -> SpikingLaws:
    drivers = {}
    for side, level in zip(SIDES, (circuit.rails.vdd_V, circuit.rails.vss_V), strict=True):
        for spiking in (True, False):
            away = -1 if (side == "excitatory") == spiking else 1  # where the row goes from its level
            law = saturating(slope_S, 0.8 if spiking else 0.4, away)
            drivers[side, spiking] = Driver(law, level if spiking else circuit.rest_V, (-1.0, 1.0))
    reset_S = 4 * circuit.capacitance_F(LAYER) / circuit.clock.rest_s  # e^-4 is left: it is seen
    leak, reset = np.array([1e-9, 2e-6]), reset_S * np.array([0.0, 1.0, -3.0])
    domains = {"leak": (-0.5, 0.5), "reset": (0.0, 0.5)}
    return SpikingLaws(circuit.rest_V, (leak,), (reset,), (-2e-16,), drivers=drivers, domains=domains, **more)


def case(
    rows: int, columns: int, tau_s: float, seed: int, sag: float
) -> tuple[SpikingCircuit, SpikingLaws, Conductances]:
    """Log-uniform conductances; a mean column of time constant `tau_s`; rows that sag by about `sag`."""
    rng = np.random.default_rng(seed)
    shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
    g = Conductances(*(torch.tensor(np.exp(rng.uniform(np.log(1.2e-7), np.log(7.9e-6), shape))) for shape in shapes))
    C = float(g.column_sum().mean()) * tau_s
    circuit = load_circuit("lif-1r").changed((THRESHOLD_V,), (C,))
    circuit = circuit.model_copy(update={"clock": circuit.clock.model_copy(update={"edge_s": 2e-10})})
    row_S = float(torch.cat([g.pos, g.neg]).sum(1).mean())
    return circuit, sagging_laws(circuit, row_S / sag), g


class Kirchhoff:
    """The rows of one sample in one state, solved anew at every moment."""

    def __init__(self, active: NDArray[np.bool_], g: Conductances, circuit: SpikingCircuit, laws: SpikingLaws) -> None:
        self.g = np.concatenate(
            [np.vstack([rows, bias[None]]) for rows, bias in ((g.pos, g.bias_pos), (g.neg, g.bias_neg))]
        )
        states = [laws.drivers[side, bool(on)] for side in SIDES for on in active]
        self.level = np.array([driver.level_V for driver in states]) - circuit.rest_V
        self.law = np.array([driver.current for driver in states]).T
        self.sag = 0.0

    def rows(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        y, slope = self.level.copy(), np.arange(1, 4)[:, None] * self.law[1:]
        for _ in range(15):
            x = y - self.level
            excess = sum(a * x**k for k, a in enumerate(self.law)) - self.g.sum(1) * y + self.g @ u
            y = y - excess / (sum(a * x**k for k, a in enumerate(slope)) - self.g.sum(1))
        self.sag = max(self.sag, float(np.abs(y - self.level).max()))
        return y

    def charge(self, u: NDArray[np.float64], law: NDArray[np.float64], C: float, t: float) -> NDArray[np.float64]:
        """u after t seconds; law [powers, columns]: what leaves each membrane."""

        def rate(_: float, u: NDArray[np.float64]) -> NDArray[np.float64]:
            leaves = sum(a * u**k for k, a in enumerate(law))
            return (self.g.T @ self.rows(u) - self.g.sum(0) * u - leaves) / C

        self.rate = rate
        return solve_ivp(rate, (0, t), u, method="LSODA", rtol=1e-8, atol=1e-10).y[:, -1]


def integrated(
    spikes: NDArray[np.float64], g: Conductances, circuit: SpikingCircuit, laws: SpikingLaws
) -> tuple[NDArray[np.bool_], NDArray[np.float64], float]:
    """(fired, u at the latch) [steps, columns] of one sample, `spikes` [steps, rows], and the largest sag, volts."""
    C, phases, columns = circuit.capacitance_F(LAYER), Phases.of(circuit, laws), len(g.bias_pos)
    fires, membranes, sag = [], [], 0.0
    leak, reset = (np.append(law, np.zeros(3 - len(law)))[:, None] for law in (laws.leak[0], laws.reset[0]))
    silent = Kirchhoff(np.zeros(spikes.shape[1] + 1, bool), g, circuit, laws)
    u = silent.charge(np.zeros(columns), np.repeat(leak, columns, 1), C, 1e-6)  # long at rest
    for inputs in spikes:
        driven = Kirchhoff(np.append(inputs, 1) > 0, g, circuit, laws)
        u = driven.charge(u, np.repeat(leak, columns, 1), C, phases.driven_s)
        membranes.append(u)
        slope = driven.rate(0.0, u)
        late_V = laws.trip[0] + (laws.trip[1] + circuit.clock.latch_early_s) * slope
        fired = u > THRESHOLD_V - circuit.rest_V + late_V
        fires.append(fired)
        u, sag = u + slope * phases.after_s, max(sag, driven.sag)
        u = silent.charge(u, np.where(fired, reset, leak), C, phases.rest_s)
        u = u + np.where(fired, laws.reset_charge_C[0] / C, 0.0)
    return np.array(fires), np.array(membranes), sag


@pytest.mark.parametrize(
    ("rows", "columns", "tau_s", "sag"),
    [(5, 3, 3e-9, 0.06), (40, 7, 3e-9, 0.065), (1, 1, 20e-9, 0.08), (12, 4, 5e-9, 0.2)],
)
def test_rows_and_membranes_against_scipy(rows: int, columns: int, tau_s: float, sag: float) -> None:
    circuit, laws, g = case(rows, columns, tau_s, seed=rows, sag=sag)
    laws = replace(laws, trip=np.array([1e-3, 2e-10]))
    spikes = torch.tensor(np.random.default_rng(rows).uniform(0, 1, (4, 2, rows)) < 0.4, dtype=torch.float64)
    fired, v, _ = circuit_layer(spikes, g, LAYER, THRESHOLD_V, FittedSpikingCircuit(circuit, laws, torch.float64))
    largest = 0.0
    for sample in range(2):
        expected, membranes, sagged = integrated(spikes[:, sample].numpy(), g, circuit, laws)
        largest = max(largest, sagged)
        np.testing.assert_allclose(v[:, sample].numpy(), membranes, rtol=0, atol=1e-5)
        assert np.array_equal(fired[:, sample].bool().numpy(), expected)
    assert largest > 0.05  # a tenth of the swing: it is a test of sagging rows
    assert v.std() > 5e-3


def test_some_rows_reset_beside_others_that_do_not() -> None:
    """The case above in which it counts; without the pull of the neurons in reset on the others it is off."""
    circuit, laws, g = case(5, 3, 1.8e-9, seed=5, sag=0.065)
    spikes = torch.tensor(np.random.default_rng(5).uniform(0, 1, (4, 2, 5)) < 0.4, dtype=torch.float64)
    fired, _, _ = circuit_layer(spikes, g, LAYER, THRESHOLD_V, FittedSpikingCircuit(circuit, laws, torch.float64))
    mixed = fired.bool().any(2) & ~fired.bool().all(2)
    assert mixed[:-1].any()


def test_training_is_coarser_but_near() -> None:
    circuit, laws, g = case(40, 7, 3e-9, seed=1, sag=0.065)
    spikes = torch.tensor(np.random.default_rng(1).uniform(0, 1, (1, 20, 40)) < 0.4, dtype=torch.float64)
    _, fine, _ = circuit_layer(spikes, g, LAYER, THRESHOLD_V, FittedSpikingCircuit(circuit, laws, torch.float64))
    g32 = Conductances(*(value.float() for value in g))
    _, coarse, _ = circuit_layer(
        spikes.float(), g32, LAYER, THRESHOLD_V, FittedSpikingCircuit(circuit, laws, torch.float32)
    )
    error = (coarse.double() - fine).abs().max()
    assert 1e-7 < error < 2e-4


def test_gradients_before_any_spike() -> None:
    circuit, laws, g = case(3, 2, 2e-9, seed=2, sag=0.1)
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64)
    scaled = [(value * 1e6).requires_grad_() for value in g]
    spikes = torch.rand(2, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def membranes(spikes: Tensor, *g: Tensor) -> Tensor:
        fired, v, _ = circuit_layer(spikes, Conductances(*(value * 1e-6 for value in g)), LAYER, 0.45, fitted)
        assert not fired.any()
        return v

    assert torch.autograd.gradcheck(membranes, (spikes, *scaled), atol=1e-8, rtol=1e-4)


def test_rows_beyond_their_drivers_domain_are_counted() -> None:
    circuit, laws, g = case(5, 3, 2e-9, seed=3, sag=0.3)
    narrow = {key: replace(law, domain_V=(law.level_V - 0.02, law.level_V + 0.02)) for key, law in laws.drivers.items()}
    fitted = FittedSpikingCircuit(circuit, replace(laws, drivers=narrow), torch.float64)
    spikes = torch.ones(1, 1, 5, dtype=torch.float64)
    asked = circuit_layer(spikes, g, LAYER, THRESHOLD_V, fitted).extrapolation
    assert set(asked.count) == {"excitatory driver", "inhibitory driver"}
    assert 0.02 < asked.farthest["excitatory driver"] < 0.5


Z = [0.0, 1e-30, 1e-8, 1e-4, 1e-3, 0.01, 0.03, 0.998 * _SERIES, _SERIES, 0.07, 0.2, 0.7, 1.0, 3.0, 20.0, 50.0]


def exact_weights(z: float) -> tuple[float, float]:
    """(z - 1 + exp(-z)) / z^2 and (1 - 2 of that) / z to 200 digits."""
    if z == 0:
        return 1 / 2, 1 / 3
    with decimal.localcontext(prec=200):
        exact = decimal.Decimal(z)
        first = (exact - 1 + (-exact).exp()) / exact**2
        return float(first), float((1 - 2 * first) / exact)


@pytest.mark.parametrize(
    ("dtype", "first_rel", "second_rel"), [(torch.float64, 1e-14, 1e-12), (torch.float32, 5e-6, 2e-4)]
)
def test_weights_keep_their_digits_where_z_is_small(dtype: torch.dtype, first_rel: float, second_rel: float) -> None:
    """The closed forms lose 1 / z and 1 / z^2 of them, most at the seam; the series none."""
    z = torch.tensor(Z, dtype=dtype)
    for found, exact in zip(zip(*_weights(z), strict=True), map(exact_weights, z.double().tolist()), strict=True):
        assert found[0].item() == pytest.approx(exact[0], rel=first_rel, abs=0)
        assert found[1].item() == pytest.approx(exact[1], rel=second_rel, abs=0)
    few = 5 * torch.finfo(dtype).eps
    for k, value in enumerate(zip(*_weights(z[:8]), strict=True)):
        assert [part.item() for part in value] == pytest.approx(exact_weights(z[k].item()), rel=few, abs=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_of_no_current_are_those_of_a_parabola(dtype: torch.dtype) -> None:
    z = torch.zeros(3, dtype=dtype, requires_grad=True)
    first, second = _weights(z)
    assert first.tolist() == [0.5] * 3 and second.tolist() == [float(torch.tensor(1 / 3, dtype=dtype))] * 3
    (gradient,) = torch.autograd.grad((first + second).sum(), z)
    torch.testing.assert_close(gradient, torch.full_like(z, -1 / 6 - 1 / 12))


def test_gradients_of_the_weights_are_those_of_finite_differences() -> None:
    z = torch.tensor([*Z[:7], -0.01, 0.0499, 0.0501, *Z[9:]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_weights, z, eps=1e-5, atol=1e-7, rtol=1e-6)
    (gradient,) = torch.autograd.grad(_weights(z)[1].sum(), z)
    h = 1e-4
    exact = [(exact_weights(x + h)[1] - exact_weights(x - h)[1]) / (2 * h) for x in z.tolist()]
    np.testing.assert_allclose(gradient.numpy(), exact, rtol=1e-7)
