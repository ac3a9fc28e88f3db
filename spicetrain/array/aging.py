"""What becomes of a programmed device: drift with the time, and the noise of a reading. Numpy or torch.

    drift.disturbed(g, wanted, n, g_max_S, time_s)      devices `g`, siemens, that were to be `wanted`, after `time_s`
    noise.disturbed(g, programmed, n, g_max_S, time_s)  devices `g`, that were `programmed` before they drifted, as read

`n`: standard normal numbers, shaped like `g`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from spicetrain.array.elementwise import between, exp, log, polynomial
from spicetrain.array.programming import PolynomialAt, Seconds, Siemens, Sigma, require_ascending
from spicetrain.schema import Definition


class PowerDrift(Definition):
    """Phase change memory: g (1 + t / t0)^-nu, t since the first reading, t0 after programming
    (Nandakumar et al., ICECS 2019).

    nu is |mean + sigma n|, of each device another one; with x = wanted / g_max
    mean   offset + slope ln x, within low .. high
    sigma  sigma + sigma_slope ln x, within sigma_low .. sigma_high
    """

    form: Literal["power"]
    t0_s: Seconds
    offset: float
    slope: float = 0.0
    low: Sigma = 0.0
    high: Sigma = 1.0
    sigma: float = 0.0
    sigma_slope: float = 0.0
    sigma_low: Sigma = 0.0
    sigma_high: Sigma = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("low", "high"), ("sigma_low", "sigma_high")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low):g} is above {high} = {getattr(self, high):g}")
        return self

    def disturbed(self, g: Any, wanted: Any, n: Any, g_max_S: float, time_s: float) -> Any:
        ln_x = log(wanted / g_max_S)
        mean = (self.offset + self.slope * ln_x).clip(min=self.low, max=self.high)
        sigma = (self.sigma + self.sigma_slope * ln_x).clip(min=self.sigma_low, max=self.sigma_high)
        return g * exp(-math.log1p(time_s / self.t0_s) * abs(mean + sigma * n))


class LogarithmicDrift(Definition):
    """The same for every conductance: g + shift_S ln(t / t0) + (sigma_S + sigma_growth_S ln(t / t0)) n from t0 on
    (Falcone et al., as aihwkit has it: CMO/HfOx)."""

    form: Literal["logarithmic"]
    shift_S: float
    sigma_S: Sigma = 0.0
    sigma_growth_S: Sigma = 0.0
    t0_s: Seconds = 1.0

    def disturbed(self, g: Any, wanted: Any, n: Any, g_max_S: float, time_s: float) -> Any:
        if time_s < self.t0_s:
            return g
        ln_t = math.log(time_s / self.t0_s)
        return g + self.shift_S * ln_t + (self.sigma_S + self.sigma_growth_S * ln_t) * n


class PolynomialDrift(Definition):
    """A shift of all devices that was measured at some times: g + unit_S sum_k coefficients[k] (wanted / scale_S)^k.

    measured    the coefficients; in between the shift is linear in the time, from none at 0; after the last it stays
    valid_to_S  a device that was to be more than this moves as one of it; None: no limit
    """

    form: Literal["polynomial"]
    scale_S: Siemens
    unit_S: Siemens = 1e-6
    valid_to_S: Siemens | None = None
    measured: Annotated[tuple[PolynomialAt, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        require_ascending("measured", [at.time_s for at in self.measured])
        return self

    def disturbed(self, g: Any, wanted: Any, n: Any, g_max_S: float, time_s: float) -> Any:
        points = [(0.0, (0.0,)), *((at.time_s, at.coefficients) for at in self.measured)]
        before, after, share = between([time for time, _ in points], time_s)
        x = (wanted if self.valid_to_S is None else wanted.clip(max=self.valid_to_S)) / self.scale_S
        first, last = (polynomial(points[index][1], x) for index in (before, after))
        return g + self.unit_S * (first + share * (last - first))


AnyDrift = PowerDrift | LogarithmicDrift | PolynomialDrift
Drift = Annotated[AnyDrift, Field(discriminator="form")]


def grown(t_read_s: float | None, t0_s: float, time_s: float) -> float:
    """By what 1/f noise has grown since programming, t0 before the first reading, when a reading takes t_read:
    sqrt(ln((t + t0 + t_read) / (2 t_read))) (Nandakumar et al., ICECS 2019); without t_read it does not grow: 1."""
    if t_read_s is None:
        return 1.0
    return math.sqrt(max(math.log((time_s + t0_s + t_read_s) / (2 * t_read_s)), 0.0))


class ReadNoise(Definition):
    """Relative: g (1 + q n), q = min(factor / x^power, largest), x = programmed / g_max; `grown` with t_read_s."""

    form: Literal["relative"] = "relative"
    factor: Sigma
    power: float = 0.0
    largest: Sigma = 1.0
    t_read_s: Seconds | None = None
    t0_s: Annotated[float, Field(ge=0)] = 0.0

    def disturbed(self, g: Any, programmed: Any, n: Any, g_max_S: float, time_s: float = 0.0) -> Any:
        q = (self.factor * (programmed / g_max_S) ** -self.power).clip(max=self.largest)
        return g * (1 + grown(self.t_read_s, self.t0_s, time_s) * q * n)


class LogarithmicNoise(Definition):
    """g + factor unit_S log10(g / unit_S) n, `grown` with t_read_s; none below unit_S (aihwkit's CMO/HfOx)."""

    form: Literal["logarithmic"]
    factor: Sigma
    unit_S: Siemens = 1e-6
    t_read_s: Seconds | None = None
    t0_s: Annotated[float, Field(ge=0)] = 0.0

    def disturbed(self, g: Any, programmed: Any, n: Any, g_max_S: float, time_s: float = 0.0) -> Any:
        sigma_S = self.factor * self.unit_S / math.log(10) * log(g / self.unit_S).clip(min=0)
        return g + grown(self.t_read_s, self.t0_s, time_s) * sigma_S * n


class SaturatingNoise(Definition):
    """g + sigma_S (1 - exp(-g / scale_S)) n (SONOS: Agrawal et al., IEDM 2022, 21.7)."""

    form: Literal["saturating"]
    sigma_S: Siemens
    scale_S: Siemens

    def disturbed(self, g: Any, programmed: Any, n: Any, g_max_S: float, time_s: float = 0.0) -> Any:
        return g + self.sigma_S * (1 - exp(-g / self.scale_S)) * n


AnyNoise = ReadNoise | LogarithmicNoise | SaturatingNoise
Noise = Annotated[AnyNoise, Field(discriminator="form")]
