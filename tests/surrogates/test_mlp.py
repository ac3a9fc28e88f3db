"""The numpy MLP: its Jacobian against finite differences, its fit, its stacking."""

from __future__ import annotations

import numpy as np
import pytest

from spicetrain.errors import ConfigurationError
from spicetrain.surrogates.mlp import Mlp, fit_mlp, fit_mlp_by_halving, stack_layers, steps_of_fit, steps_of_halving
from spicetrain.surrogates.settings import SurrogateSettings

RNG = np.random.default_rng(5)
X = RNG.uniform(-1, 1, (400, 3))


@pytest.mark.parametrize("hidden", [(4,), (5, 3), (3, 4, 2)])
def test_jacobian_is_the_derivative(hidden: tuple[int, ...]) -> None:
    mlp = Mlp(3, hidden)
    p, x, factor = mlp.start(np.random.default_rng(1)), X[:6], RNG.uniform(0.5, 2, 6)
    step = 1e-6 * np.eye(mlp.size)
    numeric = np.stack([factor * (mlp.values(p + s, x) - mlp.values(p - s, x)) / 2e-6 for s in step], 1)
    assert mlp.jacobian(p, x, factor) == pytest.approx(numeric, abs=1e-8)


def test_values_of_a_network_written_out() -> None:
    p = np.array([1.0, 2.0, -1.0, 0.5, 0.1, 0.2, 3.0, -2.0, 0.7])  # 2-2-1
    expected = 3 * np.tanh(1 * 0.3 + 2 * -0.4 + 0.1) - 2 * np.tanh(-0.3 + 0.5 * -0.4 + 0.2) + 0.7
    assert Mlp(2, (2,)).values(p, np.array([[0.3, -0.4]])) == pytest.approx(expected, rel=1e-14)


def test_fit_learns_a_function_and_obeys_the_weights() -> None:
    y = np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2
    weight = np.ones(len(X))
    y[:40], weight[:40] = 50.0, 0.0  # wrong, and worth nothing
    settings = SurrogateSettings(hidden=(12,), iterations=80, starts=2)
    costs: list[float] = []
    mlp = Mlp(3, (12,))
    p = fit_mlp(mlp, X, y, weight, settings, np.random.default_rng(0), costs.append)
    assert np.abs(mlp.values(p, X[40:]) - y[40:]).max() < 0.02
    assert len(costs) <= steps_of_fit(settings)


@pytest.mark.parametrize(("starts", "iterations", "steps"), [(1, 80, 100), (3, 80, 170), (3, 6, 6 * (6 + 3 + 1))])
def test_halving_learns_a_function_in_the_steps_it_says(starts: int, iterations: int, steps: int) -> None:
    y = np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2
    settings = SurrogateSettings(load_iterations=iterations, starts=starts).for_loads
    costs, mlp = list[float](), Mlp(3, (12,))
    p = fit_mlp_by_halving(mlp, X, y, settings, np.random.default_rng(0), costs.append)
    assert np.abs(mlp.values(p, X) - y).max() < (0.02 if iterations == 80 else 0.6)
    assert len(costs) <= steps_of_halving(settings) == steps


def test_decay_keeps_noise_from_being_learnt() -> None:
    mlp, settings, noise = Mlp(3, (12,)), SurrogateSettings(starts=2).for_loads, RNG.normal(size=len(X))
    free, held = (
        fit_mlp_by_halving(mlp, X[:200], noise[:200], settings, np.random.default_rng(0), decay=decay)
        for decay in (0.0, 10.0)
    )
    assert np.mean((mlp.values(free, X[200:]) - noise[200:]) ** 2) > 1.2 * np.var(noise[200:])
    assert np.mean((mlp.values(held, X[200:]) - noise[200:]) ** 2) < 1.05 * np.var(noise[200:])


def test_more_parameters_than_points_is_refused() -> None:
    mlp = Mlp(3, (100,))
    with pytest.raises(ConfigurationError, match="400 usable points for a fit of 501 parameters"):
        fit_mlp(mlp, X, X[:, 0], np.ones(400), SurrogateSettings(), np.random.default_rng(0))


def test_stacked_layers_keep_their_order() -> None:
    mlp = Mlp(2, (3,))
    first, second = np.arange(13.0), np.arange(13.0) + 100
    (w, b), (w_out, b_out) = stack_layers(mlp, [first, second])
    assert w.shape == (2, 3, 2) and w[1, 2, 1] == 105
    assert b.tolist() == [[6, 7, 8], [106, 107, 108]]
    assert w_out[0].tolist() == [[9, 10, 11]] and b_out[1].tolist() == [112]
