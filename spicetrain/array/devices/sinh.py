"""I = (g / b) sinh(b V) (Yakopcic et al., IEEE EDL 32(10), 1436, 2011)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from spicetrain.array.device import Device

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


class Sinh(Device):
    """b_per_V  how strongly it bends, 1/V."""

    form: Literal["sinh"] = "sinh"
    b_per_V: float = Field(gt=0)

    @property
    def sinh_per_V(self) -> float:
        return self.b_per_V

    def current(self, g: Any, v: Any) -> Any:
        x = self.b_per_V * v
        return g / self.b_per_V * (x.sinh() if hasattr(x, "sinh") else np.sinh(x))  # a tensor has its own

    def slope(self, g: Any, v: Any) -> Any:
        x = self.b_per_V * v
        return g * (x.cosh() if hasattr(x, "cosh") else np.cosh(x))

    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        b_per_V = self.b_per_V
        circuit.B(name, a, b, current_expression=f"{{{float(g / b_per_V)}*sinh({b_per_V}*v({a},{b}))}}")
