"""The loop against scipy's MINPACK on a problem with a curved valley."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from spicetrain.surrogates.levenberg_marquardt import minimise

T = np.linspace(0, 3, 40)
Y = 2.0 * np.exp(-1.3 * T) + 0.5 + 0.01 * np.sin(40 * T)
START = np.array([1.0, 0.2, 0.0])


def residuals(p: np.ndarray) -> np.ndarray:
    return p[0] * np.exp(-p[1] * T) + p[2] - Y


def jacobian(p: np.ndarray) -> np.ndarray:
    e = np.exp(-p[1] * T)
    return np.stack((e, -p[0] * T * e, np.ones_like(T)), 1)


def test_arrives_where_scipy_does() -> None:
    found = minimise(residuals, jacobian, START, 100)
    expected = least_squares(residuals, START, jacobian, method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert found.parameters == pytest.approx(expected.x, rel=1e-6)
    assert found.cost == pytest.approx(2 * expected.cost, rel=1e-10)
    assert found.steps <= 8  # quadratic at the end; with constant damping it takes more


@pytest.mark.parametrize("start", [START, np.array([1.0, 5.0, 0.0])])
def test_every_reported_step_lowers_the_cost_and_the_limit_holds(start: np.ndarray) -> None:
    """From the second start a plain Gauss-Newton step would raise it to 1e20."""
    costs = [float(residuals(start) @ residuals(start))]
    found = minimise(residuals, jacobian, start, 4, costs.append)
    assert found.steps == 4 and len(costs) == 5
    assert all(after < before for before, after in zip(costs, costs[1:], strict=False))
    assert costs[-1] == found.cost == pytest.approx(float(residuals(found.parameters) @ residuals(found.parameters)))


def test_a_parameter_without_influence_does_no_harm() -> None:
    def wide(p: np.ndarray) -> np.ndarray:
        return np.concatenate((jacobian(p[:3]), np.zeros((len(T), 1))), 1)

    found = minimise(lambda p: residuals(p[:3]), wide, np.append(START, 7.0), 100)
    assert found.parameters[3] == 7.0
    assert found.cost == pytest.approx(minimise(residuals, jacobian, START, 100).cost, rel=1e-8)


def test_a_parameter_that_hardly_counts_is_held_by_the_others_damping() -> None:
    """As a weight of a saturated neuron: 1e-7 of its change is seen, so by itself it would be sent off to mend all."""

    def with_far(p: np.ndarray) -> np.ndarray:
        return residuals(p[:3]) + 1e-7 * p[3]

    def wide(p: np.ndarray) -> np.ndarray:
        return np.concatenate((jacobian(p[:3]), np.full((len(T), 1), 1e-7)), 1)

    start = np.append(START, 7.0)
    free, held = (minimise(with_far, wide, start, 3, least_share=least).parameters[3] for least in (1e-12, 1e-2))
    assert abs(free - 7) > 1e4 and abs(held - 7) < 1e-3
    assert minimise(with_far, wide, start, 100, least_share=1e-2).cost == pytest.approx(
        minimise(residuals, jacobian, START, 100).cost, rel=1e-8
    )


def test_stops_at_a_minimum() -> None:
    best = minimise(residuals, jacobian, START, 100)
    assert minimise(residuals, jacobian, best.parameters, 50).steps <= 1
