"""A stage's compiled Newton steps, in float32, against the solver in float64, of the same equations in torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.linear_coupling import Ohmic
from spicetrain.array.wired import EXACTLY, WiredCrossbar, correction, wired
from spicetrain.array.wires import Wires
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training import compiled_stage
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.loaded_start import loaded_vtc
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.small_systems import solve_systems
from spicetrain.inverter.training.stage import StageSolution, solve_stage
from spicetrain.rails import Rails
from spicetrain.technology import Technology

from .circuits import EXACT, fitted_surface, random_crossbar, random_mismatch, shifted_surface

SHAPES = [(1, 1), (5, 3), (3, 7), (70, 2), (9, 30)]
SAMPLES = 19
CLOSE = Tolerance(step_V=3e-4)


@pytest.fixture(scope="module")
def inverters(ptm90: Technology) -> dict[torch.dtype, tuple[Inverters, Inverters]]:
    """Without and with mismatch."""
    surrogates = Surrogates(fitted_surface(), shifted_surface=shifted_surface())
    circuits = {dtype: FittedCircuit(ptm90, surrogates, dtype) for dtype in (torch.float32, torch.float64)}
    return {dtype: (circuit.inverters, circuit.mismatched_inverters) for dtype, circuit in circuits.items()}


def stage_of(technology: Technology, rows: int, columns: int) -> tuple[Tensor, Conductances, Tensor]:
    random = np.random.default_rng(rows)
    g = Conductances.of(random_crossbar(technology, rows, columns, seed=columns), torch.float64)
    v_in, m = random.uniform(-0.25, 0.25, (SAMPLES, rows)), random.uniform(0.5, 4, (rows, 2))
    v_in[0], v_in[1] = 0.25, np.linspace(-0.002, 0.002, rows)
    return torch.from_numpy(v_in), g, torch.from_numpy(m)


def solved(
    v_in: Tensor, g: Conductances | WiredCrossbar, m: Tensor, inverters: Inverters, mismatch: Mismatch | None
) -> tuple[StageSolution, list[Tensor]]:
    """And the gradients of a sum of all voltages with weights of their own, in every tensor."""
    leaves = [of.clone().requires_grad_() for of in (v_in, m, *g[:5])]
    crossbar = type(g)(*leaves[2:], *g[5:])
    exact = v_in.dtype == torch.float64
    solution = solve_stage(leaves[0], crossbar, leaves[1], inverters, EXACT if exact else CLOSE, mismatch=mismatch)
    random = torch.Generator().manual_seed(0)
    voltages = solution.v_n, solution.v_p, solution.v_col
    weighted = [(v * torch.randn(v.shape, generator=random, dtype=torch.float64).to(v)).sum() for v in voltages]
    return solution, list(torch.autograd.grad(torch.stack(weighted).sum(), leaves))


@pytest.mark.parametrize("what", ["ideal", "grounded", "wires", "mismatch", "shifts alone"])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_voltages_and_gradients_are_those_of_the_solver_in_float64(
    rows: int, columns: int, what: str, ptm90: Technology, inverters: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    v_in, g, m = stage_of(ptm90, rows, columns)
    crossbar: Conductances | WiredCrossbar = g
    if what == "wires":
        segments = Wires(row_ohm=20.0, column_ohm=30.0).at(27.0)
        crossbar = wired(g, segments, ptm90.rails, correction(g, segments, loads=True, near=EXACTLY))
    mismatch = random_mismatch(2, SAMPLES, rows) if what in ("mismatch", "shifts alone") else None
    if mismatch is not None and what == "shifts alone":
        mismatch = Mismatch(mismatch.shift[:, :, :1], None)
    answers, compiled, newton = [], [], compiled_stage.newton

    def seen(*given: Any) -> Any:
        compiled.append(given[4].dtype)
        return newton(*given)

    monkeypatch.setattr("spicetrain.inverter.training.stage.newton", seen)
    for dtype in (torch.float64, torch.float32):
        of = inverters[dtype][mismatch is not None]
        of = replace(of, ground_S=2e-5) if what == "grounded" else of
        box = type(crossbar)(*(part.to(dtype) for part in crossbar if part is not None))
        drawn = None
        if mismatch is not None:
            factor = None if mismatch.factor is None else mismatch.factor.to(dtype)
            drawn = Mismatch(mismatch.shift.to(dtype), factor)
        answers.append(solved(v_in.to(dtype), box, m.to(dtype), of, drawn))
    assert compiled == [torch.float32]
    (exact, exact_gradients), (single, gradients) = answers
    assert single.convergence.unconverged == 0
    for x, y in ((exact.v_n, single.v_n), (exact.v_p, single.v_p), (exact.v_col, single.v_col)):
        assert float((x - y).detach().abs().max()) < 50e-6
    for x, y in zip(exact_gradients, gradients, strict=True):
        assert float((x - y).norm()) < 5e-3 * float(x.norm())


def test_rails_need_not_be_around_zero(ptm90: Technology) -> None:
    """The currents of the coupling itself, of voltages from mid-rail."""
    rails, random = Rails(vdd_V=1.8, vss_V=0.2), np.random.default_rng(0)
    coupling = Ohmic(Conductances.of(random_crossbar(ptm90, 5, 3, seed=1), torch.float64), rails)
    stage = compiled_stage.Compiled.of(coupling, 0.0)
    v, v_col = torch.from_numpy(random.uniform(0.2, 1.8, (4, 10))), torch.from_numpy(random.uniform(0.2, 1.8, (4, 3)))
    into_n, into_p, into_c = coupling.currents(v[:, :5], v[:, 5:], v_col)
    x, x_col = v - rails.mid_V, v_col - rails.mid_V
    torch.testing.assert_close(stage.into_rows(x, x_col) - stage.G * x, torch.cat((into_n, into_p), 1))
    torch.testing.assert_close(x @ stage.T - stage.S * x_col + stage.i_columns, into_c)


def test_it_starts_near_where_it_ends(ptm90: Technology, inverters: dict) -> None:
    v_in, g, m = stage_of(ptm90, 40, 8)
    single = inverters[torch.float32][0]
    solution = solve_stage(v_in.float(), Conductances(*(x.float() for x in g)), m.float(), single, Tolerance())
    assert solution.convergence.iterations <= 4
    x_in = v_in.float() - ptm90.rails.mid_V
    loads = torch.stack(g.row_sums()) / m.T
    start = single.loaded.start(x_in, loads.flatten().float())
    settled = torch.cat((solution.v_n, solution.v_p), 1) - ptm90.rails.mid_V
    unloaded = single.vtc(v_in.float()) - ptm90.rails.mid_V
    assert float((start - settled).abs().mean()) < 0.25 * float((unloaded - settled[:, :40]).abs().mean())


@pytest.mark.parametrize("drive_V", [0.02, 0.1, 0.25])
def test_three_steps_are_enough_wherever_columns_are_pulled(drive_V: float, ptm90: Technology, inverters: dict) -> None:
    """Column by column a load of its own sign: all of them go far from mid-rail."""
    rows, columns, device = 60, 5, ptm90.memristor
    random = np.random.default_rng(0)
    strong = (np.arange(columns) % 2 == 0) ^ (random.random((rows, columns)) < 0.2)
    pos = device.g_min_S + np.where(strong, 0.3, 0.01) * device.g_max_S
    neg = device.g_min_S + np.where(strong, 0.01, 0.3) * device.g_max_S
    g = Conductances(*(torch.from_numpy(x).float() for x in (pos, neg, pos[0], neg[0])))
    v_in = torch.from_numpy(random.uniform(0, drive_V, (SAMPLES, rows)) * random.choice([-1, 1], (SAMPLES, 1))).float()
    solution = solve_stage(v_in, g, torch.ones(rows, 2), inverters[torch.float32][0], Tolerance())
    assert solution.convergence.iterations <= 3 and solution.convergence.unconverged == 0
    assert float((solution.v_col - ptm90.rails.mid_V).abs().max()) > 0.02


def test_the_start_goes_where_its_load_pulls() -> None:
    """i = s (high - v_out) of an inverter that is a conductance s to the upper rail: a mean of both, with weights s
    and g."""
    s, rails = 1e-4, Rails(vdd_V=1.5, vss_V=0.5)
    start = loaded_vtc(lambda v_in, v_out: (s * (1.5 - v_out), 0 * v_out, 0 * v_out - s), rails)
    g, pull = torch.tensor([2e-6, 3e-5, 1e-4, 7e-4]), torch.tensor([[0.11, -0.37, 0.5, -0.5], [0.0, 0.02, -0.9, 0.4]])
    found = start.start(torch.tensor([[0.2, -0.5], [0.1, 0.7]]), g, pull)
    expected = (0.5 * s + g * pull.clamp(-0.5, 0.5)) / (s + g)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


def test_the_start_carries_its_load() -> None:
    """The same, to mid-rail: v_out = high s / (s + g)."""
    s, rails = 1e-4, Rails(vdd_V=1.5, vss_V=0.5)

    def current(v_in: Tensor, v_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return s * (rails.vdd_V - v_out), torch.zeros_like(v_out), torch.full_like(v_out, -s)

    g = torch.tensor([1e-7, 3e-5, 1e-4, 7e-4])
    x_in = torch.tensor([[0.2, -0.5], [float("nan"), 0.7]])
    found = loaded_vtc(current, rails).start(x_in, g)
    expected = (rails.half_swing_V * s / (s + g)).expand(2, -1)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=2e-3)
    assert bool(found[1, 0].isnan()) and bool(found[1, 1].isfinite())


def test_the_start_knows_that_both_inverters_of_a_pair_switch_later() -> None:
    """v_out = -2 (v_in - later) s / (s + g), twice."""
    s, rails = 1e-4, Rails(vdd_V=0.5, vss_V=-0.5)
    start = loaded_vtc(lambda v_in, v_out: (-s * (2 * v_in + v_out), 0 * v_in, 0 * v_out - s), rails)
    g, x_in = torch.tensor([2e-5, 1e-4, 3e-5, 5e-5]), torch.tensor([[0.05, -0.03], [0.0, 0.08]])
    first, second = torch.tensor([[0.02, -0.01], [0.03, 0.0]]), torch.tensor([[-0.04, 0.03], [0.01, 0.02]])
    n = -2 * (x_in - first) * s / (s + g[:2])
    p = -2 * (n - second) * s / (s + g[2:])
    found = start.start(x_in, g, shift=torch.stack((first, second)))
    torch.testing.assert_close(found, torch.cat((n, p), 1), rtol=0, atol=2e-3)
    one = start.start(x_in, g, shift=torch.full((2, 1, 1), 0.02))
    every = start.start(x_in, g, shift=torch.full((2, 2, 2), 0.02))
    assert torch.equal(one, every)


def test_three_steps_are_enough_with_mismatch(ptm90: Technology, inverters: dict) -> None:
    v_in, g, m = stage_of(ptm90, 40, 8)
    shift = random_mismatch(2, SAMPLES, 40).shift.float() / 1.5
    mismatch = Mismatch(shift.mean(0, keepdim=True).expand_as(shift).contiguous(), None)
    given = v_in.float(), Conductances(*(x.float() for x in g)), m.float(), inverters[torch.float32][1], CLOSE
    convergence = solve_stage(*given, mismatch=mismatch).convergence
    assert convergence.iterations <= 3 and convergence.unconverged == 0


@pytest.mark.parametrize(("columns", "steps"), [(24, 1), (25, 2)])
def test_a_rough_first_step_is_never_the_last(columns: int, steps: int, ptm90: Technology, inverters: dict) -> None:
    v_in, g, m = stage_of(ptm90, 5, columns)
    given = v_in.float(), Conductances(*(x.float() for x in g)), m.float(), inverters[torch.float32][0]
    assert solve_stage(*given, Tolerance(step_V=1.0)).convergence.iterations == steps


@pytest.mark.parametrize("n", [1, 3, 10, 24, 25])
def test_small_systems(n: int) -> None:
    """Also those that need pivots: a permutation of the columns puts what is large off the diagonal."""
    random = np.random.default_rng(n)
    A = random.normal(size=(37, n, n)) * 0.1 + np.eye(n) * np.sqrt(n)
    right = random.normal(size=(37, n))
    for matrices in (A, A[:, :, ::-1], np.where(np.arange(37)[:, None, None] % 5 == 2, A[:, ::-1], A)):
        of, b = torch.from_numpy(matrices.copy()).float(), torch.from_numpy(right).float()
        for transposed in (False, True):
            expected = np.linalg.solve(matrices.transpose(0, 2, 1) if transposed else matrices, right[..., None])
            found = solve_systems(of, b, transposed=transposed)
            np.testing.assert_allclose(found.numpy(), expected[..., 0], rtol=0, atol=3e-5)


def test_a_singular_system_stays_by_itself() -> None:
    A = torch.eye(3).repeat(5, 1, 1)
    A[2] = 0
    found = solve_systems(A, torch.ones(5, 3))
    assert found.isfinite().all(1).tolist() == [True, True, False, True, True]
