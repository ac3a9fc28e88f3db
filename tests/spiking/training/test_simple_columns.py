"""Training's columns against closed forms, scipy's integrator, and the columns that score them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ideal_laws import ideal_laws
from scipy.integrate import solve_ivp
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import SIDES
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.simple_columns import Exponential, Riccati
from spicetrain.spiking.training.simple_laws import SimpleLaws

from .test_circuit_layer import circuit_of, conductances, random_spikes, strange_laws

SHAPES = [(1, 1), (5, 3), (60, 20)]


def both(
    fitted: FittedSpikingCircuit,
    spikes: Tensor,
    g: Conductances,
    threshold_V: float,
    deviation: Deviation | None = None,
) -> tuple[LayerResponse, LayerResponse]:
    """(by the laws that score, by training's)."""
    answers = (
        circuit_layer(spikes, g, 0, threshold_V, one, deviation) for one in (fitted, replace(fitted, simple=True))
    )
    return next(answers), next(answers)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_where_the_laws_are_straight_lines_they_are_the_same(rows: int, columns: int) -> None:
    g = conductances(rows, columns)
    C = float(g.column_sum().mean()) * 15e-9
    circuit = circuit_of("1r", 0.05, C)
    fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit, leak_S=1e-6, reset_S=1e3), torch.float64)
    deviation = Deviation(torch.full((columns,), 0.003), torch.full((columns,), 1.5))
    for one in (None, deviation):
        scored, learnt = both(fitted, random_spikes(rows), g, 0.05, one)
        assert torch.equal(learnt.spikes, scored.spikes)
        torch.testing.assert_close(learnt.membranes, scored.membranes, rtol=0, atol=1e-9)
    assert 0.02 < scored.spikes.mean() < 0.9


def test_driven_rows_give_way_to_their_own_column() -> None:
    """What is left is the pull of one membrane on another."""
    g = conductances(60, 20)
    C = float(g.column_sum().mean()) * 15e-9
    circuit = circuit_of("1r", 0.05, C, inputs="driven")
    spikes = random_spikes(60)
    errors = []
    for driver_S in (1e-3, 1e-1):
        laws = ideal_laws(circuit, leak_S=1e-7, reset_S=1e3, driver_S=driver_S)
        scored, learnt = both(FittedSpikingCircuit(circuit, laws, torch.float64), spikes, g, 0.05)
        errors.append(float((learnt.membranes - scored.membranes).abs().max()))
    assert (learnt.spikes == scored.spikes).double().mean() > 0.999
    assert errors[1] < 0.02 * errors[0] < 0.02 * 0.05


def test_a_column_alone_has_the_rows_that_give_way_to_it() -> None:
    """Nothing else pulls on them: what is left is what their drivers bend in a phase, of the second order."""
    g = conductances(60, 1)
    C = float(g.column_sum().mean()) * 15e-9
    circuit = circuit_of("1r", 0.05, C, inputs="driven")
    laws = ideal_laws(circuit, leak_S=1e-7, reset_S=1e3, driver_S=1e-4)
    scored, learnt = both(FittedSpikingCircuit(circuit, laws, torch.float64), random_spikes(60), g, 0.3)
    assert not scored.spikes.any() and float(scored.membranes.abs().max()) > 0.02
    torch.testing.assert_close(learnt.membranes, scored.membranes, rtol=0, atol=1e-6)


def test_cells_that_bend_are_parabolas() -> None:
    g, threshold_V = conductances(5, 3), 0.05
    circuit = circuit_of("1t1r", threshold_V, 4e-7 * float((g.pos - g.neg).sum(0).abs().mean()) / 2)
    laws = replace(
        strange_laws(circuit), silent_cells={side: np.zeros(2) for side in SIDES}, leak=(np.array([0, 1e-6]),)
    )
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64)
    scored, learnt = both(fitted, random_spikes(5), g, threshold_V)
    near = (scored.membranes > -threshold_V) & (scored.membranes < 1.3 * threshold_V)
    assert near.double().mean() > 0.4
    assert (learnt.membranes - scored.membranes)[near].abs().median() < 0.02 * threshold_V
    assert (learnt.spikes == scored.spikes).double().mean() > 0.95


def test_lines_and_parabolas_in_time_are_scipys() -> None:
    rng = np.random.default_rng(0)
    C, t = 1e-12, 8e-9
    a0, a1, a2 = (
        torch.tensor(rng.uniform(*ends, (2, 3, 4))) for ends in ((-4e-6, 4e-6), (-3e-4, -5e-5), (-4e-4, 4e-4))
    )
    u = torch.tensor(rng.uniform(-0.05, 0.05, (3, 4)))
    for answer, powers in (
        (Exponential((a0, a1[0]), C, t), (a0, a1[:1].expand(2, 3, 4))),
        (Riccati((a0, a1, a2), C, t), (a0, a1, a2)),
    ):
        for step in range(2):
            end, slope = answer(u, step)
            for place in np.ndindex(3, 4):
                of_u = [float(a[step][place]) / C for a in powers]
                path = solve_ivp(
                    lambda _, v, of_u=of_u: np.polynomial.polynomial.polyval(v, of_u),
                    (0, t),
                    [float(u[place])],
                    rtol=1e-10,
                    atol=1e-14,
                )
                assert float(end[place]) == pytest.approx(
                    path.y[0, -1], abs=1e-8
                )  # of 20 mV: the fraction for the parabola
                expected = np.polynomial.polynomial.polyval(path.y[0, -1], of_u)
                assert float(slope[place]) == pytest.approx(expected, rel=1e-4, abs=10)


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_gradient_against_differences(array: str) -> None:
    """Of the membranes by the conductances, up to the first spike: none fires with this capacitor."""
    g = conductances(5, 3)
    circuit = circuit_of(array, 0.1, float(g.column_sum().mean()) * 3e-7, inputs="driven" if array == "1r" else "ideal")
    laws = strange_laws(circuit) if array == "1t1r" else ideal_laws(circuit, leak_S=1e-6, reset_S=1e3, driver_S=1e-3)
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, simple=True)
    spikes = random_spikes(5, 3, 2)

    def last(*values: Tensor) -> Tensor:
        return circuit_layer(spikes, Conductances(*(value * 1e-6 for value in values)), 0, 0.1, fitted).membranes * 1e3

    values = tuple((part * 1e6).requires_grad_() for part in g)
    assert 5 < last(*values).abs().max() < 90
    assert torch.autograd.gradcheck(last, values, eps=1e-5, atol=1e-4, rtol=1e-4)


def test_cells_fit_the_law_they_were_taken_from() -> None:
    circuit = circuit_of("1t1r", 0.05, 4e-12)
    laws: SpikingLaws = strange_laws(circuit)
    simple = SimpleLaws.of(circuit, laws, 0)
    for side in SIDES:
        for g in (1.2e-7, 2e-6, 7.9e-6):
            powers = (g / simple.g_S) ** np.arange(1, simple.cells[side].shape[1] + 1)
            for u in (-0.02, 0.0, 0.04):
                ours = np.polynomial.polynomial.polyval(u, simple.cells[side] @ powers)
                measured = laws.cells[side].current_A(np.array([g]), np.array([u]))[0]
                assert ours == pytest.approx(measured, rel=0.03)
