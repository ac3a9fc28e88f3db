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
    if len(x) < mlp.size:
        raise ConfigurationError(
            f"{len(x)} usable points for a fit of {mlp.size} parameters. Measure a finer grid (characterize with a "
            "larger plan), raise surrogates.points, or choose a smaller surrogates.hidden."
        )

    def minimum(part: slice, p: Vector, iterations: int) -> Minimum:
        def residuals(p: Vector) -> Vector:
            return weight[part] * (mlp.values(p, x[part]) - y[part])

        def jacobian(p: Vector) -> Matrix:
            return mlp.jacobian(p, x[part], weight[part])

        return minimise(residuals, jacobian, p, iterations, on_step)

    few, all_points = slice(max(len(x) // 4, 2 * mlp.size)), slice(None)  # a quarter shows which start is stuck
    trial = min(_TRIAL_STEPS, settings.iterations)
    with threadpool_limits(1, user_api="blas"):
        tried = [minimum(few, mlp.start(rng), trial) for _ in range(settings.starts)]
        best = min(tried, key=lambda found: found.cost)
        return minimum(all_points, best.parameters, settings.iterations).parameters


def steps_of_fit(settings: SurrogateSettings) -> int:
    """Levenberg-Marquardt steps `fit_mlp` takes at most."""
    trial = min(_TRIAL_STEPS, settings.iterations)
    return settings.starts * trial + settings.iterations


def stack_layers(mlp: Mlp, parameters: Sequence[Vector]) -> list[tuple[Matrix, Matrix]]:
    """Several fits of one shape, layer by layer: weights [fits, outputs, inputs], biases [fits, outputs]."""
    per_fit = [mlp.layers(p) for p in parameters]
    return [(np.stack([w for w, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*per_fit, strict=True)]
