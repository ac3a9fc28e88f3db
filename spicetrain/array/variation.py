"""What a device is after it was programmed: levels, programming error, stuck cells, drift, read noise.

Every law is one function of the conductance wanted and of standard normal numbers, for numpy and torch alike, so that a
chip in a deck, the same chip in the model, and the chips that a training draws obey one formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spicetrain.schema import Definition

Share = Annotated[float, Field(ge=0, le=1)]
Sigma = Annotated[float, Field(ge=0)]
Siemens = Annotated[float, Field(gt=0)]

LEAST_SHARE = 1e-3
"""No device conducts less than this share of g_min: a Gaussian error has no lower end, a conductance has."""


class Relative(Definition):
    """Gaussian, of a standard deviation that is a share of the conductance: g (1 + sigma n)."""

    form: Literal["relative"]
    sigma: Sigma

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g * (1 + self.sigma * n)


class LogNormal(Definition):
    """ln g is Gaussian: g exp(sigma n); the median is what was wanted (Joksas et al., Adv. Sci. 9, 2105784, 2022)."""

    form: Literal["lognormal"]
    sigma: Sigma

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g * _exp(self.sigma * n)


class Window(Definition):
    """What program-and-verify leaves: uniform within +-half_width of what was wanted, a share of it, and besides within
    +-half_width_S siemens."""

    form: Literal["window"]
    half_width: Share = 0.0
    half_width_S: Sigma = 0.0

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g + (self.half_width * g + self.half_width_S) * _uniform(n)


class Later(Definition):
    """The coefficients of a polynomial after a time."""

    time_s: Annotated[float, Field(gt=0)]
    coefficients: Annotated[tuple[float, ...], Field(min_length=1)]


class Polynomial(Definition):
    """Gaussian, of a standard deviation that is a polynomial, unit_S sum_k coefficients[k] (g / scale_S)^k, or 0.

    later  the coefficients after a time, as retention changes them; in between linear in the logarithm of the time,
           which for the first `coefficients` is `time_s`
    """

    form: Literal["polynomial"]
    coefficients: Annotated[tuple[float, ...], Field(min_length=1)]
    scale_S: Siemens
    unit_S: Siemens = 1e-6
    time_s: Annotated[float, Field(gt=0)] = 1.0
    later: Later | None = None

    @model_validator(mode="after")
    def _later_is_later(self) -> Self:
        if self.later is not None and self.later.time_s <= self.time_s:
            raise ValueError(f"later.time_s = {self.later.time_s:g} is not after time_s = {self.time_s:g}")
        return self

    def sigma_S(self, g: Any, time_s: float = 0.0) -> Any:
        """Standard deviation at `g`, siemens, `time_s` after programming."""
        first = _polynomial(self.coefficients, g / self.scale_S)
        if self.later is None or time_s <= self.time_s:
            return (self.unit_S * first).clip(min=0)
        share = math.log(time_s / self.time_s) / math.log(self.later.time_s / self.time_s)
        last = _polynomial(self.later.coefficients, g / self.scale_S)
        return (self.unit_S * (first + share * (last - first))).clip(min=0)

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g + self.sigma_S(g, time_s) * n


class Saturating(Definition):
    """Gaussian, of a standard deviation that saturates: sigma_S (1 - exp(-g / scale_S)) (SONOS cells)."""

    form: Literal["saturating"]
    sigma_S: Siemens
    scale_S: Siemens

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g + self.sigma_S * (1 - _exp(-g / self.scale_S)) * n


Programming = Annotated[Relative | LogNormal | Window | Polynomial | Saturating, Field(discriminator="form")]


class Levels(Definition):
    """The conductances that can be programmed: `count` of them between g_min and g_max, linear or logarithmic, or a
    list in siemens."""

    form: Literal["linear", "log", "list"]
    count: Annotated[int, Field(ge=2)] | None = None
    values_S: Annotated[tuple[Siemens, ...], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _has_what_its_form_needs(self) -> Self:
        needs, other = ("values_S", "count") if self.form == "list" else ("count", "values_S")
        if getattr(self, needs) is None or getattr(self, other) is not None:
            raise ValueError(f"levels of form {self.form!r} need {needs}, and nothing besides")
        return self

    def between(self, g_min_S: float, g_max_S: float) -> NDArray[np.float64]:
        """The levels, ascending, siemens."""
        if self.values_S is not None:
            return np.unique(self.values_S)
        assert self.count is not None
        space = np.linspace if self.form == "linear" else np.geomspace
        return np.asarray(space(g_min_S, g_max_S, self.count))


class Stuck(Definition):
    """Shares of all devices that stay at an end of the range whatever is programmed."""

    at_g_min: Share = 0.0
    at_g_max: Share = 0.0

    @model_validator(mode="after")
    def _not_more_than_all(self) -> Self:
        if self.at_g_min + self.at_g_max > 1:
            raise ValueError("at_g_min and at_g_max are shares of all devices: together 1 at most")
        return self


class ReadNoise(Definition):
    """Noise of one reading, held for an inference: relative, g (1 + q n), with q = min(factor / x^power, largest) and
    x = g / g_max; with t0_s it grows as that of phase change memory, q sqrt(ln((t + t0) / (2 t0)))
    (Nandakumar et al., ESSDERC 2019)."""

    factor: Sigma
    power: float = 0.0
    largest: Sigma = 1.0
    t0_s: Annotated[float, Field(gt=0)] | None = None

    def disturbed(self, g: Any, n: Any, g_max_S: float, time_s: float = 0.0) -> Any:
        q = (self.factor * (g / g_max_S) ** -self.power).clip(max=self.largest)
        grown = 1.0 if self.t0_s is None else math.sqrt(max(math.log((time_s + self.t0_s) / (2 * self.t0_s)), 0.0))
        return g * (1 + grown * q * n)


class Drift(Definition):
    """g (t / t0)^-nu from t0 on; nu = offset + slope ln x within low .. high, x = g / g_max, of each device another one
    with a standard deviation sigma + sigma_slope ln x within sigma_low .. sigma_high, never negative
    (Nandakumar et al., ICECS 2020)."""

    t0_s: Annotated[float, Field(gt=0)]
    offset: float
    slope: float = 0.0
    low: float = 0.0
    high: float = 1.0
    sigma: float = 0.0
    sigma_slope: float = 0.0
    sigma_low: Sigma = 0.0
    sigma_high: Sigma = 1.0

    def disturbed(self, g: Any, n: Any, g_max_S: float, time_s: float) -> Any:
        if time_s <= self.t0_s:
            return g
        ln_x = _log(g / g_max_S)
        mean = (self.offset + self.slope * ln_x).clip(min=self.low, max=self.high)
        sigma = (self.sigma + self.sigma_slope * ln_x).clip(min=self.sigma_low, max=self.sigma_high)
        nu = (mean + sigma * n).clip(min=0.0)
        return g * _exp(-math.log(time_s / self.t0_s) * nu)


@dataclass(frozen=True)
class ArrayStatistics:
    """What is random about the devices of an array, and how long after programming it is looked at; None: nothing."""

    programming: Relative | LogNormal | Window | Polynomial | Saturating | None = None
    levels: Levels | None = None
    stuck: Stuck | None = None
    read_noise: ReadNoise | None = None
    drift: Drift | None = None
    time_s: float = 0.0

    def __bool__(self) -> bool:
        return any((self.programming, self.levels, self.stuck, self.read_noise, self.drift))


def disturbed(
    g: Any,
    statistics: ArrayStatistics,
    g_min_S: float,
    g_max_S: float,
    normal: Callable[[str], Any],
    uniform: Callable[[str], Any],
) -> Any:
    """Devices of the wanted conductances `g`, siemens, any shape, numpy or torch, as they then are.

    normal, uniform  (source) -> independent standard normal, uniform 0 .. 1 numbers, shaped like g
    """
    s, time_s = statistics, statistics.time_s
    if s.levels is not None:
        g = _quantised(g, s.levels.between(g_min_S, g_max_S))
    if s.programming is not None:
        g = s.programming.disturbed(g, normal("programming"), time_s).clip(min=LEAST_SHARE * g_min_S)
    if s.stuck is not None:
        u = uniform("stuck")
        low, high = u < s.stuck.at_g_min, u >= 1 - s.stuck.at_g_max
        g = _chosen(low, g_min_S, _chosen(high, g_max_S, g))
    if s.drift is not None and time_s:
        g = s.drift.disturbed(g, normal("drift"), g_max_S, time_s)
    if s.read_noise is not None:
        g = s.read_noise.disturbed(g, normal("read noise"), g_max_S, time_s)
    return g.clip(min=LEAST_SHARE * g_min_S)


def _quantised(g: Any, levels: NDArray[np.float64]) -> Any:
    """The nearest levels; in torch with the gradient of what was wanted (straight-through)."""
    wanted = g.detach().cpu().numpy() if hasattr(g, "detach") else g
    nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, wanted)]
    return g + (g.new_tensor(nearest) - g).detach() if hasattr(g, "detach") else nearest


def _chosen(mask: Any, value: float, other: Any) -> Any:
    return other.masked_fill(mask, value) if hasattr(other, "masked_fill") else np.where(mask, value, other)


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    total = 0 * x
    for c in reversed(coefficients):
        total = total * x + c
    return total


def _exp(x: Any) -> Any:
    return x.exp() if hasattr(x, "exp") else np.exp(x)


def _log(x: Any) -> Any:
    return x.log() if hasattr(x, "log") else np.log(x)


def _uniform(n: Any) -> Any:
    """Uniform in -1 .. 1 of standard normal numbers."""
    if hasattr(n, "erf"):
        return (n / math.sqrt(2)).erf()
    from scipy.special import erf

    return erf(n / math.sqrt(2))
