"""A small tanh MLP with one output on numpy, with the exact Jacobian in its weights, and its fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from spicetrain.errors import ConfigurationError
from spicetrain.surrogates.levenberg_marquardt import Minimum, Vector, minimise
from spicetrain.surrogates.settings import SurrogateSettings

Matrix = NDArray[np.float64]
Layers = list[tuple[Matrix, Vector]]

_TRIAL_STEPS = 20
_ROUND_STEPS = 10


@dataclass(frozen=True)
class Mlp:
    """inputs -> tanh hidden layers -> one linear output; its parameters are one flat vector (weights, bias, ...)."""

    inputs: int
    hidden: tuple[int, ...]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(outputs, inputs) of each layer."""
        widths = (self.inputs, *self.hidden, 1)
        return list(zip(widths[1:], widths[:-1], strict=True))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(m * n + m for m, n in self.shapes)

    def layers(self, p: Vector) -> Layers:
        """(weights [outputs, inputs], biases [outputs]) of each layer, as views of `p`."""
        found: Layers = []
        k = 0
        for m, n in self.shapes:
            found.append((p[k : k + m * n].reshape(m, n), p[k + m * n : k + m * n + m]))
            k += m * n + m
        return found

    def start(self, rng: np.random.Generator) -> Vector:
        """Random parameters for inputs of about -1 .. 1."""
        parts: list[Vector] = []
        for index, (m, n) in enumerate(self.shapes):
            gain = 5 / 3 if index == 0 else 1.0  # as if the inputs had unit variance
            parts.append(rng.normal(size=m * n) * gain / np.sqrt(n))
            parts.append(rng.uniform(-1, 1, m) if m > 1 else np.zeros(m))
        return np.concatenate(parts)

    def values(self, p: Vector, x: Matrix) -> Vector:
        """Outputs [points] at x [points, inputs]."""
        *hidden, (w, b) = self.layers(p)
        for w_hidden, b_hidden in hidden:
            x = np.tanh(x @ w_hidden.T + b_hidden)
        return (x @ w.T + b)[:, 0]

    def jacobian(self, p: Vector, x: Matrix, factor: Vector) -> Matrix:
        """d(factor * values)/dp, [points, size], by the reverse pass; `factor` [points]."""
        layers = self.layers(p)
        inputs = [x]
        for w, b in layers[:-1]:
            inputs.append(np.tanh(inputs[-1] @ w.T + b))
        J = np.empty((len(x), self.size))
        k, sensitivity = self.size, factor[:, None]
        for (w, _), a in zip(reversed(layers), reversed(inputs), strict=True):
            m, n = w.shape
            J[:, k - m : k] = sensitivity
            k -= m * n + m
            block = J[:, k : k + m * n].reshape(len(x), m, n)  # a view: only the last axis is split
            np.multiply(sensitivity[:, :, None], a[:, None, :], out=block)
            sensitivity = (sensitivity @ w) * (1 - a * a)
        return J


@dataclass(frozen=True)
class _Problem:
    """Least squares of weight (mlp(x) - y) and sqrt(decay) p. `least_damping`: see `minimise`."""

    mlp: Mlp
    x: Matrix
    y: Vector
    weight: Vector
    on_step: Callable[[float], None]
    least_damping: float
    decay: float = 0.0

    def __post_init__(self) -> None:
        if len(self.x) < self.mlp.size:
            raise ConfigurationError(
                f"{len(self.x)} usable points for a fit of {self.mlp.size} parameters. Measure a finer grid "
                "(characterize with a larger plan), raise surrogates.points, or choose a smaller surrogates.hidden."
            )

    def minimum(self, share: int, start: Vector, iterations: int) -> Minimum:
        """Of the first one in `share` points, but at least two for each parameter."""
        part = slice(max(len(self.x) // share, 2 * self.mlp.size))

        def residuals(p: Vector) -> Vector:
            missed = self.weight[part] * (self.mlp.values(p, self.x[part]) - self.y[part])
            return np.concatenate([missed, np.sqrt(self.decay) * p]) if self.decay else missed

        def jacobian(p: Vector) -> Matrix:
            J = self.mlp.jacobian(p, self.x[part], self.weight[part])
            return np.concatenate([J, np.sqrt(self.decay) * np.eye(len(p))]) if self.decay else J

        return minimise(residuals, jacobian, start, iterations, self.on_step, least_share=self.least_damping)


def fit_mlp(
    mlp: Mlp,
    x: Matrix,
    y: Vector,
    weight: Vector,
    settings: SurrogateSettings,
    rng: np.random.Generator,
    on_step: Callable[[float], None] = lambda cost: None,
) -> Vector:
    """Parameters that minimise sum (weight (mlp(x) - y))^2; the best of several starts goes on to the end.

    One BLAS thread meanwhile: numpy and scipy each carry an OpenBLAS whose idle threads spin, and the two pools
    against each other (or against another busy process) made a step 4 to 60 times slower. It also makes the fit
    repeatable to the last digit. ConfigurationError: fewer points than parameters.
    """
    problem = _Problem(mlp, x, y, weight, on_step, settings.least_damping)
    trial = min(_TRIAL_STEPS, settings.iterations)
    with threadpool_limits(1, user_api="blas"):
        tried = [problem.minimum(4, mlp.start(rng), trial) for _ in range(settings.starts)]  # which start is stuck
        best = min(tried, key=lambda found: found.cost)
        return problem.minimum(1, best.parameters, settings.iterations).parameters


def fit_mlp_by_halving(
    mlp: Mlp,
    x: Matrix,
    y: Vector,
    settings: SurrogateSettings,
    rng: np.random.Generator,
    on_step: Callable[[float], None] = lambda cost: None,
    *,
    decay: float = 0.0,
) -> Vector:
    """Parameters that minimise sum (mlp(x) - y)^2 + decay sum p^2, and that are less a matter of luck.

    Of twice settings.starts the better half goes on each time with twice the points (successive halving: Jamieson and
    Talwalkar, AISTATS 2016). With settings.least_damping they end in the same place on every machine: under Marquardt's
    own damping the weights of a neuron that has saturated run away (to 1e4) and its start is lost, and where to hangs
    on the last digits. One BLAS thread meanwhile, as in `fit_mlp`. ConfigurationError: fewer points than parameters.
    """
    problem, share = _Problem(mlp, x, y, np.ones(len(x)), on_step, settings.least_damping, decay), 4
    starts, steps = [mlp.start(rng) for _ in range(2 * settings.starts)], min(_ROUND_STEPS, settings.iterations)
    with threadpool_limits(1, user_api="blas"):
        while len(starts) > 1:
            found = sorted((problem.minimum(share, p, steps) for p in starts), key=lambda found: found.cost)
            starts, share = [better.parameters for better in found[: len(found) // 2]], max(share // 2, 1)
        return problem.minimum(1, starts[0], settings.iterations).parameters


def steps_of_fit(settings: SurrogateSettings) -> int:
    """Levenberg-Marquardt steps `fit_mlp` takes at most."""
    trial = min(_TRIAL_STEPS, settings.iterations)
    return settings.starts * trial + settings.iterations


def steps_of_halving(settings: SurrogateSettings) -> int:
    """The same of `fit_mlp_by_halving`."""
    steps, left, total = min(_ROUND_STEPS, settings.iterations), 2 * settings.starts, settings.iterations
    while left > 1:
        total, left = total + left * steps, left // 2
    return total


def stack_layers(mlp: Mlp, parameters: Sequence[Vector]) -> list[tuple[Matrix, Matrix]]:
    """Several fits of one shape, layer by layer: weights [fits, outputs, inputs], biases [fits, outputs]."""
    per_fit = [mlp.layers(p) for p in parameters]
    return [(np.stack([w for w, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*per_fit, strict=True)]
