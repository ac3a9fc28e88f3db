"""The statistics of programming, fitted to what was wanted and what was read: every form by maximum likelihood, one of
them taken by Schwarz's criterion (BIC)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.optimize import minimize

from spicetrain.array.elementwise import polynomial
from spicetrain.array.programming import AnyProgramming, Programming
from spicetrain.errors import ConfigurationError
from spicetrain.importing.forms import rounded
from spicetrain.importing.measured import Programmed

Array = NDArray[np.float64]

_UNIT_S = 1e-6
_LARGEST_DEGREE = 3
_MOST_TIMES, _LEAST_A_TIME = 12, 20
_NO_EVIDENCE = 6.0
"""Laws whose BIC is less than this apart are equally likely: the evidence is strong above (Kass and Raftery, 1995)."""
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Law:
    """A form of [memristor.programming] that was fitted.

    settings   its table
    surprise   minus the log likelihood, of all times
    parameters, bic
    """

    name: str
    settings: dict[str, Any]
    surprise: float
    parameters: int
    count: int

    @property
    def bic(self) -> float:
        return 2 * self.surprise + self.parameters * float(np.log(self.count))

    def programming(self) -> AnyProgramming:
        law: AnyProgramming = TypeAdapter(Programming).validate_python(self.settings)
        return law


@dataclass(frozen=True)
class _AtOnce:
    """Of one time: the keys that are of this time, minus the log likelihood, how many parameters."""

    keys: dict[str, Any]
    surprise: float
    parameters: int


_Form = Callable[[Array, Array, float], _AtOnce | None]
"""(targets, what was measured, siemens by which a polynomial counts) -> the form fitted; None where it cannot be."""


def fit_programming(programmed: Programmed) -> list[Law]:
    """Of every form that can be had, that of the least BIC first. With several times only those that know `later` ones.

    Raises ConfigurationError: no error at all, or times that are not the same for many devices.
    """
    times = np.unique(programmed.time_s)
    exact = programmed.measured_S == programmed.target_S
    if any(np.all(exact[programmed.time_s == time]) for time in times):
        raise ConfigurationError(
            "measured is target in every row: these are no measurements, or the same column twice."
        )
    if len(times) > _MOST_TIMES or min(np.sum(programmed.time_s == time) for time in times) < _LEAST_A_TIME:
        raise ConfigurationError(
            f"{len(times)} different times, or fewer than {_LEAST_A_TIME} rows at one of them: give readings of many "
            f"devices at up to {_MOST_TIMES} common times, or leave time out."
        )
    forms = _FORMS if len(times) == 1 else {name: fit for name, fit in _FORMS.items() if name in _WITH_LATER}
    laws = [_fit(name, fit, programmed, times) for name, fit in forms.items()]
    return sorted((law for law in laws if law is not None), key=lambda law: law.bic)


def _fit(name: str, fit: _Form, programmed: Programmed, times: Array) -> Law | None:
    """At all times, or None when it cannot be had at one of them."""
    scale_S = rounded(float(programmed.target_S.max()), 3)
    at = [programmed.at(time) for time in times]
    fits = [fit(one.target_S, one.measured_S, scale_S) for one in at]
    found = [one for one in fits if one is not None]
    if len(found) < len(fits):
        return None
    settings = {**_fixed(name, scale_S), **found[0].keys}
    if len(times) > 1:
        first_s, later_s = _times(name, times)
        later = [{"time_s": time, **one.keys} for time, one in zip(later_s, found[1:], strict=True)]
        settings |= {**first_s, "later": later}
    surprise, parameters = sum(one.surprise for one in found), sum(one.parameters for one in found)
    return Law(name, settings, surprise, parameters, len(programmed.target_S))


def best(laws: list[Law]) -> Law:
    """Of those that the least BIC is no evidence against the one of the fewest parameters."""
    least = min(law.bic for law in laws)
    likely = [law for law in laws if law.bic < least + _NO_EVIDENCE]
    return min(likely, key=lambda law: (law.parameters, law.bic))


def in_sigmas(law: Law, programmed: Programmed) -> Array:
    """What the devices of the first time are off, in the scale of the law, [rows]."""
    first = programmed.at(float(programmed.time_s.min()))
    sigma = law.programming().disturbed(first.target_S, np.ones(len(first.target_S))) - first.target_S
    off: Array = (first.measured_S - first.target_S) / np.maximum(sigma, np.finfo(np.float64).tiny)
    return off


def _times(name: str, times: Array) -> tuple[dict[str, float], list[float]]:
    """(the key of the first time, the later ones). A polynomial has them in a logarithm: there 0 is 1 s, or earlier."""
    later = [rounded(time) for time in times[1:]]
    if name == "saturating":
        return {}, later
    return {"time_s": rounded(times[0]) if times[0] > 0 else min(1.0, later[0] / 10)}, later


def _fixed(name: str, scale_S: float) -> dict[str, Any]:
    form = name.split()[0]
    return {"form": form, "scale_S": scale_S} if form == "polynomial" else {"form": form}


def _relative(t: Array, m: Array, scale_S: float) -> _AtOnce:
    sigma = float(np.sqrt(np.mean((m / t - 1) ** 2)))
    return _AtOnce({"sigma": rounded(sigma)}, _gaussian((m - t), sigma * t), 1)


def _lognormal(t: Array, m: Array, scale_S: float) -> _AtOnce | None:
    if np.any(m <= 0):
        return None
    r = np.log(m / t)
    sigma = float(np.sqrt(np.mean(r**2)))
    return _AtOnce({"sigma": rounded(sigma)}, _gaussian(r, np.full(len(r), sigma)) + float(np.sum(np.log(m))), 1)


def _window(t: Array, m: Array, scale_S: float) -> _AtOnce:
    """The narrowest that holds all: of each share of g the width besides that it takes."""
    r = abs(m - t)

    def surprise(share: float) -> tuple[float, float]:
        width = max(float(np.max(r - share * t)), 0.0)
        return float(np.sum(np.log(2 * (share * t + width)))), width

    shares = np.linspace(0, min(float(np.max(r / t)), 1.0), 201)
    found = [(*surprise(share), share) for share in shares]
    least, width, share = min(one for one in found if one[1] > 0 or one[2] > 0)
    slack = 1 + 10.0**-5  # rounding must not leave one outside
    return _AtOnce({"half_width": min(rounded(share * slack), 1.0), "half_width_S": rounded(width * slack)}, least, 2)


def _saturating(t: Array, m: Array, scale_S: float) -> _AtOnce | None:
    r, start = m - t, float(np.std(m - t))
    if len(np.unique(t)) < 2:
        return None

    def surprise(logs: Array) -> float:
        sigma_S, bend_S = np.exp(logs)
        return _gaussian(r, sigma_S * -np.expm1(-t / bend_S))

    bounds = [(np.log(start) - 5, np.log(start) + 5), (np.log(t.max()) - 7, np.log(t.max()) + 3)]
    first = np.clip(np.log([start, np.median(t)]), *np.transpose(bounds))
    best = minimize(surprise, first, method="Nelder-Mead", bounds=bounds)
    sigma_S, bend_S = np.exp(best.x)
    return _AtOnce({"sigma_S": rounded(sigma_S), "scale_S": rounded(bend_S)}, float(best.fun), 2)


def _polynomial(degree: int) -> _Form:
    def fit(t: Array, m: Array, scale_S: float) -> _AtOnce | None:
        if len(np.unique(t)) <= degree:
            return None
        x, r = t / scale_S, (m - t) / _UNIT_S

        def surprise(coefficients: Array) -> float:
            sigma = polynomial(coefficients.tolist(), x)
            return _gaussian(r, sigma) if sigma.min() > 0 else np.inf

        start = np.zeros(degree + 1)
        start[0] = np.sqrt(np.mean(r**2))
        best = _lower(surprise, start)
        if degree:  # from where the absolute error's regression is too, if that is positive everywhere
            guess = np.polynomial.polynomial.polyfit(x, abs(r) * np.sqrt(np.pi / 2), degree)
            if np.isfinite(surprise(guess)):
                best = min(best, _lower(surprise, guess), key=lambda one: one[0])
        least, coefficients = best
        keys = {"coefficients": [rounded(c) for c in coefficients]}
        return _AtOnce(keys, least + len(r) * float(np.log(_UNIT_S)), degree + 1)

    return fit


def _lower(surprise: Callable[[Array], float], start: Array) -> tuple[float, Array]:
    settings = {"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-6, "adaptive": True}
    found = minimize(surprise, start, method="Nelder-Mead", options=settings)
    found = minimize(surprise, found.x, method="Nelder-Mead", options=settings)  # it may stop in a corner
    return float(found.fun), found.x


def _gaussian(r: Array, sigma: Array) -> float:
    return float(np.sum(np.log(sigma) + 0.5 * (r / sigma) ** 2)) + 0.5 * len(r) * _LOG_2PI


_DEGREES = [f"polynomial of degree {degree}" for degree in range(_LARGEST_DEGREE + 1)]
_WITH_LATER = {"saturating", *_DEGREES}
_FORMS: dict[str, _Form] = {
    "relative": _relative,
    "lognormal": _lognormal,
    "window": _window,
    "saturating": _saturating,
    **{name: _polynomial(degree) for degree, name in enumerate(_DEGREES)},
}
