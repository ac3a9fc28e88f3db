"""Crossbars of devices that bend: columns and stages against Kirchhoff's currents device by device, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from bent import BENDING, bending, with_sinh
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array import columns as columns_module
from spicetrain.array.columns import held_columns, open_columns
from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.open_column import heat, open_column_voltage
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.stage import StageSolution, solve_stage
from spicetrain.rails import Rails
from spicetrain.technology import Technology

from .circuits import EXACT, random_crossbar, random_stage

SHAPES = [(1, 1), (5, 3), (3, 7)]
LOPSIDED = Rails(vdd_V=0.35, vss_V=-0.15)
NAMES = ("v_in", "g_n", "g_p", "b_pos", "b_neg", "m_n", "m_p")

every_form = pytest.mark.parametrize("form", BENDING)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def into_columns(box: Crossbar, device: Device, rows: Sequence[NDArray], v_col: NDArray) -> NDArray:
    """Currents into the columns, [samples, columns] amperes, device by device; rows: v_pos, v_neg [samples, rows]."""
    total = np.zeros_like(v_col)
    for k, j in np.ndindex(v_col.shape):
        for g, v in ((box.pos, rows[0]), (box.neg, rows[1])):
            for i in range(box.rows):
                total[k, j] += device.current(g[i, j], v[k, i] - v_col[k, j])
        total[k, j] += device.current(box.bias_pos[j], LOPSIDED.vdd_V - v_col[k, j])
        total[k, j] += device.current(box.bias_neg[j], LOPSIDED.vss_V - v_col[k, j])
    return total


def signals(rows: int) -> NDArray[np.float64]:
    """Some at 0, as most pixels of an image are."""
    rng = np.random.default_rng(rows)
    return LOPSIDED.half_swing_V * rng.uniform(-1, 1, (4, rows)) * (rng.random((4, rows)) < 0.6)


@every_form
@every_shape
def test_an_open_column_floats_where_it_takes_no_current(ptm90: Technology, form: str, shape: tuple[int, int]) -> None:
    device, box, signal = bending(ptm90, form).memristor, random_crossbar(ptm90, *shape, seed=3), signals(shape[0])
    rows = LOPSIDED.mid_V + signal, LOPSIDED.mid_V - signal
    v_col = open_column_voltage(box, *rows, LOPSIDED, device)
    scale = np.array([device.slope(g, 0.2) for g in box.column_sum])
    np.testing.assert_allclose(into_columns(box, device, rows, v_col) / scale, 0, atol=1e-10)
    straight = box.open_column_voltage(*rows, LOPSIDED)
    assert shape == (1, 1) or np.abs(v_col - straight).max() > 1e-3
    g = Conductances.of(box, torch.float64)
    open_ = open_columns(g, torch.from_numpy(signal), LOPSIDED, device)
    held = held_columns(g, torch.from_numpy(rows[0]), torch.from_numpy(rows[1]), LOPSIDED, device)
    np.testing.assert_allclose(open_.numpy(), v_col, atol=1e-11)
    np.testing.assert_allclose(held.numpy(), v_col, atol=1e-11)


@every_form
def test_what_the_sources_give_becomes_heat(ptm90: Technology, form: str) -> None:
    device, box, signal = bending(ptm90, form).memristor, random_crossbar(ptm90, 5, 3, seed=3), signals(5)
    v_pos, v_neg = LOPSIDED.mid_V + signal, LOPSIDED.mid_V - signal
    v_col = open_column_voltage(box, v_pos, v_neg, LOPSIDED, device)
    power = np.zeros(4)
    for g, v_row in ((box.pos, v_pos), (box.neg, v_neg)):
        power += (v_row[:, :, None] * device.current(g, v_row[:, :, None] - v_col[:, None])).sum((1, 2))
    for g_bias, v in ((box.bias_pos, LOPSIDED.vdd_V), (box.bias_neg, LOPSIDED.vss_V)):
        power += (v * device.current(g_bias, v - v_col)).sum(1)
    np.testing.assert_allclose(heat(box, v_pos, v_neg, LOPSIDED, device), power, rtol=1e-9)


@every_form
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_large_array_is_solved_by_a_polynomial_between_nodes(
    ptm90: Technology, form: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, box = bending(ptm90, form).memristor, random_crossbar(ptm90, 200, 6, seed=3)
    signal = np.abs(signals(200))
    wanted = open_column_voltage(box, LOPSIDED.mid_V + signal, LOPSIDED.mid_V - signal, LOPSIDED, device)
    g, given = Conductances.of(box, dtype), torch.as_tensor(signal, dtype=dtype)
    upstream = torch.linspace(-1, 1, 24, dtype=dtype).view(4, 6)

    def solved() -> tuple[Tensor, tuple[Tensor, ...]]:
        leaves = Conductances(*(of.clone().requires_grad_() for of in g))
        v_col = open_columns(leaves, given, LOPSIDED, device)
        return v_col.detach(), torch.autograd.grad((v_col * upstream).sum(), tuple(leaves))

    _, exact = solved()
    monkeypatch.setattr(columns_module, "_FEW", 0)
    v_col, gradients = solved()
    near_V = 1e-10 if dtype == torch.float64 else 2e-5
    np.testing.assert_allclose(v_col, wanted, atol=near_V)
    for found, right in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(found, right, atol=2e-3 * float(right.abs().max()))


@every_form
@every_shape
def test_gradients_of_columns(ptm90: Technology, form: str, shape: tuple[int, int]) -> None:
    device = bending(ptm90, form).memristor
    g = Conductances.of(random_crossbar(ptm90, *shape, seed=3), torch.float64)
    signal = torch.from_numpy(signals(shape[0]))

    def columns(*logs: Tensor) -> tuple[Tensor, Tensor]:
        grown = Conductances(*(of * log.exp() for of, log in zip(g, logs[:4], strict=True)))
        rows = LOPSIDED.mid_V + signal + 0.1 * logs[4], LOPSIDED.mid_V - signal
        return (
            open_columns(grown, signal, LOPSIDED, device),
            held_columns(grown, *rows, LOPSIDED, device),
        )

    zeros = [torch.zeros_like(of, requires_grad=True) for of in g]
    zeros.append(torch.full_like(signal, 0.3, requires_grad=True))
    assert torch.autograd.gradcheck(columns, zeros, eps=1e-5, atol=1e-7, rtol=1e-4)


def solve(arrays: Sequence[Tensor], inverters: Inverters, device: Device) -> StageSolution:
    v_in, g_n, g_p, b_pos, b_neg, m_n, m_p = arrays
    g, sizes = Conductances(g_n, g_p, b_pos, b_neg), torch.stack([m_n, m_p], 1)
    return solve_stage(v_in, g, sizes, inverters, EXACT, device=device)


@every_form
@every_shape
@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
def test_a_stage_stands_where_kirchhoffs_currents_vanish(
    form: str, shape: tuple[int, int], ground_S: float, ptm90: Technology, inverters: Inverters
) -> None:
    device, inverters = bending(ptm90, form).memristor, replace(inverters, ground_S=ground_S)
    arrays = random_stage(ptm90, *shape)
    solution = solve(arrays, inverters, device)
    v_in, g_n, g_p, b_pos, b_neg, m_n, m_p = arrays
    assert solution.convergence.unconverged == 0
    v_n, v_p, v_col = solution.v_n, solution.v_p, solution.v_col
    into_columns = device.current(b_pos, 0.25 - v_col) + device.current(b_neg, -0.25 - v_col)
    for v_gate, v_row, g, m in ((v_in, v_n, g_n, m_n), (v_n, v_p, g_p, m_p)):
        through = device.current(g, v_row[:, :, None] - v_col[:, None])
        into_rows = m * inverters.current(v_gate, v_row)[0] - ground_S * v_row - through.sum(2)
        assert float(into_rows.abs().max()) < 1e-15
        into_columns = into_columns + through.sum(1)
    assert float(into_columns.abs().max()) < 1e-15
    ohmic = solve(arrays, inverters, ptm90.memristor)
    assert float((ohmic.v_col - v_col).abs().max()) > 1e-4


@every_form
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_gradients_of_a_stage(
    form: str, name: str, shape: tuple[int, int], ptm90: Technology, inverters: Inverters
) -> None:
    device, arrays, place = bending(ptm90, form).memristor, random_stage(ptm90, *shape), NAMES.index(name)
    value = arrays[place]

    def outputs(u: Tensor) -> tuple[Tensor, ...]:
        arrays[place] = value + 0.1 * u if place == 0 else value * torch.exp(u)
        solution = solve(arrays, inverters, device)
        return solution.v_n, solution.v_p, solution.v_col

    u = torch.zeros_like(value, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (u,), eps=1e-5, atol=2e-8, rtol=1e-4)


def test_a_law_that_hardly_bends_loses_no_digits_in_float32(ptm90: Technology, inverters: Inverters) -> None:
    """exp(b v) - exp(-b v) of b = 1e-4 / V has 0.6 mV of rounding."""
    device, arrays = with_sinh(ptm90, 1e-4).memristor, random_stage(ptm90, 5, 3)
    signal = torch.from_numpy(signals(5))
    g, g32 = (Conductances(*(of.to(dtype) for of in arrays[1:5])) for dtype in (torch.float64, torch.float32))
    for columns in (
        lambda g, v: open_columns(g, v, LOPSIDED, device),
        lambda g, v: held_columns(g, LOPSIDED.mid_V + v, LOPSIDED.mid_V - v, LOPSIDED, device),
    ):
        np.testing.assert_allclose(columns(g32, signal.float()), columns(g, signal), rtol=0, atol=2e-7)


def test_a_law_that_has_products_is_solved_as_any_other(ptm90: Technology, inverters: Inverters) -> None:
    device, arrays = bending(ptm90, "sinh").memristor, random_stage(ptm90, 5, 3)
    solved: Callable[[Device], Tensor] = lambda device: solve(arrays, inverters, device).v_col  # noqa: E731

    class Nameless(type(device)):  # type: ignore[misc]
        @property
        def sinh_per_V(self) -> None:
            return None

    np.testing.assert_allclose(solved(device), solved(Nameless(**device.model_dump())), atol=1e-13)
