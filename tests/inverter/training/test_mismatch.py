"""Stages and outputs whose transistors differ: Kirchhoff's law written anew, and gradients against differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch, transistor_currents
from spicetrain.inverter.training.inverters import Inverters, inverters_of
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.stage import StageSolution, solve_stage
from spicetrain.inverter.training.variation import TrainingDraws
from spicetrain.mismatch import Mismatch as Coefficients
from spicetrain.mismatch import TransistorMismatch
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

from .circuits import EXACT, random_crossbar
from .circuits import random_mismatch as mismatch

SHAPES = [(1, 1), (5, 3)]
SAMPLES = 4

every_shape = pytest.mark.parametrize(("rows", "columns"), SHAPES)


def stage(technology: Technology, rows: int, columns: int) -> tuple[Tensor, Conductances, Tensor]:
    """(v_in [samples, rows], the crossbar, sizes [rows, 2]): gates at both ends, and where the gain is largest."""
    rng = np.random.default_rng(10 * rows + columns)
    v_in = rng.uniform(-0.03, 0.03, (SAMPLES, rows))
    v_in[0], v_in[1] = 0.25, -0.25
    box = Conductances.of(random_crossbar(technology, rows, columns, seed=rows), torch.float64)
    return torch.from_numpy(v_in), box, torch.from_numpy(rng.uniform(1.0, 4.0, (rows, 2)))


def solve(v_in: Tensor, box: Conductances, sizes: Tensor, inverters: Inverters, of: Mismatch | None) -> StageSolution:
    return solve_stage(v_in, box, sizes, inverters, EXACT, mismatch=of)


def voltages(solution: StageSolution) -> Tensor:
    return torch.cat([solution.v_n, solution.v_p, solution.v_col], 1)


def into_node(
    surface: CurrentSurface, of: Mismatch, place: tuple[int, int, int], fingers: float, v_in: float, v_out: float
) -> float:
    """What one inverter's pMOS pours into its output less what its nMOS takes, each at its own gate; microamperes."""
    currents = []
    assert of.factor is not None
    for kind in (0, 1):
        gate = torch.tensor([v_in - float(of.shift[kind][place])], dtype=torch.float64)
        of_both = transistor_currents(surface, gate, torch.tensor([v_out], dtype=torch.float64))
        currents.append(float(of.factor[kind][place]) * float(of_both[kind][0]))
    return 1e6 * fingers * (currents[1] - currents[0])


@every_shape
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
def test_kirchhoffs_currents_vanish_with_every_transistors_own_gate_and_factor(
    rows: int, columns: int, shared: bool, ground_S: float, ptm90: Technology, beyond: CurrentSurface,
    mismatched: Inverters,
) -> None:  # fmt: skip
    v_in, box, sizes = stage(ptm90, rows, columns)
    of = mismatch(2, 1 if shared else SAMPLES, rows)
    solution = solve(v_in, box, sizes, replace(mismatched, ground_S=ground_S), of)
    assert solution.convergence.unconverged == 0
    g_n, g_p, b_pos, b_neg = (1e6 * g for g in box)
    for sample in range(SAMPLES):
        v_n, v_p, v_col = (v[sample] for v in (solution.v_n, solution.v_p, solution.v_col))
        drawn = 0 if shared else sample
        for i in range(rows):
            for second, gate, out, g in ((0, v_in[sample, i], v_n[i], g_n[i]), (1, v_n[i], v_p[i], g_p[i])):
                given = into_node(beyond, of, (second, drawn, i), float(sizes[i, second]), float(gate), float(out))
                taken = float((g * (out - v_col)).sum() + 1e6 * ground_S * out)
                assert given == pytest.approx(taken, abs=1e-8)
        into_columns = g_n.T @ v_n + g_p.T @ v_p - (g_n.sum(0) + g_p.sum(0)) * v_col
        into_columns += b_pos * (0.25 - v_col) + b_neg * (-0.25 - v_col)
        assert float(into_columns.abs().max()) < 1e-8
    plain = solve(v_in, box, sizes, replace(inverters_of(beyond), ground_S=ground_S), None)
    assert float((voltages(plain) - voltages(solution)).abs().max()) > 5e-3  # it does move the nodes


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
def test_of_output_inverters_too(shared: bool, ground_S: float, beyond: CurrentSurface, mismatched: Inverters) -> None:
    v_in = torch.tensor([[0.25, -0.25, 0.0], [0.01, -0.01, 0.02]], dtype=torch.float64)
    m, of = torch.tensor([1.0, 2.5, 4.0], dtype=torch.float64), mismatch(1, 1 if shared else 2, 3)
    output = solve_output(v_in, m, replace(mismatched, ground_S=ground_S), EXACT, mismatch=of.of(0))
    assert output.convergence.unconverged == 0
    for sample in range(2):
        for j in range(3):
            v_out, place = float(output.v_out[sample, j]), (0, 0 if shared else sample, j)
            given = into_node(beyond, of, place, float(m[j]), float(v_in[sample, j]), v_out)
            assert given == pytest.approx(1e6 * ground_S * v_out, abs=1e-8)


@every_shape
def test_no_mismatch_is_the_solution_without(
    rows: int, columns: int, ptm90: Technology, beyond: CurrentSurface, mismatched: Inverters
) -> None:
    v_in, box, sizes = stage(ptm90, rows, columns)
    without = inverters_of(beyond)
    none = Mismatch(torch.zeros(2, 2, 1, rows, dtype=torch.float64), torch.ones(2, 2, 1, rows, dtype=torch.float64))
    plain = voltages(solve(v_in, box, sizes, without, None))
    for of in (none, Mismatch(none.shift)):
        torch.testing.assert_close(voltages(solve(v_in, box, sizes, mismatched, of)), plain, rtol=0, atol=1e-10)
    out = solve_output(v_in, sizes[:, 0], without, EXACT).v_out
    same = solve_output(v_in, sizes[:, 0], mismatched, EXACT, mismatch=none.of(0)).v_out
    torch.testing.assert_close(same, out, rtol=0, atol=1e-10)


def test_one_chip_for_all_samples_is_the_same_chip_for_each(ptm90: Technology, mismatched: Inverters) -> None:
    v_in, box, sizes = stage(ptm90, 5, 3)
    one = mismatch(2, 1, 5)
    assert one.factor is not None
    each = Mismatch(one.shift.expand(2, 2, SAMPLES, 5), one.factor.expand(2, 2, SAMPLES, 5))
    shared, apart = (voltages(solve(v_in, box, sizes, mismatched, of)) for of in (one, each))
    torch.testing.assert_close(shared, apart, rtol=0, atol=1e-10)


def test_float32_with_the_tolerance_of_training_is_near_float64(
    ptm90: Technology, beyond: CurrentSurface, mismatched: Inverters
) -> None:
    """As a training has it: without the residual, whose place is behind the digits of float32."""
    from spicetrain.inverter.training.inverters import mismatched_inverters_of

    v_in, box, sizes = stage(ptm90, 5, 3)
    of = mismatch(2, SAMPLES, 5)
    assert of.factor is not None
    bare = replace(beyond, residual=None)
    exact = voltages(solve(v_in, box, sizes, mismatched_inverters_of(bare), of))
    single = solve_stage(
        v_in.float(), Conductances(*(g.float() for g in box)), sizes.float(),
        mismatched_inverters_of(bare.to(torch.float32)), Tolerance(), mismatch=Mismatch(*(t.float() for t in of)),  # type: ignore[union-attr]
    )  # fmt: skip
    assert single.convergence.unconverged == 0
    assert float((voltages(single) - exact).abs().max()) < 100e-6


NAMES = ("v_in", "g_n", "g_p", "b_pos", "b_neg", "sizes", "shift", "factor")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shared", [False, True])
def test_gradients_are_those_of_finite_differences(
    name: str, shared: bool, ptm90: Technology, mismatched: Inverters
) -> None:
    v_in, box, sizes = stage(ptm90, 3, 2)
    inverters = replace(mismatched, ground_S=2e-5)
    values: list[Tensor] = [v_in[2:], *box, sizes, *mismatch(2, 1 if shared else 2, 3)]  # type: ignore[list-item]
    place = NAMES.index(name)
    value = values[place]

    def outputs(u: Tensor) -> Tensor:
        """u is of order one, each in its own measure."""
        values[place] = value + 0.1 * u if name in ("v_in", "shift") else value * torch.exp(u)
        return voltages(solve(values[0], Conductances(*values[1:5]), values[5], inverters, Mismatch(*values[6:])))

    u = torch.zeros_like(value, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (u,), eps=1e-5, atol=5e-8, rtol=1e-5)
    assert float(torch.autograd.grad(outputs(u).abs().sum(), u)[0].abs().max()) > 1e-4


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("of_what", [("v_in", "m"), ("shift",), ("factor",), ("shift", "factor")])
def test_gradients_of_the_outputs_too(shared: bool, of_what: Sequence[str], mismatched: Inverters) -> None:
    v_in = torch.tensor([[-0.02, 0.003, 0.01], [0.02, 0.0, -0.01]], dtype=torch.float64)
    of = mismatch(1, 1 if shared else 2, 3).of(0)
    assert of.factor is not None
    values = {"v_in": v_in, "m": torch.tensor([1.0, 2.5, 4.0], dtype=torch.float64), **of._asdict()}
    grounded = replace(mismatched, ground_S=2e-5)

    def outputs(*changed: Tensor) -> Tensor:
        now = values | dict(zip(of_what, changed, strict=True))
        return solve_output(
            now["v_in"], now["m"], grounded, EXACT, mismatch=Mismatch(now["shift"], now["factor"])
        ).v_out

    changed = [values[name].clone().requires_grad_() for name in of_what]
    assert torch.autograd.gradcheck(outputs, changed, eps=1e-6, atol=1e-7, rtol=1e-5)
    for gradient in torch.autograd.grad(outputs(*changed).sum(), changed):
        assert float(gradient.abs().max()) > 1e-4


def test_a_larger_inverter_is_steadier_and_the_gradient_knows(ptm90: Technology, mismatched: Inverters) -> None:
    """Sizes act twice: in Kirchhoff's law, and in the sigma that falls with their root."""
    technology = ptm90.changed()
    statistics = Statistics(_coefficients(a_beta=1e-8))
    v_in, box, sizes = stage(ptm90, 3, 2)
    inverters = replace(mismatched, ground_S=2e-5)

    def outputs(u: Tensor) -> Tensor:
        fingers = sizes * u.exp()
        draws = TrainingDraws(technology, statistics)
        of = draws.mismatch([fingers], 2, torch.Generator().manual_seed(3))
        assert of is not None
        return voltages(solve(v_in[2:], box, fingers, inverters, of[0]))

    u = torch.zeros_like(sizes, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (u,), eps=1e-5, atol=5e-8, rtol=1e-5)


def _coefficients(a_vt: float = 3.5e-9, a_beta: float = 0.0) -> Coefficients:
    one = TransistorMismatch(A_VT_Vm=a_vt, A_beta_m=a_beta)
    return Coefficients(convention="single", nmos=one, pmos=one)


def test_draws_have_the_sigma_of_their_size_and_each_sample_its_own(ptm90: Technology) -> None:
    sizes = torch.tensor([[1.0, 4.0], [16.0, 2.0]], dtype=torch.float64)
    draws = TrainingDraws(ptm90, Statistics(_coefficients(a_beta=1e-9), mismatch_scale=0.5))
    found = draws.mismatch([sizes], 20_000, torch.Generator().manual_seed(0))
    assert found is not None and found[0].factor is not None
    area = {0: 240e-9 * 90e-9, 1: 560e-9 * 90e-9}
    for kind in (0, 1):
        for inverter in (0, 1):
            for column in (0, 1):
                root = math.sqrt(area[kind] * float(sizes[column, inverter]))
                shift, factor = (t[kind, inverter, :, column] for t in (found[0].shift, found[0].factor))
                # 20,000 draws: sigma is off by 0.5 %, one sigma
                assert float(shift.std()) == pytest.approx(0.5 * 3.5e-9 / root, rel=0.03)
                assert float(factor.std()) == pytest.approx(0.5 * 1e-9 / root, rel=0.03)
                assert float(shift.mean()) == pytest.approx(0, abs=0.05 * 0.5 * 3.5e-9 / root)
    correlation = torch.corrcoef(torch.cat([found[0].shift, found[0].factor]).permute(0, 1, 3, 2).reshape(8 * 2, -1))
    assert float((correlation - torch.eye(16)).abs().max()) < 0.05
    none = TrainingDraws(ptm90, Statistics(_coefficients())).mismatch([sizes], 2, torch.Generator())
    assert none is not None and none[0].factor is None
    assert TrainingDraws(ptm90, Statistics()).mismatch([sizes], 2, torch.Generator()) is None


def test_the_coarse_table_takes_a_mismatch_as_its_surface_does(mismatched: Inverters) -> None:
    rng = np.random.default_rng(1)
    v_in, v_out = (torch.from_numpy(rng.uniform(-0.24, 0.24, (50, 3))) for _ in range(2))
    of = mismatch(1, 50, 3).of(0)
    exact, coarse = mismatched.current(v_in, v_out, of), mismatched.coarse(v_in, v_out, of)
    for name, x, y in zip(("i_out", "di_in", "di_out"), exact, coarse, strict=True):
        assert float((x - y).abs().max() / x.abs().max()) < (1e-3 if name == "i_out" else 0.05), name
