"""Crossbars with wires and devices that bend in the trainer: the fast form near the exact mesh, a stage against
Kirchhoff's currents with the mesh's, gradients against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.bent_mesh import BentMesh
from spicetrain.array.conductances import Conductances
from spicetrain.array.devices import Sinh
from spicetrain.array.wired import wired
from spicetrain.array.wired_bent import BentCrossbar, driven_bent_columns, mean_slopes, wired_bent
from spicetrain.array.wires import Segments, row_voltages, row_wires
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.stage import solve_stage
from spicetrain.inverter.training.wired_stage import beyond_fast, input_columns, solve_wired_stage
from spicetrain.rails import Rails
from spicetrain.technology import Technology

from .circuits import EXACT, random_crossbar, random_stage

SHAPES = [(1, 1), (1, 7), (5, 3), (20, 3)]
RAILS = Rails(vdd_V=0.35, vss_V=-0.15)
WIRES = Segments(300.0, 500.0, 70.0)
BEND = Sinh(g_min_S=1e-7, g_max_S=1e-5, b_per_V=2.0)

every_shape = pytest.mark.parametrize("shape", SHAPES)


def slopes_of(rows: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(1, 1.5, 2 * rows + 2))


@every_shape
def test_columns_of_the_fast_form_and_of_a_prediction(shape: tuple[int, int], ptm90: Technology) -> None:
    """Of what the wires move, the fast form leaves a share; a prediction nothing."""
    box = random_crossbar(ptm90, *shape, seed=3)
    g = Conductances.of(box, torch.float64)
    signal = torch.from_numpy(np.random.default_rng(1).uniform(-0.25, 0.25, (6, shape[0])))
    rows = row_voltages(signal.numpy(), -signal.numpy(), RAILS.half_swing_V, -RAILS.half_swing_V)
    exact = RAILS.mid_V + BentMesh(row_wires(box), WIRES, BEND).columns(rows)
    fast, ideal = (input_columns(g, signal, RAILS, BEND, wires, None) for wires in (WIRES, None))
    moved_V = np.abs(ideal.numpy() - exact).max()
    assert np.abs(fast.numpy() - exact).max() < 0.3 * moved_V and moved_V > 1e-5
    (held,) = beyond_fast([g], WIRES, BEND, RAILS, exactly=True)
    predicted = input_columns(g, signal, RAILS, BEND, WIRES, held)
    np.testing.assert_allclose(predicted.numpy(), exact, rtol=0, atol=1e-12)


def test_hardly_bent_it_is_the_fast_form_of_ohmic_devices(ptm90: Technology) -> None:
    g = Conductances.of(random_crossbar(ptm90, 5, 3, seed=3), torch.float64)
    bent, straight = wired_bent(g, WIRES, torch.ones(12, dtype=torch.float64)), wired(g, WIRES, RAILS)
    torch.testing.assert_close((bent.W_n, bent.W_p, bent.b_n), (straight.T_n, straight.T_p, straight.b_n))
    signal = torch.linspace(-0.2, 0.2, 10, dtype=torch.float64).view(2, 5)
    v_col = driven_bent_columns(bent, signal, RAILS, 1e-4) - RAILS.mid_V
    expected = straight.t_bias + signal @ (straight.T_n - straight.T_p)
    torch.testing.assert_close(v_col, expected, rtol=0, atol=1e-9)


def test_slopes_are_the_devices() -> None:
    v_n, v_p = torch.tensor([[0.3], [0.1]]), torch.tensor([[0.0], [0.1]])
    found = mean_slopes(v_n, v_p, RAILS, BEND)
    at = np.cosh(2.0 * (np.array([[0.3, 0.0, 0.35, -0.15], [0.1, 0.1, 0.35, -0.15]]) - 0.1)).mean(0)
    np.testing.assert_allclose(found.numpy(), at, rtol=1e-6)


@every_shape
def test_a_predicted_stage_stands_where_the_mesh_takes_what_inverters_deliver(
    shape: tuple[int, int], ptm90: Technology, inverters: Inverters
) -> None:
    v_in, *given, m_n, m_p = random_stage(ptm90, *shape)
    g, sizes = Conductances(*given), torch.stack([m_n, m_p], 1)
    (held,) = beyond_fast([g], WIRES, BEND, inverters.rails, exactly=True)
    solution = solve_wired_stage(v_in, g, sizes, inverters, EXACT, BEND, WIRES, held)
    assert isinstance(held, BentMesh) and solution.convergence.unconverged == 0
    mid_V, half_V = inverters.rails.mid_V, inverters.rails.half_swing_V
    rows = row_voltages(solution.v_n.numpy() - mid_V, solution.v_p.numpy() - mid_V, half_V, -half_V)
    columns, delivered = held.columns_and_delivered(rows)
    np.testing.assert_allclose(solution.v_col.numpy() - mid_V, columns, rtol=0, atol=2e-9)
    stages = (v_in, solution.v_n, m_n), (solution.v_n, solution.v_p, m_p)
    for side, (v_gate, v_row, m) in enumerate(stages):
        into = delivered[:, side:-2:2]
        np.testing.assert_allclose((m * inverters.current(v_gate, v_row)[0]).numpy(), into, rtol=0, atol=1e-12)
    trained = solve_wired_stage(v_in, g, sizes, inverters, EXACT, BEND, WIRES, None)
    ideal = solve_wired_stage(v_in, g, sizes, inverters, EXACT, BEND, None, None)
    moved_V = float((ideal.v_col - solution.v_col).abs().max())
    assert float((trained.v_col - solution.v_col).abs().max()) < (0.3 if shape[1] > 1 else 0.5) * moved_V


@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_gradients_of_the_fast_form(shape: tuple[int, int], ptm90: Technology) -> None:
    g = Conductances.of(random_crossbar(ptm90, *shape, seed=3), torch.float64)

    def fields(*logs: Tensor) -> Sequence[Tensor]:
        changed = Conductances(*(value * log.exp() for value, log in zip(g, logs, strict=True)))
        of = wired_bent(changed, WIRES, slopes_of(shape[0]))
        signal = torch.linspace(-0.2, 0.2, 2 * shape[0], dtype=torch.float64).view(2, -1)
        return *of.W, of.leak, 1e6 * of.b_n, 1e6 * of.b_p, driven_bent_columns(of, signal, RAILS, 2.0)

    zeros = [torch.zeros_like(of, requires_grad=True) for of in g]
    assert torch.autograd.gradcheck(fields, zeros, eps=1e-5, atol=1e-8, rtol=1e-5)


@pytest.mark.parametrize("name", ["v_in", *BentCrossbar._fields])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_gradients_of_a_stage(name: str, shape: tuple[int, int], ptm90: Technology, inverters: Inverters) -> None:
    v_in, *given, m_n, m_p = random_stage(ptm90, *shape)
    fields = dict(wired_bent(Conductances(*given), WIRES, slopes_of(shape[0]))._asdict(), v_in=v_in)
    value = fields[name]

    def outputs(u: Tensor) -> tuple[Tensor, ...]:
        changed = fields | {name: value + 0.1 * u if name == "v_in" else value * torch.exp(u)}
        v_in = changed.pop("v_in")
        sizes = torch.stack([m_n, m_p], 1)
        solution = solve_stage(v_in, BentCrossbar(**changed), sizes, inverters, EXACT, device=BEND)
        return solution.v_n, solution.v_p, solution.v_col

    u = torch.zeros_like(value, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (u,), eps=1e-5, atol=2e-8, rtol=1e-4)
