"""What is verified of a spiking network and how good it must be: the [verification] table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from spicetrain.schema import Definition

Share = Annotated[float, Field(ge=0, le=1)]
Volts = Annotated[float, Field(gt=0)]


class SpikingVerificationSettings(Definition):
    """How a trained spiking network is verified.

    images               the first so many test images
    netlist              "reduced": on `1r` the first layer's columns as exact Thevenin sources; on `1t1r` all cells of
                         a column as their measured currents, not exact; "flat": every device and every driver
    flat_images          so many of the same images also flat, to see that the two agree; 0 leaves it out
    waveform_images      of so many of them, chosen neurons are kept at all points in time; 0: of none
    spikes               file of input spikes to take instead of encoding the images
    accuracy_min ...     outside these the verification fails (exit code 5); None: reported only.
                         accuracy_gap_max: between the method's own model and SPICE
    """

    images: int = Field(default=500, ge=1)
    netlist: Literal["reduced", "flat"] = "reduced"
    flat_images: int = Field(default=0, ge=0)
    waveform_images: int = Field(default=1, ge=0)
    spikes: Path | None = None
    accuracy_min: Share | None = None
    accuracy_gap_max: Share | None = None
    agreement_min: Share | None = None
    spike_agreement_min: Share | None = None
    membrane_rms_max_V: Volts | None = None
    flat_membrane_max_V: Volts | None = None
