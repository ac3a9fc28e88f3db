"""What the [verification] tables of all systems have in common."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from spicetrain.draw import MOST_CHIPS
from spicetrain.schema import Definition
from spicetrain.variation import VariationSettings
from spicetrain.verification.conditions import ConditionSettings

Share = Annotated[float, Field(ge=0, le=1)]
Tolerance = Annotated[float, Field(gt=0)]
Volts = Annotated[float, Field(gt=0)]


class VerificationBase(Definition):
    """How a trained network is verified.

    images           the first so many test images
    flat_images      so many of the same images also flat, to see that the two agree; 0 leaves it out
    conditions       under which it is simulated, where they differ from those it was trained in
    chips            so many chips, each with the variation drawn for it, in the model
    chips_simulated  the first so many of them in ngspice as well
    chips_first      the number of the first one: a chip is a number
    chips_images     of them; None: `images`
    chips_sources    what each source of variation costs by itself, too
    chips_conditions further variations, by name, under which the same chips are looked at in the model
    yield_accuracy   a chip is good from this accuracy on
    variation        from chip to chip
    timeout_s        of one piece in ngspice
    accuracy_min ... outside these the verification fails (exit code 5). Shares of images, or of chips, are judged as
                     samples of so many. Not given: what the method claims; methods that claim nothing are reported only
    """

    images: int = Field(default=1000, ge=1)
    flat_images: int = Field(default=0, ge=0)
    conditions: ConditionSettings = Field(default_factory=ConditionSettings)
    chips: int = Field(default=0, ge=0, le=1_000_000)
    chips_simulated: int = Field(default=0, ge=0)
    chips_first: int = Field(default=0, ge=0, lt=MOST_CHIPS)
    chips_images: Annotated[int, Field(ge=1)] | None = None
    chips_sources: bool = True
    chips_conditions: dict[str, VariationSettings] = Field(default_factory=dict)
    yield_accuracy: Share = 0.95
    variation: VariationSettings = Field(default_factory=VariationSettings)
    timeout_s: float = Field(default=3600.0, gt=0)
    accuracy_min: Share | None = None
    agreement_min: Share | None = None
    yield_min: Share | None = None

    @model_validator(mode="after")
    def _chips_are_there(self) -> Self:
        if self.chips_simulated > self.chips:
            raise ValueError(
                f"chips_simulated = {self.chips_simulated} of chips = {self.chips}: those that are simulated are the "
                "first of them. Give more chips, or simulate fewer"
            )
        if self.chips_first + self.chips > MOST_CHIPS:
            raise ValueError(f"chips_first = {self.chips_first} and chips = {self.chips}: the last number is 2^32 - 1")
        return self
