"""I = g V: a resistor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from spicetrain.array.device import Device

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


class Ohmic(Device):
    """b_per_V  that of the sinh law it stands for, for the record: nothing depends on it."""

    form: Literal["ohmic"] = "ohmic"
    b_per_V: float = Field(default=0.0, ge=0)

    @property
    def sinh_per_V(self) -> float:
        return 0.0

    def current(self, g: Any, v: Any) -> Any:
        return g * v

    def slope(self, g: Any, v: Any) -> Any:
        return g + 0 * v

    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        circuit.R(name, a, b, float(1 / g))
