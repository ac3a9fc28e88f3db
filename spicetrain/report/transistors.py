"""Sizes of transistors as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from spicetrain.errors import SpicetrainError
from spicetrain.report.page import Page
from spicetrain.report.units import quantity
from spicetrain.technology import Technology, load_technology


def technology_of(page: Page) -> Technology | None:
    """The run's; None where it is not here, as on another machine."""
    try:
        return load_technology(page.experiment.technology)
    except SpicetrainError:
        return None


def geometry_unit_m(page: Page) -> float | None:
    """What the technology takes a w of 1 for; None where its library is not here."""
    technology = technology_of(page)
    return None if technology is None else technology.transistors.geometry_unit_m


def size_text(geometry: Mapping[str, float], unit_m: float | None) -> str:
    """W / L; of a technology with other names for them, or an unknown unit, all that is given."""
    if {"w", "l"} <= geometry.keys() and unit_m is not None:
        return f"{quantity(unit_m * geometry['w'], 'm')} / {quantity(unit_m * geometry['l'], 'm')}"
    return ", ".join(f"{name} = {value:g}" for name, value in geometry.items())
