"""The linear systems of wide stages, solved without being made, against their matrices made device by device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from bent import bending
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.coupling import coupling
from spicetrain.array.devices import Sinh
from spicetrain.array.tangent import Tangent
from spicetrain.array.wired import EXACTLY, correction, wired
from spicetrain.array.wires import Wires
from spicetrain.inverter.training import stage, wide_systems
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.stage import solve_stage
from spicetrain.inverter.training.wide_systems import WideSystems, inverse_of_mean
from spicetrain.technology import Technology

from .circuits import EXACT, random_crossbar, random_stage

ROWS, COLUMNS, SAMPLES = 9, 30, 5
KINDS = ["ohmic", "wires", "bending"]


def tangent_of(technology: Technology, kind: str, dtype: torch.dtype = torch.float64) -> Tangent:
    rails, random = technology.rails, np.random.default_rng(0)
    g: Any = Conductances.of(random_crossbar(technology, ROWS, COLUMNS, seed=1), torch.float64)
    if kind == "wires":
        segments = Wires(row_ohm=20.0, column_ohm=30.0).at(27.0)
        g = wired(g, segments, rails, correction(g, segments, loads=True, near=EXACTLY))
    g = type(g)(*(part.to(dtype) for part in g))
    device = Sinh(**{name: getattr(technology.memristor, name) for name in ("g_min_S", "g_max_S")}, b_per_V=4.0)
    voltages = (torch.from_numpy(random.uniform(-0.2, 0.2, (SAMPLES, n))).to(dtype) for n in (ROWS, ROWS, COLUMNS))
    return coupling(g, rails, device if kind == "bending" else None).tangent(*voltages)


def inverters_of(s: Tangent, gain: float) -> tuple[Tensor, Tensor, Tensor]:
    """a, b, t [SAMPLES, ROWS] of inverters that the crossbar loads by half, or nearly stops."""
    random = torch.Generator().manual_seed(0)
    share_n, share_p = torch.rand(2, SAMPLES, ROWS, generator=random, dtype=torch.float64).mul(0.5).add(0.45)
    a, b = share_n / s.G_n, share_p / s.G_p
    return a, b, -gain * torch.rand(SAMPLES, ROWS, generator=random, dtype=torch.float64) * (a * b).sqrt()


def made(s: Tangent, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Column by column of what the crossbar does to columns and rows."""
    columns = []
    for j in range(COLUMNS):
        unit = torch.zeros(SAMPLES, COLUMNS, dtype=a.dtype)
        unit[:, j] = 1
        n, p = s.to_rows(unit)
        columns.append(s.S * unit - s.to_columns(a * n, b * p + t * n))
    return torch.stack(columns, 2)


def right_side() -> Tensor:
    return torch.randn(SAMPLES, COLUMNS, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-6


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for every step that is taken."""
    steps, plain = list[None](), WideSystems._image

    def seen(*given: Any) -> Tensor:
        steps.append(None)
        return plain(*given)

    monkeypatch.setattr(WideSystems, "_image", seen)
    return steps


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("gain", [0.5, 8.0])
@pytest.mark.parametrize("kind", KINDS)
def test_solutions_are_those_of_the_matrices(kind: str, gain: float, transposed: bool, ptm90: Technology) -> None:
    s, right = tangent_of(ptm90, kind), right_side()
    abt = inverters_of(s, gain)
    A = made(s, *abt)
    torch.testing.assert_close(s.matrix(*abt, rough=False), A)
    expected = torch.linalg.solve(A.mT if transposed else A, right)
    for near in (None, inverse_of_mean(s, *abt)) if kind != "bending" else (None,):
        x, n, p = WideSystems(s, *abt, near).solve(right, transposed=transposed)
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-9 * float(expected.abs().max()))
        for found, pulled in zip((n, p), (s.adjoint if transposed else s).to_rows(expected), strict=True):
            torch.testing.assert_close(found, pulled, rtol=0, atol=1e-9 * float(pulled.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_what_takes_too_many_steps_is_eliminated_by_itself(
    kind: str, ptm90: Technology, monkeypatch: pytest.MonkeyPatch
) -> None:
    s, right = tangent_of(ptm90, kind), right_side()
    abt = inverters_of(s, 8.0)
    abt[2][3:] = 0
    near = torch.linalg.inv(made(s, *abt)[3]) if kind != "bending" else None
    eliminated = []
    plain = WideSystems._eliminated

    def seen(self: WideSystems, them: Tensor, *rest: Any) -> Tensor:
        eliminated.append(them.tolist())
        return plain(self, them, *rest)

    monkeypatch.setattr(WideSystems, "_eliminated", seen)
    monkeypatch.setattr(wide_systems, "_STEPS", 1)
    x, n, p = WideSystems(s, *abt, near).solve(right)
    assert eliminated and all(eliminated[0][:3])
    if near is not None:
        assert not eliminated[0][3]  # whose own inverse that was
    expected = torch.linalg.solve(made(s, *abt), right)
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-9 * float(expected.abs().max()))
    for found, pulled in zip((n, p), s.to_rows(x), strict=True):
        torch.testing.assert_close(found, pulled)


@pytest.mark.parametrize("near_V", [1e-3, 1e-6])
def test_a_solution_is_as_near_as_is_asked(near_V: float, ptm90: Technology, taken: list[None]) -> None:
    s, right = tangent_of(ptm90, "ohmic"), right_side()
    abt = inverters_of(s, 0.5)
    systems = WideSystems(s, *abt, inverse_of_mean(s, *abt))
    exactly = systems.solve(right)[0]
    steps = len(taken)
    off_V = float((systems.solve(right, near_V=near_V)[0] - exactly).abs().max())
    assert len(taken) - steps < steps and near_V / 1e4 < off_V < 2 * near_V
    off = (systems.solve(right, near=0.05)[0] - exactly).norm() / exactly.norm()
    assert 1e-5 < float(off) < 0.1


@pytest.mark.parametrize("near", [1e-2, 1e-5, 1e-8])
def test_no_more_steps_are_taken_than_krylovs_space_needs(near: float, ptm90: Technology, taken: list[None]) -> None:
    """Least squares over the space of M r, M A M r, ..., M the diagonal's inverse, leave as little as can be left."""
    s, right = tangent_of(ptm90, "ohmic"), right_side()
    abt = inverters_of(s, 8.0)
    A, M, needed = made(s, *abt), torch.diag(1 / s.S), []
    for matrix, of in zip(A, right, strict=True):
        space = torch.empty(COLUMNS, 0, dtype=of.dtype)
        left, v = of, of
        while left.norm() > near * of.norm():
            space = torch.linalg.qr(torch.cat((space, (M @ v)[:, None]), 1))[0]
            left = of - matrix @ space @ torch.linalg.lstsq(matrix @ space, of[:, None]).solution[:, 0]
            v = matrix @ space[:, -1]
        needed.append(space.shape[1])
    WideSystems(s, *abt, None).solve(right, near=near)
    assert len(taken) == max(needed) > 1


def test_the_inverse_of_the_mean_leaves_fewer_steps(ptm90: Technology, taken: list[None]) -> None:
    """Where samples differ by some percent."""
    s, right = tangent_of(ptm90, "ohmic"), right_side()
    scale = 1 + 0.05 * torch.randn(3, SAMPLES, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    a, b, t = (of[:1] * by for of, by in zip(inverters_of(s, 8.0), scale, strict=True))
    steps = []
    for near_inverse in (None, inverse_of_mean(s, a, b, t)):
        taken.clear()
        WideSystems(s, a, b, t, near_inverse).solve(right, near=1e-4)
        steps.append(len(taken))
    by_diagonal, by_mean = steps
    assert by_mean < by_diagonal


def test_a_sample_that_is_no_number_stays_by_itself(ptm90: Technology) -> None:
    s = tangent_of(ptm90, "ohmic", torch.float32)
    a, b, t = (of.float() for of in inverters_of(s, 0.5))
    a[2, 0] = float("nan")
    near = inverse_of_mean(s, a[:2], b[:2], t[:2])
    found = WideSystems(s, a, b, t, near).solve(right_side().float())
    for of in found:
        assert of.isfinite().all(1).tolist() == [True, True, False, True, True]


def test_nothing_to_solve_is_solved_by_nothing(ptm90: Technology, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WideSystems, "_eliminated", None)
    s = tangent_of(ptm90, "ohmic", torch.float32)
    a, b, t = (of.float() for of in inverters_of(s, 0.5))
    for of in WideSystems(s, a, b, t, None).solve(torch.zeros(SAMPLES, COLUMNS)):
        assert not of.any()


@pytest.mark.parametrize("form", [None, "sinh", "table"])
def test_a_wide_stage_is_what_matrices_make_it(
    form: str | None, ptm90: Technology, inverters: Inverters, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = ptm90.memristor if form is None else bending(ptm90, form).memristor
    leaves = [of.requires_grad_() for of in random_stage(ptm90, ROWS, COLUMNS)]
    v_in, *g, m_n, m_p = leaves

    def solved() -> tuple[list[Tensor], tuple[Tensor, ...]]:
        of = solve_stage(v_in, Conductances(*g), torch.stack([m_n, m_p], 1), inverters, EXACT, device=device)
        assert of.convergence.unconverged == 0
        voltages = [of.v_n, of.v_p, of.v_col]
        weights = (torch.linspace(-1, 1, v.shape[1], dtype=v.dtype) for v in voltages)
        weighted = torch.stack([(v * w).square().sum() for v, w in zip(voltages, weights, strict=True)]).sum()
        return voltages, torch.autograd.grad(weighted, leaves)

    wide = solved()
    monkeypatch.setattr(stage, "WIDE", COLUMNS)
    monkeypatch.setattr(WideSystems, "solve", None)
    for found, expected in zip(wide, solved(), strict=True):
        for x, y in zip(found, expected, strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=1e-8 * float(y.detach().abs().max()))
