"""Crossbars with wires in the trainer: the fast form and its correction against the exact mesh, a stage against
Kirchhoff's currents with the mesh's, gradients against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.mesh import Mesh
from spicetrain.array.wired import EXACTLY, Correction, correction, driven_columns, wired
from spicetrain.array.wires import Segments, row_voltages, row_wires
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.stage import StageSolution, solve_stage
from spicetrain.rails import Rails
from spicetrain.technology import Technology

from .circuits import EXACT, random_crossbar, random_stage

SHAPES = [(1, 1), (1, 7), (5, 3), (20, 3)]
RAILS = Rails(vdd_V=0.35, vss_V=-0.15)
LAID_OUT = [
    Segments(300.0, 500.0, 70.0),
    Segments(300.0, 500.0, 700.0, "middle", "both ends"),
    Segments(300.0, 500.0, 700.0, "both ends", "middle"),
    Segments(300.0, 500.0, 700.0, "one end", "both ends", 8),
]

every_shape = pytest.mark.parametrize("shape", SHAPES)
every_layout = pytest.mark.parametrize("segments", LAID_OUT, ids=lambda of: ", ".join(map(str, of[3:])))


@every_shape
@every_layout
def test_corrected_at_its_own_conductances_the_fast_form_is_the_mesh(
    shape: tuple[int, int], segments: Segments, ptm90: Technology
) -> None:
    box = random_crossbar(ptm90, *shape, seed=3)
    g, mesh = Conductances.of(box, torch.float64), Mesh(row_wires(box), segments)
    signal = np.random.default_rng(1).uniform(-0.25, 0.25, (4, shape[0]))
    beyond = correction(g, segments, loads=True, near=EXACTLY)
    exact = wired(g, segments, RAILS, beyond)
    rows = row_voltages(signal, -signal, RAILS.half_swing_V, -RAILS.half_swing_V)
    v_col = mesh.columns(rows)
    found = driven_columns(exact, torch.from_numpy(signal), RAILS) - RAILS.mid_V
    np.testing.assert_allclose(found.numpy(), v_col, rtol=0, atol=1e-12)
    assert beyond.Y is not None
    for side, b in enumerate((exact.b_n, exact.b_p)):
        v = rows[:, side:-2:2]
        delivered = v * b.sum(1).numpy() - v_col @ b.numpy().T + (rows @ beyond.Y.numpy().T)[:, side:-2:2]
        np.testing.assert_allclose(delivered, (rows @ mesh.conductance())[:, side:-2:2], rtol=0, atol=1e-17)


@every_layout
def test_the_fast_form_is_of_second_order_in_the_wires(segments: Segments, ptm90: Technology) -> None:
    """Ten times better wires: what they do falls to a tenth, what the fast form is off by to some hundredth."""
    box = random_crossbar(ptm90, 20, 3, seed=3)
    g = Conductances.of(box, torch.float64)
    signal = np.random.default_rng(1).uniform(-0.25, 0.25, (8, 20))
    rows = row_voltages(signal, -signal, RAILS.half_swing_V, -RAILS.half_swing_V)

    def off(share: float) -> tuple[float, float]:
        better = segments._replace(**{name: share * getattr(segments, name) for name in segments._fields[:3]})
        v_col = Mesh(row_wires(box), better).columns(rows)
        fast = driven_columns(wired(g, better, RAILS), torch.from_numpy(signal), RAILS).numpy() - RAILS.mid_V
        ideal = rows @ row_wires(box) / row_wires(box).sum(0)
        return float(np.abs(ideal - v_col).max()), float(np.abs(fast - v_col).max())

    (wires_V, fast_V), (wires_less_V, fast_less_V) = off(1.0), off(0.1)
    assert wires_V > (1e-3 if segments.tile_rows is None else 1e-4) and fast_V < 0.1 * wires_V
    assert 5 < wires_V / wires_less_V < 20 and fast_V / fast_less_V > 50


@every_shape
@every_layout
def test_gradients_of_the_fast_form(shape: tuple[int, int], segments: Segments, ptm90: Technology) -> None:
    g = Conductances.of(random_crossbar(ptm90, *shape, seed=3), torch.float64)

    def fields(*logs: Tensor) -> tuple[Tensor, ...]:
        of = wired(Conductances(*(value * log.exp() for value, log in zip(g, logs, strict=True))), segments, RAILS)
        return of.T_n, of.T_p, of.t_bias, 1e6 * of.b_n, 1e6 * of.b_p

    zeros = [torch.zeros_like(of, requires_grad=True) for of in g]
    assert torch.autograd.gradcheck(fields, zeros, eps=1e-5, atol=1e-8, rtol=1e-5)


@every_layout
def test_the_gradient_of_the_fast_form_is_nearly_the_meshs(segments: Segments, ptm90: Technology) -> None:
    """The correction is held while conductances change: what of the gradient is lost is of second order."""
    random = np.random.default_rng(1)
    box = random_crossbar(ptm90, 20, 3, seed=3)
    signal, upstream = random.uniform(-0.25, 0.25, (8, 20)), random.normal(size=(8, 3))
    rows = row_voltages(signal, -signal, RAILS.half_swing_V, -RAILS.half_swing_V)

    def off(share: float) -> float:
        better = segments._replace(**{name: share * getattr(segments, name) for name in segments._fields[:3]})
        exact = Mesh(row_wires(box), better).gradient(rows, upstream)[0]
        g = Conductances(*(of.requires_grad_() for of in Conductances.of(box, torch.float64)))
        beyond = correction(g, better, loads=False, near=EXACTLY)
        v_col = driven_columns(wired(g, better, RAILS, beyond), torch.from_numpy(signal), RAILS)
        found = torch.autograd.grad((v_col * torch.from_numpy(upstream)).sum(), g)
        fast = row_wires(Crossbar(*(of.numpy() for of in found)))
        return float(np.linalg.norm(fast - exact) / np.linalg.norm(exact))

    assert off(1.0) < 0.05 and off(0.1) < 1e-3


def solve(
    arrays: Sequence[Tensor], inverters: Inverters, segments: Segments, beyond: Correction | None = None
) -> StageSolution:
    v_in, *g, m_n, m_p = arrays
    crossbar, sizes = wired(Conductances(*g), segments, inverters.rails, beyond), torch.stack([m_n, m_p], 1)
    return solve_stage(v_in, crossbar, sizes, inverters, EXACT)


@every_shape
@every_layout
def test_a_stage_stands_where_the_mesh_takes_what_inverters_deliver(
    shape: tuple[int, int], segments: Segments, ptm90: Technology, inverters: Inverters
) -> None:
    arrays = random_stage(ptm90, *shape)
    v_in, *given, m_n, m_p = arrays
    g = Conductances(*given)
    solution = solve(arrays, inverters, segments, correction(g, segments, loads=True, near=EXACTLY))
    assert solution.convergence.unconverged == 0
    box = random_crossbar(ptm90, *shape, seed=shape[0])
    mesh, v_n, v_p = Mesh(row_wires(box), segments), solution.v_n.numpy(), solution.v_p.numpy()
    rows = row_voltages(v_n, v_p, inverters.high, inverters.low)
    np.testing.assert_allclose(solution.v_col.numpy(), mesh.columns(rows), rtol=0, atol=1e-10)
    taken = rows @ mesh.conductance()
    stages = (v_in, solution.v_n, m_n), (solution.v_n, solution.v_p, m_p)
    for side, (v_gate, v_row, m) in enumerate(stages):
        into = taken[:, side:-2:2]
        np.testing.assert_allclose((m * inverters.current(v_gate, v_row)[0]).numpy(), into, rtol=0, atol=1e-14)
    ideal = solve_stage(v_in, g, torch.stack([m_n, m_p], 1), inverters, EXACT)
    assert shape == (1, 1) or float((ideal.v_col - solution.v_col).abs().max()) > 1e-5


@pytest.mark.parametrize("name", ["v_in", "g_n", "g_p", "b_pos", "b_neg", "m_n", "m_p"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_gradients_of_a_stage_with_wires(
    name: str, shape: tuple[int, int], ptm90: Technology, inverters: Inverters
) -> None:
    arrays = random_stage(ptm90, *shape)
    place = ["v_in", "g_n", "g_p", "b_pos", "b_neg", "m_n", "m_p"].index(name)
    value = arrays[place]

    def outputs(u: Tensor) -> tuple[Tensor, ...]:
        arrays[place] = value + 0.1 * u if place == 0 else value * torch.exp(u)
        solution = solve(arrays, inverters, LAID_OUT[0])
        return solution.v_n, solution.v_p, solution.v_col

    u = torch.zeros_like(value, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (u,), eps=1e-5, atol=2e-8, rtol=1e-4)
