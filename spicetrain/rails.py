"""The supply of a circuit."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from spicetrain.schema import Definition


class Rails(Definition):
    """Supply voltages of every inverter, in volts; signals are referred to their middle."""

    vdd_V: float = Field(le=50)
    vss_V: float = Field(ge=-50)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.vdd_V <= self.vss_V:
            raise ValueError(
                f"rails.vdd_V = {self.vdd_V} is not above rails.vss_V = {self.vss_V}; "
                "VDD is the upper rail (for VDD = 0.5 V around ground: vdd_V = 0.25, vss_V = -0.25)"
            )
        return self

    @property
    def mid_V(self) -> float:
        return (self.vdd_V + self.vss_V) / 2

    @property
    def half_swing_V(self) -> float:
        return (self.vdd_V - self.vss_V) / 2
