"""A membrane's closed form against scipy's integrator, with laws of the circuit's size; gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from spicetrain.spiking.training.membrane import advance, current

STARTS = np.array([-0.15, -0.02, 0.0, 0.03, 0.09])
REACH = (-0.2, 0.3)

# Coefficients (A / V^k), farads, seconds: a passive column; one of 1t1r cells that saturate; a reset; a leak alone.
PASSIVE = ([2e-5, -1.6e-3], 8e-12, 8e-9)
CELLS = ([8e-6, -1.5e-4, -1.2e-4], 2.4e-12, 12e-9)
CUBIC = ([8e-6, -1.5e-4, -1.2e-4, -4e-4], 2.4e-12, 12e-9)
FIFTH = ([4e-6, -1.2e-4, -1e-4, -9e-4, 1e-3, -4e-3], 2.4e-12, 12e-9)
RESET = ([0.0, -5.8e-3, 5.5e-2, -0.28, 0.7, -0.68], 2e-12, 3e-9)
LEAK = ([-1e-10, 0.0], 1e-12, 10e-9)
ALONE = ([0.0, -1e-9], 1e-12, 10e-9)


def tensors(a: list[float]) -> list[Tensor]:
    return [torch.tensor(value, dtype=torch.float64) for value in a]


def integrated(starts: np.ndarray, a: list[float], C: float, t: float) -> np.ndarray:
    def rate(_: float, u: np.ndarray) -> np.ndarray:
        return np.polynomial.polynomial.polyval(u, a) / C

    return solve_ivp(rate, (0, t), starts, method="LSODA", rtol=1e-11, atol=1e-13).y[:, -1]


@pytest.mark.parametrize(("a", "C", "t"), [PASSIVE, CELLS, LEAK, ALONE])
def test_up_to_the_square_it_is_exact(a: list[float], C: float, t: float) -> None:
    u = advance(torch.tensor(STARTS), tensors(a), C, t).numpy()
    np.testing.assert_allclose(u, integrated(STARTS, a, C, t), rtol=0, atol=2e-11)
    assert np.abs(u - STARTS).max() > 1e-7


@pytest.mark.parametrize(
    ("law", "starts", "parts"), [(CUBIC, STARTS, 2), (FIFTH, STARTS, 2), (RESET, np.array([0.02, 0.1, 0.2]), 8)]
)
def test_higher_powers_within_10_uV(law: tuple[list[float], float, float], starts: np.ndarray, parts: int) -> None:
    a, C, t = law
    expected = integrated(starts, a, C, t)

    def error(parts: int) -> float:
        u = advance(torch.tensor(starts), tensors(a), C, t, REACH, parts).numpy()
        return float(np.abs(u - expected).max())

    assert error(parts) < 1e-5
    assert error(2 * parts) < error(parts) / 9  # fourth order is 16, third 8


def test_parts_follow_one_another() -> None:
    a, C, t = FIFTH
    u = torch.tensor(STARTS)
    for _ in range(3):
        u = advance(u, tensors(a), C, t / 3, REACH)
    torch.testing.assert_close(advance(torch.tensor(STARTS), tensors(a), C, t, REACH, 3), u, rtol=0, atol=1e-15)


def test_beyond_its_reach_a_law_is_its_tangent() -> None:
    a, C, t = FIFTH
    low, high = -0.05, 0.05
    for start, end in ((-0.3, low), (0.4, high)):
        slope = np.polynomial.polynomial.polyval(end, np.polynomial.polynomial.polyder(a))
        value = np.polynomial.polynomial.polyval(end, a)
        expected = integrated(np.array([start]), [float(value - slope * end), float(slope)], C, t)
        u = advance(torch.tensor([start], dtype=torch.float64), tensors(a), C, t, (low, high))
        np.testing.assert_allclose(u.numpy(), expected, rtol=0, atol=1e-11)


def test_a_law_that_runs_away_beyond_its_reach_is_finite() -> None:
    a, C, t = [0.0, -1e-4, 0.0, 0.0, 5e-1], 1e-12, 12e-9
    u = torch.tensor([-5.0, -0.3, 0.3, 5.0])
    for _ in range(20):
        u = advance(u, [torch.tensor(value) for value in a], C, t, (-0.02, 0.02))
    assert u.abs().max() < 0.02


def test_a_reset_whose_tangent_leads_beyond_its_reach() -> None:
    """It saturates: from 0.2 V the tangent goes far below rest, where the polynomial means nothing."""
    a, C, t = RESET
    starts = np.array([0.1, 0.15, 0.2])
    left = advance(torch.tensor(starts), tensors(a), C, t / 4, (0.0, 0.3)).numpy()
    np.testing.assert_allclose(left, integrated(starts, a, C, t / 4), rtol=0.1)
    assert starts[2] + t / 4 / C * np.polynomial.polynomial.polyval(0.2, a) < 0.15


def test_coefficients_a_column_and_a_sample() -> None:
    u, a0 = torch.rand(2, 4, 3, dtype=torch.float64)
    a1 = -torch.rand(3, dtype=torch.float64)
    together = advance(u, [a0 * 1e-6, a1 * 1e-4, a1 * 1e-4], 1e-12, 1e-9)
    for i, j in np.ndindex(4, 3):
        one = advance(u[i, j], [a0[i, j] * 1e-6, a1[j] * 1e-4, a1[j] * 1e-4], 1e-12, 1e-9)
        torch.testing.assert_close(together[i, j], one)


@pytest.mark.parametrize("powers", [2, 3, 4, 6])
def test_gradients(powers: int) -> None:
    generator = torch.Generator().manual_seed(powers)
    u = (0.1 * torch.randn(5, generator=generator, dtype=torch.float64)).requires_grad_()
    start = torch.tensor([2e-3, -0.3, -0.2, -0.5, 0.3, -2.0], dtype=torch.float64)[:powers]
    a = (start[:, None] * (1 + 0.2 * torch.rand(powers, 5, generator=generator, dtype=torch.float64))).requires_grad_()
    assert torch.autograd.gradcheck(lambda u, a: advance(u, list(a), 1e-12, 4e-12, REACH, 2), (u, a))


def test_current_is_the_polynomial() -> None:
    a = [1e-6, -2e-4, 3e-4, -5e-4]
    expected = np.polynomial.polynomial.polyval(STARTS, a)
    np.testing.assert_allclose(current(torch.tensor(STARTS), tensors(a)).numpy(), expected, rtol=1e-14)
