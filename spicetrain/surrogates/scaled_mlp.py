"""An MLP with standardised inputs and output: fitted with numpy, called with torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.mlp import Matrix, Mlp, fit_mlp_by_halving
from spicetrain.surrogates.settings import SurrogateSettings


@dataclass(frozen=True)
class ScaledMlp:
    """y = y_mean + y_scale MLP((x - x_mean) / x_scale).

    weights per layer [outputs, inputs], biases per layer [outputs]; x_mean, x_scale [inputs]; y_mean, y_scale [].
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    x_mean: Tensor
    x_scale: Tensor
    y_mean: Tensor
    y_scale: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """y [...] at x [..., inputs]; differentiable."""
        *hidden, last = self.logistic
        for w, b in hidden:
            x = torch.sigmoid(linear(x, w, b))
        return linear(x, *last)[..., 0]

    @cached_property
    def logistic(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """The same with logistic neurons in place of tanh and the scaling in the weights: (weights, biases) per layer.
        tanh(u) = 2 / (1 + exp(-2 u)) - 1, and torch's logistic costs a fifth of its tanh."""
        layers = []
        to_unit, shift = 1 / self.x_scale, self.x_mean / self.x_scale
        for w, b in zip(self.weights, self.biases, strict=True):
            layers.append((2 * w * to_unit, 2 * (b - w @ shift)))
            to_unit, shift = 2 * torch.ones_like(b), torch.ones_like(b)
        w, b = layers.pop()
        return *layers, (self.y_scale / 2 * w, self.y_mean + self.y_scale / 2 * b)


def fit_scaled_mlp(
    x: Matrix,
    y: Vector,
    settings: SurrogateSettings,
    rng: np.random.Generator,
    on_step: Callable[[float], None],
    decay: float = 0.0,
) -> ScaledMlp:
    """Least squares fit of y [points] over x [points, inputs], on at most settings.points of them; see
    `fit_mlp_by_halving`."""
    from sklearn.preprocessing import StandardScaler  # here: scikit-learn takes a second to import

    chosen = rng.permutation(len(x))[: settings.points]
    x_scaler, y_scaler = StandardScaler().fit(x[chosen]), StandardScaler().fit(y[chosen, None])
    x_scaled, y_scaled = x_scaler.transform(x[chosen]), y_scaler.transform(y[chosen, None])[:, 0]
    mlp = Mlp(x.shape[1], settings.hidden)
    layers = mlp.layers(fit_mlp_by_halving(mlp, x_scaled, y_scaled, settings, rng, on_step, decay=decay))
    return ScaledMlp(
        weights=tuple(torch.tensor(w) for w, _ in layers),
        biases=tuple(torch.tensor(b) for _, b in layers),
        x_mean=torch.tensor(x_scaler.mean_),
        x_scale=torch.tensor(x_scaler.scale_),
        y_mean=torch.tensor(y_scaler.mean_[0]),
        y_scale=torch.tensor(y_scaler.scale_[0]),
    )
