"""What programming leaves of a conductance that was wanted: its error, and the levels that there are.

disturbed(g, n, time_s)  devices of the wanted conductances `g`, siemens, any shape, with normal numbers `n`,
                     `time_s` seconds after programming; numpy or torch
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spicetrain.array.elementwise import between, exp, polynomial, uniform
from spicetrain.schema import Definition

Share = Annotated[float, Field(ge=0, le=1)]
Sigma = Annotated[float, Field(ge=0)]
Siemens = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Coefficients = Annotated[tuple[float, ...], Field(min_length=1)]


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
        return g * exp(self.sigma * n)


class Window(Definition):
    """What program-and-verify leaves: uniform within +-half_width of what was wanted, a share of it, and besides within
    +-half_width_S siemens."""

    form: Literal["window"]
    half_width: Share = 0.0
    half_width_S: Sigma = 0.0

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g + (self.half_width * g + self.half_width_S) * uniform(n)


class PolynomialAt(Definition):
    """The coefficients of a polynomial at a time."""

    time_s: Seconds
    coefficients: Coefficients


class Polynomial(Definition):
    """Gaussian, of a standard deviation that is a polynomial, unit_S sum_k coefficients[k] (g / scale_S)^k, or 0.

    later  the coefficients at later times, as retention changes them; in between the standard deviation is linear in
           the logarithm of the time, which for the first `coefficients` is `time_s`; after the last it stays
    """

    form: Literal["polynomial"]
    coefficients: Coefficients
    scale_S: Siemens
    unit_S: Siemens = 1e-6
    time_s: Seconds = 1.0
    later: tuple[PolynomialAt, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        require_ascending("later", (self.time_s, *(at.time_s for at in self.later)))
        return self

    def sigma_S(self, g: Any, time_s: float = 0.0) -> Any:
        """Standard deviation at `g`, siemens, `time_s` after programming."""
        points = [(self.time_s, self.coefficients), *((at.time_s, at.coefficients) for at in self.later)]
        times = [math.log(time) for time, _ in points]
        before, after, share = between(times, math.log(max(time_s, self.time_s)))
        first, last = (polynomial(points[index][1], g / self.scale_S) for index in (before, after))
        return (self.unit_S * (first + share * (last - first))).clip(min=0)

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        return g + self.sigma_S(g, time_s) * n


class SaturatingAt(Definition):
    """The two numbers of `Saturating` at a time."""

    time_s: Seconds
    sigma_S: Siemens
    scale_S: Siemens


class Saturating(Definition):
    """Gaussian, of a standard deviation that saturates, sigma_S (1 - exp(-g / scale_S)), as that of SONOS cells
    (Agrawal et al., IEDM 2022, 21.7).

    later  the two at later times, in between linear in the time; after the last they stay
    """

    form: Literal["saturating"]
    sigma_S: Siemens
    scale_S: Siemens
    later: tuple[SaturatingAt, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        require_ascending("later", (0.0, *(at.time_s for at in self.later)))
        return self

    def disturbed(self, g: Any, n: Any, time_s: float = 0.0) -> Any:
        points = [(0.0, self.sigma_S, self.scale_S), *((at.time_s, at.sigma_S, at.scale_S) for at in self.later)]
        before, after, share = between([time for time, *_ in points], time_s)
        sigma_S, scale_S = (
            first + share * (last - first) for first, last in zip(points[before][1:], points[after][1:], strict=True)
        )
        return g + sigma_S * (1 - exp(-g / scale_S)) * n


AnyProgramming = Relative | LogNormal | Window | Polynomial | Saturating
Programming = Annotated[AnyProgramming, Field(discriminator="form")]


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

    def nearest(self, g: Any, g_min_S: float, g_max_S: float) -> Any:
        """The levels nearest to `g`; in torch with the gradient of what was wanted (straight-through)."""
        levels = self.between(g_min_S, g_max_S)
        wanted = g.detach().cpu().numpy() if hasattr(g, "detach") else g
        nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, wanted)]
        return g + (g.new_tensor(nearest) - g).detach() if hasattr(g, "detach") else nearest


def require_ascending(name: str, times_s: Sequence[float]) -> None:
    """ValueError when the times of `name` are not in order."""
    for first, second in zip(times_s, times_s[1:], strict=False):
        if second <= first:
            raise ValueError(f"{name}: time_s = {second:g} is not after {first:g}, the one before it")
