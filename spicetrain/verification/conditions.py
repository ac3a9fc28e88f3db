"""Under which conditions a network is simulated, apart from those it was trained and is modelled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from pydantic import model_validator

from spicetrain.array.wires import Wires
from spicetrain.operating import Celsius, Scale, scaled
from spicetrain.rails import Rails
from spicetrain.schema import Definition
from spicetrain.technology import Technology, load_technology


class ConditionSettings(Definition):
    """The [verification.conditions] table; what is not given is as it was in training.

    technology     another technology of the same terminals, by name or by the path of its TOML
    corner         another of its corners, by name
    section        another section of its library, where it names no corners
    temperature_C  of all devices
    vdd_scale      the rails' distance from their middle, by this factor
    wires          of every crossbar
    """

    technology: str | None = None
    corner: str | None = None
    section: str | None = None
    temperature_C: Celsius | None = None
    vdd_scale: Scale = 1.0
    wires: Wires | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.corner is not None and self.section is not None:
            raise ValueError(
                f"conditions.corner = {self.corner!r} and conditions.section = {self.section!r} both choose a section: "
                "give one"
            )
        return self


@dataclass(frozen=True)
class Conditions:
    """modelled   the technology as the run has it: of the surrogates, and of the model's predictions
    simulated  the technology as ngspice gets it
    vdd_scale  by which the simulated rails differ
    """

    modelled: Technology
    simulated: Technology
    vdd_scale: float = 1.0

    def recorded(
        self, about: dict[str, Any], modelled: Rails | None = None, simulated: Rails | None = None
    ) -> dict[str, dict[str, Any]]:
        """For a summary: what the network, by its provenance `about`, was trained in, and both. Rails are given where
        they are not the technology's."""
        model = _recorded(self.modelled, modelled or self.modelled.rails)
        trained = {"technology": about.get("technology"), "fingerprint": about.get("technology_fingerprint")}
        return {
            "trained_in": model if trained["fingerprint"] == model["fingerprint"] else trained,
            "modelled_in": model,
            "simulated_in": _recorded(self.simulated, simulated or self.simulated.rails),
        }


def conditions_of(modelled: Technology, settings: ConditionSettings) -> Conditions:
    """TechnologyError when the technology that is named cannot be had, or has no such corner."""
    simulated = modelled if settings.technology is None else load_technology(settings.technology)
    if settings.corner is not None:
        simulated = simulated.at_corner(settings.corner)
    changes: dict[str, Any] = {}
    if settings.section is not None:
        changes["transistors"] = simulated.transistors.model_copy(update={"section": settings.section})
    if settings.temperature_C is not None:
        changes["temperature_C"] = settings.temperature_C
    if settings.vdd_scale != 1:
        changes["rails"] = scaled(simulated.rails, settings.vdd_scale)
    if settings.wires is not None:
        changes["wires"] = settings.wires
    simulated = simulated.changed(**changes)
    assert simulated.model_files  # of that section, or it raises
    return Conditions(modelled, simulated, settings.vdd_scale)


def _recorded(technology: Technology, rails: Rails) -> dict[str, Any]:
    return {
        "technology": technology.name,
        "fingerprint": technology.fingerprint,
        "section": technology.transistors.section,
        "temperature_C": technology.temperature_C,
        "vdd_V": rails.vdd_V,
        "vss_V": rails.vss_V,
    }
