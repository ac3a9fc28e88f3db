"""What the [training] tables of all systems have in common."""

from __future__ import annotations

from pydantic import Field

from spicetrain.schema import Definition


class Augmentation(Definition):
    """What is done to a training image at random.

    shift_pixels  moved by up to so much along both axes
    rotate_rad    turned by up to so much either way
    flip          every other one mirrored left to right
    """

    shift_pixels: float = Field(default=0.0, ge=0)
    rotate_rad: float = Field(default=0.0, ge=0)
    flip: bool = False

    def __bool__(self) -> bool:
        return self != Augmentation()
