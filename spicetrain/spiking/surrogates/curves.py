"""A measured curve as a polynomial: Chebyshev least squares, its degree by the points kept from the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray

from spicetrain.surrogates.errors_of_fit import Errors, absolute_errors
from spicetrain.surrogates.held_out import fitted_and_held_out
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.mlp import Mlp, fit_mlp
from spicetrain.surrogates.settings import SurrogateSettings

_HIDDEN = (5,)  # of the MLP beside a curve of one variable, or a small surface: some fifty points


@dataclass(frozen=True)
class Fit:
    """Coefficients, and what they and an MLP say at the points kept from the fit."""

    coefficients: NDArray[np.float64]
    held_out: Vector
    model: Vector
    mlp: Vector

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1


def fit_curve(x: Vector, y: Vector, allowed: Vector, largest_degree: int, settings: SurrogateSettings) -> Fit:
    """y(x) as a power series of x: of the smallest degree whose error on the points kept from the fit is everywhere
    within `allowed`, shaped like y; of the most exact one when there is none."""
    fitted, held_out = _split(len(x), settings)
    domain = [float(x.min()), float(x.max())]
    tried = [
        Chebyshev.fit(x[fitted], y[fitted], degree, domain=domain, w=1 / allowed[fitted])
        for degree in range(1, largest_degree + 1)
    ]
    missed = [float(np.max(np.abs(curve(x[held_out]) - y[held_out]) / allowed[held_out])) for curve in tried]
    best = next((k for k, miss in enumerate(missed) if miss <= 1), int(np.argmin(missed)))
    z = (2 * x - domain[0] - domain[1]) / (domain[1] - domain[0])
    mlp = _mlp(z[:, None], y, 1 / allowed, _HIDDEN, fitted, held_out, settings)
    return Fit(
        np.asarray(tried[best].convert(kind=np.polynomial.Polynomial).coef, np.float64),
        y[held_out],
        tried[best](x[held_out]),
        mlp,
    )


def errors(fits: list[Fit], unit: str) -> Errors:
    """Of all fits together, on the points kept from them; beside them those of the MLPs."""
    held_out, model, mlp = (
        np.concatenate([getattr(fit, name) for fit in fits]) for name in ("held_out", "model", "mlp")
    )
    return absolute_errors(model, held_out, unit) | {
        "points": len(held_out),
        "degrees": [fit.degree for fit in fits],
        "mlp": absolute_errors(mlp, held_out, unit),
        "kept": "polynomial: the membrane's closed form takes no other",
    }


def _split(points: int, settings: SurrogateSettings) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The ends are always fitted: nothing is extrapolated."""
    inner = np.arange(1, points - 1)
    fitted, held_out = fitted_and_held_out(inner, settings)
    return np.concatenate([fitted, [0, points - 1]]), held_out


def _mlp(
    z: NDArray[np.float64],
    y: Vector,
    weight: Vector,
    hidden: tuple[int, ...],
    fitted: NDArray[np.intp],
    held_out: NDArray[np.intp],
    settings: SurrogateSettings,
) -> Vector:
    mlp, scale, rng = Mlp(z.shape[1], hidden), float(np.abs(y).max()), np.random.default_rng(settings.seed)
    if mlp.size > len(fitted):  # low thresholds: few of the points are ever reached
        mlp = Mlp(z.shape[1], _HIDDEN)
    chosen = rng.permutation(fitted)[: settings.points]
    limited = settings.model_copy(update={"iterations": settings.load_iterations})
    weight = weight * float(1 / weight.mean())
    p = fit_mlp(mlp, z[chosen], y[chosen] / scale, weight[chosen], limited, rng)
    return scale * mlp.values(p, z[held_out])
