"""How the surrogates are fitted."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from spicetrain.schema import Definition

_HELD = 1e-2
Width = Annotated[int, Field(ge=1, le=256)]


class SurrogateSettings(Definition):
    """The [surrogates] table of an experiment.

    hidden      neurons of the hidden layers of every MLP
    points      samples of a table that a fit may use; the cost of a step is proportional to it
    iterations  Levenberg-Marquardt steps of each transistor of the current surface
    load_iterations  the same for the loaded VTC and the effective load, of which less is asked
    starts      random starting points tried for a few steps; the best goes on. Twice as many for the loads: the better
                half goes on each time
    least_damping  of a weight, as a share of the largest one. 1e-2 holds neurons that saturate, and the fit is the same
                on every machine; without, where it ends hangs on the last digit of every sum. Loads are always held
    held_out    share of a table kept from the fit, for the errors that are reported
    """

    hidden: tuple[Width, ...] = Field(default=(16, 16), min_length=1, max_length=4)
    points: int = Field(default=4000, ge=50, le=200_000)
    iterations: int = Field(default=150, ge=1, le=10_000)
    load_iterations: int = Field(default=50, ge=1, le=10_000)
    starts: int = Field(default=4, ge=1, le=100)
    least_damping: float = Field(default=1e-12, ge=1e-14, le=1)
    seed: int = Field(default=0, ge=0)
    held_out: float = Field(default=0.2, gt=0, lt=0.9)

    @property
    def for_loads(self) -> Self:
        """The settings of the two load surrogates."""
        held = max(self.least_damping, _HELD)
        return self.model_copy(update={"iterations": self.load_iterations, "least_damping": held})
