"""What the [verification] tables of all systems have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spicetrain.schema import Definition
from spicetrain.verification.conditions import ConditionSettings

Share = Annotated[float, Field(ge=0, le=1)]
Tolerance = Annotated[float, Field(gt=0)]
Volts = Annotated[float, Field(gt=0)]


class VerificationBase(Definition):
    """How a trained network is verified.

    images           the first so many test images
    flat_images      so many of the same images also flat, to see that the two agree; 0 leaves it out
    conditions       under which it is simulated, where they differ from those it was trained in
    timeout_s        of one piece in ngspice
    accuracy_min ... outside these the verification fails (exit code 5). Shares of images are judged as samples of so
                     many. Not given: what the method claims; methods that claim nothing are reported only
    """

    images: int = Field(default=1000, ge=1)
    flat_images: int = Field(default=0, ge=0)
    conditions: ConditionSettings = Field(default_factory=ConditionSettings)
    timeout_s: float = Field(default=3600.0, gt=0)
    accuracy_min: Share | None = None
    agreement_min: Share | None = None
