"""The stage solver against scipy on Kirchhoff's equations written anew, and its gradients against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import root
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.training.inverters import Inverters, inverters_of
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.stage import StageSolution, solve_stage
from spicetrain.inverter.training.tabulated import tabulate
from spicetrain.inverter.training.voltages import Convergence
from spicetrain.technology import Technology

from .circuits import EXACT, random_crossbar

SHAPES = [(1, 1), (5, 3), (3, 7), (40, 2)]
SAMPLES = 6


def stage(technology: Technology, rows: int, columns: int) -> tuple[Tensor, ...]:
    """v_in [samples, rows], g_n, g_p, b_pos, b_neg, m_n, m_p; the gates from rail to rail."""
    rng = np.random.default_rng(10 * rows + columns)
    box = random_crossbar(technology, rows, columns, seed=rows)
    v_in = rng.uniform(-0.25, 0.25, (SAMPLES, rows))
    v_in[0], v_in[1] = 0.25, np.linspace(-0.002, 0.002, rows)  # both ends, and where the gain is largest
    arrays = (v_in, box.pos, box.neg, box.bias_pos, box.bias_neg, rng.uniform(0.5, 4, rows), rng.uniform(0.5, 4, rows))
    return tuple(torch.from_numpy(array) for array in arrays)


def solve(arrays: Sequence[Tensor], inverters: Inverters, tolerance: Tolerance) -> StageSolution:
    v_in, g_n, g_p, b_pos, b_neg, m_n, m_p = arrays
    return solve_stage(v_in, Conductances(g_n, g_p, b_pos, b_neg), torch.stack([m_n, m_p], 1), inverters, tolerance)


def voltages(solution: StageSolution) -> tuple[Tensor, Tensor, Tensor]:
    return solution.v_n, solution.v_p, solution.v_col


def current_into_node(inverters: Inverters, fingers: float, v_in: float, v_out: float) -> float:
    i = inverters.current(torch.tensor([v_in], dtype=torch.float64), torch.tensor([v_out], dtype=torch.float64))[0]
    return fingers * float(i)


def kirchhoff(inverters: Inverters, sample: int, arrays: tuple[Tensor, ...]) -> Callable[[NDArray], list[float]]:
    """Sum of the currents into every node, microamperes, device by device; unknowns v_n, v_p, v_col."""
    v_in, g_n, g_p, b_pos, b_neg, m_n, m_p = (tensor.numpy() for tensor in arrays)
    rows, columns = g_n.shape

    def currents(x: NDArray) -> list[float]:
        v_n, v_p, v_col = x[:rows], x[rows : 2 * rows], x[2 * rows :]
        sums = []
        for i in range(rows):
            into_load = sum(g_n[i, j] * (v_n[i] - v_col[j]) for j in range(columns))
            into_load += inverters.ground_S * v_n[i]
            sums.append(current_into_node(inverters, m_n[i], v_in[sample, i], v_n[i]) - into_load)
        for i in range(rows):
            into_load = sum(g_p[i, j] * (v_p[i] - v_col[j]) for j in range(columns))
            into_load += inverters.ground_S * v_p[i]
            sums.append(current_into_node(inverters, m_p[i], v_n[i], v_p[i]) - into_load)
        for j in range(columns):
            rows_j = sum(g_n[i, j] * (v_n[i] - v_col[j]) + g_p[i, j] * (v_p[i] - v_col[j]) for i in range(rows))
            sums.append(rows_j + b_pos[j] * (0.25 - v_col[j]) + b_neg[j] * (-0.25 - v_col[j]))
        return [1e6 * value for value in sums]

    return currents


@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_the_solution_is_where_kirchhoffs_currents_vanish(
    rows: int, columns: int, ground_S: float, ptm90: Technology, inverters: Inverters
) -> None:
    inverters = replace(inverters, ground_S=ground_S)
    arrays = stage(ptm90, rows, columns)
    solution = solve(arrays, inverters, EXACT)
    v = torch.cat(voltages(solution), dim=1).numpy()
    assert solution.convergence.unconverged == 0
    for sample in range(SAMPLES):
        currents = kirchhoff(inverters, sample, arrays)
        assert np.abs(currents(v[sample])).max() < 1e-9
    assert np.ptp(v[:, :rows]) > 0.1


@pytest.mark.parametrize(("rows", "columns"), SHAPES[:3])
def test_scipy_finds_the_same_voltages(rows: int, columns: int, ptm90: Technology, inverters: Inverters) -> None:
    arrays = stage(ptm90, rows, columns)
    v = torch.cat(voltages(solve(arrays, inverters, EXACT)), dim=1).numpy()
    for sample in (0, 1, 4):
        inverted = np.where(arrays[0][sample] > 0, -0.1, 0.1)
        start = np.concatenate([inverted, -inverted, np.zeros(columns)])
        found = root(kirchhoff(inverters, sample, arrays), start, method="lm", options={"xtol": 1e-14, "ftol": 1e-14})
        assert found.success
        np.testing.assert_allclose(v[sample], found.x, rtol=0, atol=1e-9)


NAMES = ("v_in", "g_n", "g_p", "b_pos", "b_neg", "m_n", "m_p")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("shape", "ground_S"), [((1, 1), 0.0), ((3, 2), 2e-5), ((2, 4), 0.0)])
def test_gradients_are_those_of_finite_differences(
    name: str, shape: tuple[int, int], ground_S: float, ptm90: Technology, inverters: Inverters
) -> None:
    inverters = replace(inverters, ground_S=ground_S)
    arrays = list(stage(ptm90, *shape))
    place = NAMES.index(name)
    value = arrays[place][1:4] if place == 0 else arrays[place]
    arrays[0] = arrays[0][1:4]

    def outputs(u: Tensor) -> tuple[Tensor, ...]:
        """u is of order one: conductances are so small that a step of gradcheck would be larger than they are."""
        arrays[place] = value + 0.1 * u if place == 0 else value * torch.exp(u)
        return voltages(solve(arrays, inverters, EXACT))

    u = torch.zeros_like(value, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (u,), eps=1e-5, atol=2e-8, rtol=1e-5)


@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
def test_gradients_of_the_outputs_too(ground_S: float, inverters: Inverters) -> None:
    v_in = torch.tensor([[-0.1, 0.003, 0.08]], dtype=torch.float64, requires_grad=True)
    m = torch.tensor([1.0, 2.5, 4.0], dtype=torch.float64, requires_grad=True)
    grounded = replace(inverters, ground_S=ground_S)
    assert torch.autograd.gradcheck(
        lambda v, m: solve_output(v, m, grounded, EXACT).v_out, (v_in, m), eps=1e-6, atol=1e-8, rtol=1e-5
    )


def test_unloaded_outputs_carry_no_current(inverters: Inverters) -> None:
    v_in = torch.linspace(-0.25, 0.25, 41, dtype=torch.float64)[:, None]
    output = solve_output(v_in, torch.ones(1, dtype=torch.float64), inverters, EXACT)
    v_out = output.v_out
    i_out, _, di_out = inverters.current(v_in, v_out)
    assert output.convergence.unconverged == 0
    assert float((i_out / di_out).abs().max()) < 1e-11
    assert torch.all(v_out.diff(dim=0) < 0)
    assert float(v_out[0]) > 0.24
    assert float(v_out[-1]) < -0.24


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_float32_with_the_tolerance_of_training_is_near_float64(
    rows: int, columns: int, ptm90: Technology, surface: CurrentSurface, inverters: Inverters
) -> None:
    arrays = stage(ptm90, rows, columns)
    exact = solve(arrays, inverters, EXACT)
    single = solve([x.float() for x in arrays], inverters_of(surface.to(torch.float32)), Tolerance())
    assert single.convergence.unconverged == 0
    for name, x, y in zip(("v_n", "v_p", "v_col"), voltages(exact), voltages(single), strict=True):
        assert y.dtype == torch.float32
        assert float((x - y).abs().max()) < 50e-6, name


def test_what_does_not_converge_is_counted_sample_by_sample(ptm90: Technology, inverters: Inverters) -> None:
    arrays = stage(ptm90, 5, 3)
    few = Tolerance(coarse_iterations=1, iterations=1, step_V=1e-6)
    impossible, hasty, fair = (
        solve(arrays, inverters, tolerance).convergence for tolerance in (Tolerance(step_V=1e-30), few, Tolerance())
    )
    assert impossible.unconverged == SAMPLES
    assert impossible.iterations >= Tolerance().iterations
    assert 0 < hasty.unconverged <= SAMPLES
    assert hasty.step_V > 1e-6
    assert (fair.unconverged, fair.step_V <= Tolerance().step_V) == (0, True)
    one = torch.ones(5, dtype=torch.float64)
    output = solve_output(arrays[0][1:3], one, inverters, replace(few, step_V=1e-12))
    assert (fair + output.convergence).unconverged == 2


def test_not_a_number_is_unconverged_and_stays_in_its_sample(ptm90: Technology, inverters: Inverters) -> None:
    v_in, *others = stage(ptm90, 5, 3)
    expected = solve([v_in, *others], inverters, EXACT)
    broken = v_in.clone()
    broken[2, 1] = torch.nan
    found = solve([broken, *others], inverters, EXACT)
    assert found.convergence.unconverged == 1
    whole = [0, 1, 3, 4, 5]
    for x, y in zip(voltages(expected), voltages(found), strict=True):
        assert bool(y[2].isnan().any())
        torch.testing.assert_close(x[whole], y[whole], rtol=0, atol=1e-10)


def test_convergences_add_up_to_the_worst_of_all_solves() -> None:
    together = Convergence(3e-3, 4, 1) + Convergence(2e-4, 9, 2)
    assert together == Convergence(3e-3, 9, 3)


def test_the_coarse_table_is_near_the_surface_it_tabulates(inverters: Inverters) -> None:
    generator = torch.Generator().manual_seed(0)
    v = torch.rand(2, 3000, generator=generator, dtype=torch.float64) * 0.499 - 0.2495
    exact, coarse = inverters.current(*v), inverters.coarse(*v)
    for name, x, y in zip(("i_out", "di_in", "di_out"), exact, coarse, strict=True):
        relative = (x - y).abs().max() / x.abs().max()
        assert relative < (2e-4 if name == "i_out" else 0.05), name
    assert (exact[0] - coarse[0]).abs().max() > 0  # it is another function


def test_a_table_of_a_bilinear_function_is_that_function() -> None:
    def plane(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return 2 + 3 * x - 5 * y + 7 * x * y, 3 + 7 * y, -5 + 7 * x

    table = tabulate(plane, -1.0, 3.0, like=torch.zeros((), dtype=torch.float64), cells=7)
    x, y = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 4 - 1
    for expected, found in zip(plane(x, y), table(x, y), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
