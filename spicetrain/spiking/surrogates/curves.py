"""A measured curve as a polynomial: Chebyshev least squares, its degree by the points kept from the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import Chebyshev, chebyshev
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from spicetrain.surrogates.errors_of_fit import Errors, absolute_errors
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


@dataclass(frozen=True)
class Surface:
    """y(x, ratio) as it was measured, ratio in 0..1, with the error that is allowed at each point."""

    x: Vector
    ratio: Vector
    y: Vector
    allowed: Vector
    settings: SurrogateSettings

    def missed(self, degrees: tuple[int, int]) -> float:
        """The largest error of such a fit on the points kept from it, in units of what is allowed."""
        (_, model), (_, held_out) = self._solved(degrees), self._split
        return float(np.max(np.abs(model - self.y[held_out]) / self.allowed[held_out]))

    def fit(self, degrees: tuple[int, int]) -> Fit:
        """As power series, coefficients [degrees[0] + 1, degrees[1] + 1]."""
        (solved, model), (fitted, held_out) = self._solved(degrees), self._split
        table = solved.reshape(degrees[0] + 1, degrees[1] + 1)
        powers = _to_powers(_to_powers(table, float(self.x.min()), float(self.x.max())).T, 0.0, 1.0).T
        mlp = _mlp(self._z, self.y, 1 / self.allowed, self.settings.hidden, fitted, held_out, self.settings)
        return Fit(powers, self.y[held_out], model, mlp)

    @cached_property
    def _split(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return _split(len(self.x), self.settings)

    @cached_property
    def _z(self) -> Vector:
        low, high = float(self.x.min()), float(self.x.max())
        return np.stack([(2 * self.x - low - high) / (high - low), 2 * self.ratio - 1], 1)

    def _solved(self, degrees: tuple[int, int]) -> tuple[Vector, Vector]:
        """(Chebyshev coefficients, their values at the points kept from the fit)."""
        fitted, held_out = self._split
        basis, weight = chebyshev.chebvander2d(self._z[:, 0], self._z[:, 1], degrees), 1 / self.allowed
        scaled = basis[fitted] * weight[fitted, None], (self.y * weight)[fitted]
        solved = np.asarray(np.linalg.lstsq(*scaled, rcond=None)[0], np.float64)
        return solved, np.asarray(basis[held_out] @ solved, np.float64)


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
    fitted, held_out = train_test_split(inner, test_size=settings.held_out, random_state=settings.seed)
    return np.concatenate([fitted, [0, points - 1]]), held_out


def _to_powers(table: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Chebyshev series along the first axis, over low..high, as power series."""
    columns = [Chebyshev(column, domain=[low, high]).convert(kind=np.polynomial.Polynomial).coef for column in table.T]
    return np.stack([np.pad(column, (0, len(table) - len(column))) for column in columns], 1)


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
