"""What is verified, and how good it must be: the [verification] table of an experiment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
