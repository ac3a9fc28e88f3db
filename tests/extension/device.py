"""A device: I = g (V + c V^3)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from PySpice.Spice.Netlist import Circuit

from spicetrain.array.device import Device


class Cubic(Device):
    """c_per_V2  how strongly it bends, 1/V^2."""

    form: Literal["cubic"] = "cubic"
    c_per_V2: float = Field(gt=0)

    def current(self, g: Any, v: Any) -> Any:
        return g * (v + self.c_per_V2 * v**3)

    def slope(self, g: Any, v: Any) -> Any:
        return g * (1 + 3 * self.c_per_V2 * v**2)

    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        v = f"v({a},{b})"
        circuit.B(name, a, b, current_expression=f"{{{g}}}*({v}+{{{self.c_per_V2}}}*{v}*{v}*{v})")
