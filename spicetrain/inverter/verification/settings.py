"""What is verified and how good it must be, and what is measured in time: the [verification] and [energy] tables."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spicetrain.schema import Definition

Share = Annotated[float, Field(ge=0, le=1)]
Volts = Annotated[float, Field(gt=0)]


class VerificationSettings(Definition):
    """How a trained network is verified.

    images               the first so many test images
    netlist              "reduced": the first crossbar as exact Thevenin sources; "flat": every device
    flat_images          so many of the same images also flat, to see that the two agree; 0 leaves it out
    hidden               keep the voltages of every inner node as well
    accuracy_min ...     outside these the verification fails (exit code 5); None: reported only
    """

    images: int = Field(default=1000, ge=1)
    netlist: Literal["reduced", "flat"] = "reduced"
    flat_images: int = Field(default=3, ge=0)
    hidden: bool = False
    accuracy_min: Share | None = None
    agreement_min: Share | None = None
    error_mean_max_V: Volts | None = None
    error_max_max_V: Volts | None = None
    flat_error_max_V: Volts | None = None


class EnergySettings(Definition):
    """How energy and delay are measured, in a transient over the first so many test images.

    images                how many; the last of them comes before the first. 0 leaves it out, 1 would have no step
    column_capacitance_F  of every crossbar column's wire to ground, besides the transistors' own
    row_capacitance_F     of every inverter output's, likewise
    edge_s                in which the rows go linearly from one image to the next
    settled               an output has settled when it stays within this share of its step
    step_min_V            smaller steps of an output are not waited for
    """

    images: int = Field(default=0, ge=0)
    column_capacitance_F: float = Field(default=0.0, ge=0)
    row_capacitance_F: float = Field(default=0.0, ge=0)
    edge_s: float = Field(default=1e-11, gt=0)
    settled: float = Field(default=0.1, gt=0, lt=1)
    step_min_V: Volts = 1e-3

    @model_validator(mode="after")
    def _has_a_step(self) -> Self:
        if self.images == 1:
            raise ValueError("energy.images = 1: from one image to itself there is no step; give 2 or more, or 0")
        return self
