"""Operating conditions: under which corner, at which temperature, between which rails the same circuit works."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from spicetrain.rails import Rails
from spicetrain.schema import Definition
from spicetrain.technology import Technology

Celsius = Annotated[float, Field(gt=-273.15, lt=500)]
Scale = Annotated[float, Field(gt=0, le=10)]

NOMINAL = "nominal"
"""What the corner of a technology is called that has no name for it."""


class ConditionSet(Definition):
    """All combinations of these; of what is not given the technology's own.

    corners         by the technology's names
    temperatures_C  of all devices
    vdd_scales      the rails' distance from their middle, by this factor
    """

    corners: tuple[str, ...] | None = None
    temperatures_C: tuple[Celsius, ...] | None = None
    vdd_scales: tuple[Scale, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self.corners or self.temperatures_C or self.vdd_scales)

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        for name in ConditionSet.model_fields:
            values = getattr(self, name) or ()
            if len(set(values)) < len(values):
                raise ValueError(f"{name} = {list(values)}: one is named twice")
        return self


class TrainingConditions(ConditionSet):
    """The conditions that a network is trained for, drawn anew for each minibatch; none, unless some are given.

    nominal_share  of the draws meets the nominal circuit, whether the combinations have it or not; the others meet all
                   other combinations equally often
    per_minibatch  so many draws for every minibatch, among which its samples are divided: one condition alone pulls the
                   network its own way
    after_epochs   first trained so long in the nominal circuit alone
    """

    nominal_share: float = Field(default=0.2, ge=0, lt=1)
    per_minibatch: int = Field(default=4, ge=1, le=1000)
    after_epochs: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Condition:
    """technology is what the circuit is made of under it, its rails scaled; nominal: it is what it was."""

    corner: str
    vdd_scale: float
    technology: Technology
    nominal: bool

    @property
    def temperature_C(self) -> float:
        return self.technology.temperature_C

    @cached_property
    def name(self) -> str:
        """ss_85C_0.9x: also a folder's name."""
        return f"{self.corner}_{self.temperature_C:g}C_{self.vdd_scale:g}x"

    def facts(self) -> dict[str, Any]:
        """As JSON: what sets it apart, and between which rails it is."""
        rails = self.technology.rails
        return {
            "condition": self.name,
            "corner": self.corner,
            "temperature_C": self.temperature_C,
            "vdd_scale": self.vdd_scale,
            "vdd_V": rails.vdd_V,
            "vss_V": rails.vss_V,
        }


def conditions_in(technology: Technology, asked: ConditionSet) -> list[Condition]:
    """All that are asked for, corners varying slowest. TechnologyError when there is no such corner."""
    own = next((name for name, it in technology.corners.items() if it == technology.transistors.section), NOMINAL)
    at_corner = {name: technology.at_corner(name) for name in asked.corners or ()} or {own: technology}
    for one in at_corner.values():
        assert one.model_files  # or it raises
    temperatures, scales = asked.temperatures_C or (technology.temperature_C,), asked.vdd_scales or (1.0,)
    found = []
    for (corner, made_of), temperature_C, scale in product(at_corner.items(), temperatures, scales):
        changes: dict[str, Any] = {"temperature_C": float(temperature_C)}
        if scale != 1:
            changes["rails"] = scaled(technology.rails, scale)
        there = made_of.changed(**changes)
        found.append(Condition(corner, float(scale), there, there == technology))
    return found


def scaled(rails: Rails, factor: float, middle_V: float | None = None) -> Rails:
    """The rails, their distance from `middle_V` (None: their own middle) by `factor`."""
    middle = rails.mid_V if middle_V is None else middle_V
    low, high = (middle + factor * (v - middle) for v in (rails.vss_V, rails.vdd_V))
    return Rails(vdd_V=high, vss_V=low)
