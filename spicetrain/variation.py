"""What varies from chip to chip in an experiment: the statistics of its technology, or others in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from spicetrain.array.aging import PowerDrift
from spicetrain.array.variation import ArrayStatistics, Levels, ReadNoise, Relative, Stuck
from spicetrain.errors import ConfigurationError
from spicetrain.mismatch import Kind, Mismatch
from spicetrain.schema import Definition
from spicetrain.technology import Technology

_TECHNOLOGY: Final = "technology"
_FIRST_READING_S = 20.0  # after programming: from when phase change memory is said to drift (aihwkit's t_c)
Amount = Literal["technology"] | Annotated[float, Field(ge=0, lt=1e3)]
ShareOf = Literal["technology"] | Annotated[float, Field(ge=0, le=1)]

SOURCES = ("mismatch", "threshold", "threshold_scale", "programming", "levels", "stuck", "read_noise", "drift")
"""What can vary, by name."""

_THRESHOLDS: Final = {"threshold_sigma_V": 0.0, "threshold_scale": 1.0}
"""Of neurons that have one; as these are nothing is said of them, as before there were any."""


class VariationSettings(Definition):
    """What varies from chip to chip; "technology": as the technology has it, if it does.

    mismatch     of the transistors: the technology's, times this factor
    beta         of the current of a transistor of one finger, relative; it falls with the root of the fingers
    programming  of the memristors: a relative Gaussian error of this standard deviation
    levels       so many linear levels from g_min to g_max; 0: any conductance
    stuck_at_g_min, stuck_at_g_max  shares of the devices
    read_noise   relative standard deviation of a reading
    time_s       since programming: by then devices have drifted
    drift        exponent nu of g (1 + t / 20 s)^-nu, and drift_sigma its standard deviation from device to device
    threshold_sigma_V  standard deviation of the membrane at which a neuron fires, of every neuron by itself, besides
                       what mismatch does to it; of spiking neurons
    threshold_scale    all thresholds of a chip are so many times as far above rest; of spiking neurons
    """

    mismatch: Amount = _TECHNOLOGY
    programming: Amount = _TECHNOLOGY
    levels: Literal["technology"] | Annotated[int, Field(ge=0, le=1_000_000)] = _TECHNOLOGY
    stuck_at_g_min: ShareOf = _TECHNOLOGY
    stuck_at_g_max: ShareOf = _TECHNOLOGY
    read_noise: Amount = _TECHNOLOGY
    time_s: Annotated[float, Field(ge=0)] = 0.0
    drift: Amount = _TECHNOLOGY
    drift_sigma: Annotated[float, Field(ge=0)] = 0.0
    beta: Amount = _TECHNOLOGY
    threshold_sigma_V: Annotated[float, Field(ge=0, le=1)] = 0.0
    threshold_scale: Annotated[float, Field(gt=0, le=10)] = 1.0

    @property
    def of_thresholds(self) -> list[str]:
        """Keys that are given of what only a neuron with a threshold has."""
        return [key for key, usual in _THRESHOLDS.items() if getattr(self, key) != usual]


class TrainingVariation(VariationSettings):
    """What varies while a network is trained, drawn anew all the time: nothing, unless it is given.

    after_epochs  first trained so long without: a net that has learnt nothing learns less from chips that vary
    """

    mismatch: Amount = 0.0
    programming: Amount = 0.0
    levels: Literal["technology"] | Annotated[int, Field(ge=0, le=1_000_000)] = 0
    stuck_at_g_min: ShareOf = 0.0
    stuck_at_g_max: ShareOf = 0.0
    read_noise: Amount = 0.0
    drift: Amount = 0.0
    beta: Amount = 0.0
    after_epochs: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _every_chip_has_the_thresholds_that_are_meant(self) -> Self:
        if self.threshold_scale != 1:
            raise ValueError(
                f"threshold_scale = {self.threshold_scale:g}: it is the same for all chips, nothing is to draw "
                "while a network is trained. Give the circuit other thresholds (circuit.threshold_V), or draw them "
                "(threshold_sigma_V)"
            )
        return self

    def trained_as(self) -> dict[str, Any]:
        """As JSON; without what is said of thresholds, what it was before there was anything to say."""
        return without_thresholds(self.model_dump(mode="json"))


def without_thresholds(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without those keys that say nothing of thresholds."""
    return {key: value for key, value in table.items() if key not in _THRESHOLDS or value != _THRESHOLDS[key]}


@dataclass(frozen=True)
class Statistics:
    """What varies.

    mismatch_scale  factor of the standard deviations of V_T and beta that `mismatch` gives
    beta            standard deviation of a finger's current in place of that of `mismatch`; None: as there
    geometry_unit_m of transistors' w and l, metres
    threshold_sigma_V, threshold_scale  of spiking neurons, see VariationSettings
    """

    mismatch: Mismatch | None = None
    mismatch_scale: float = 1.0
    array: ArrayStatistics = ArrayStatistics()
    beta: float | None = None
    geometry_unit_m: float = 1.0
    threshold_sigma_V: float = 0.0
    threshold_scale: float = 1.0

    def __bool__(self) -> bool:
        return self.neurons or self.threshold_scale != 1 or bool(self.array)

    @property
    def transistors(self) -> bool:
        """Whether they vary."""
        return self.mismatch is not None or bool(self.beta)

    @property
    def neurons(self) -> bool:
        """Whether spiking neurons vary, by their transistors or by themselves."""
        return self.transistors or self.threshold_sigma_V > 0

    @property
    def draws(self) -> bool:
        """Whether two chips differ."""
        return self.neurons or bool(self.array)

    def sigma(self, kind: Kind, geometry: Mapping[str, float]) -> tuple[float, float]:
        """(sigma(V_T) in volts, sigma(beta) / beta) of one transistor of one finger; TechnologyError when its gate's
        area is not known."""
        v_t, beta = (0.0, 0.0)
        if self.mismatch is not None:
            v_t, beta = self.mismatch.sigma(kind, geometry, self.geometry_unit_m)
        return self.mismatch_scale * v_t, self.mismatch_scale * beta if self.beta is None else self.beta

    @property
    def sources(self) -> tuple[str, ...]:
        """Those of SOURCES that vary."""
        return tuple(name for name in SOURCES if self._has(name))

    def _has(self, source: str) -> bool:
        if source == "drift":
            return self.array.time_s > 0 and (self.array.drift is not None)
        of_neurons = {
            "mismatch": self.transistors,
            "threshold": self.threshold_sigma_V > 0,
            "threshold_scale": self.threshold_scale != 1,
        }
        return of_neurons[source] if source in of_neurons else getattr(self.array, source) is not None

    def only(self, source: str) -> Self:
        """The same with one source left."""
        kept: dict[str, Any] = {
            field.name: None for field in fields(self.array) if field.name not in (source, "time_s")
        }
        mismatch, beta = (self.mismatch, self.beta) if source == "mismatch" else (None, None)
        return replace(
            self,
            mismatch=mismatch,
            beta=beta,
            array=replace(self.array, **kept),
            threshold_sigma_V=self.threshold_sigma_V if source == "threshold" else 0.0,
            threshold_scale=self.threshold_scale if source == "threshold_scale" else 1.0,
        )

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON."""
        array = {field.name: getattr(self.array, field.name) for field in fields(self.array)}
        found = {"mismatch": self.mismatch, "mismatch_scale": self.mismatch_scale, "beta": self.beta, **array}
        found |= without_thresholds({key: getattr(self, key) for key in _THRESHOLDS})
        return {name: value.model_dump() if isinstance(value, Definition) else value for name, value in found.items()}


NOTHING = Statistics()


def statistics_of(technology: Technology, asked: VariationSettings) -> Statistics:
    """What varies, as asked. ConfigurationError when a factor is asked of statistics that the technology has not."""
    device, mismatch, scale = technology.memristor, technology.mismatch, 1.0
    if not isinstance(asked.mismatch, str):
        scale = asked.mismatch
        if scale and mismatch is None:
            raise ConfigurationError(
                f"variation.mismatch = {scale:g}, but the technology {technology.name!r} gives no statistics of its "
                "transistors: give it a table [mismatch], or leave it out with variation.mismatch = 0."
            )
        mismatch = mismatch if scale else None
    programming, levels, noise, stuck = device.programming, device.levels, device.read_noise, device.stuck or Stuck()
    if not isinstance(asked.programming, str):
        programming = Relative(form="relative", sigma=asked.programming) if asked.programming else None
    if not isinstance(asked.levels, str):
        levels = Levels(form="linear", count=asked.levels) if asked.levels else None
    if not isinstance(asked.read_noise, str):
        noise = ReadNoise(factor=asked.read_noise) if asked.read_noise else None
    low = stuck.at_g_min if isinstance(asked.stuck_at_g_min, str) else asked.stuck_at_g_min
    high = stuck.at_g_max if isinstance(asked.stuck_at_g_max, str) else asked.stuck_at_g_max
    if low + high > 1:
        raise ConfigurationError(
            f"{low:g} of all memristors stuck at g_min and {high:g} at g_max: together 1 at most. They are "
            "variation.stuck_at_g_min and variation.stuck_at_g_max, or the technology's [memristor.stuck]."
        )
    some = Stuck(at_g_min=low, at_g_max=high) if low or high else None
    drift = device.drift
    if not isinstance(asked.drift, str):
        nu = {"low": asked.drift, "high": max(asked.drift, 1.0), "sigma_high": max(asked.drift_sigma, 1.0)}
        drifting = PowerDrift(form="power", t0_s=_FIRST_READING_S, offset=asked.drift, sigma=asked.drift_sigma, **nu)
        drift = drifting if asked.drift or asked.drift_sigma else None
    array = ArrayStatistics(programming, levels, some, noise, drift, asked.time_s)
    beta = None if isinstance(asked.beta, str) else asked.beta
    return Statistics(
        mismatch, scale, array, beta, technology.transistors.geometry_unit_m, asked.threshold_sigma_V,
        asked.threshold_scale,
    )  # fmt: skip


def require_statistics(technology: Technology, asked: VariationSettings) -> Statistics:
    """`statistics_of`; ConfigurationError when nothing varies."""
    found = statistics_of(technology, asked)
    if not found.sources:
        raise ConfigurationError(
            f"Chips are asked for, and nothing varies from one to the next: the technology {technology.name!r} has no "
            "statistics and none are given. Give it [mismatch] or [memristor.programming], or set them, as in "
            "--verification.variation.programming 0.1."
        )
    return found
