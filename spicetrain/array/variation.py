"""What a device is after it was programmed: levels, programming error, stuck cells, drift, read noise.

Every law is one function of the conductance wanted and of standard normal numbers, for numpy and torch alike, so that a
chip in a deck, the same chip in the model, and the chips that a training draws obey one formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pydantic import model_validator

from spicetrain.array.aging import AnyDrift, AnyNoise, Drift, Noise, ReadNoise
from spicetrain.array.elementwise import chosen
from spicetrain.array.programming import AnyProgramming, Levels, Programming, Relative, Share
from spicetrain.schema import Definition

__all__ = [
    "LEAST_SHARE", "ArrayStatistics", "Drift", "Levels", "Noise", "Programming", "ReadNoise", "Relative", "Stuck",
    "disturbed",
]  # fmt: skip

LEAST_SHARE = 1e-3
"""No device conducts less than this share of g_min: a Gaussian error has no lower end, a conductance has."""


class Stuck(Definition):
    """Shares of all devices that stay at an end of the range whatever is programmed."""

    at_g_min: Share = 0.0
    at_g_max: Share = 0.0

    @model_validator(mode="after")
    def _not_more_than_all(self) -> Self:
        if self.at_g_min + self.at_g_max > 1:
            raise ValueError("at_g_min and at_g_max are shares of all devices: together 1 at most")
        return self


@dataclass(frozen=True)
class ArrayStatistics:
    """What is random about the devices of an array, and how long after programming it is looked at; None: nothing."""

    programming: AnyProgramming | None = None
    levels: Levels | None = None
    stuck: Stuck | None = None
    read_noise: AnyNoise | None = None
    drift: AnyDrift | None = None
    time_s: float = 0.0

    def __bool__(self) -> bool:
        return any((self.programming, self.levels, self.stuck, self.read_noise, self.drift if self.time_s else None))


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
    s, time_s, least_S = statistics, statistics.time_s, LEAST_SHARE * g_min_S
    wanted = g if s.levels is None else s.levels.nearest(g, g_min_S, g_max_S)
    programmed = wanted
    if s.programming is not None:
        programmed = s.programming.disturbed(wanted, normal("programming"), time_s).clip(min=least_S)
    if s.stuck is not None:
        u = uniform("stuck")
        low, high = u < s.stuck.at_g_min, u >= 1 - s.stuck.at_g_max
        wanted, programmed = (chosen(low, g_min_S, chosen(high, g_max_S, of)) for of in (wanted, programmed))
    g = programmed
    if s.drift is not None and time_s:
        g = s.drift.disturbed(g, wanted, normal("drift"), g_max_S, time_s).clip(min=least_S)
    if s.read_noise is None:
        return g
    return s.read_noise.disturbed(g, programmed, normal("read noise"), g_max_S, time_s).clip(min=least_S)
