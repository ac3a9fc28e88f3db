"""I = g V exp(b sqrt(|V|)): Poole-Frenkel emission, as devices of high resistance show it (Frenkel, Phys. Rev. 54, 647,
1938; Joksas et al., Nature Comm. 13, 2022, of SiOx).

Its second derivative is infinite at 0: sqrt(|V|) is rounded there to (V^2 + V_0^2)^(1/4) - sqrt(V_0), V_0 = 0.1 mV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from spicetrain.array.device import Device

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_ROUND_V = 1e-4


class PooleFrenkel(Device):
    """b_per_sqrt_V  how strongly it bends, 1 / sqrt(V)."""

    form: Literal["poole-frenkel"] = "poole-frenkel"
    b_per_sqrt_V: float = Field(gt=0, le=50)

    def _lifted(self, v: Any) -> tuple[Any, Any]:
        """(exp(b (r - r_0)), r) with r = (V^2 + V_0^2)^(1/4), r_0 that at 0 V."""
        r = (v * v + _ROUND_V**2) ** 0.25
        x = self.b_per_sqrt_V * (r - _ROUND_V**0.5)
        return (x.exp() if hasattr(x, "exp") else np.exp(x)), r  # a tensor has its own

    def current(self, g: Any, v: Any) -> Any:
        return g * v * self._lifted(v)[0]

    def slope(self, g: Any, v: Any) -> Any:
        lifted, r = self._lifted(v)
        return g * lifted * (1 + self.b_per_sqrt_V * v * v / (2 * r**3))

    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        v, b_per_sqrt_V = f"v({a},{b})", self.b_per_sqrt_V
        r = f"sqrt(sqrt({v}*{v}+{_ROUND_V**2!r}))"
        law = f"{{{float(g)!r}*{v}*exp({b_per_sqrt_V!r}*({r}-{_ROUND_V**0.5!r}))}}"
        circuit.B(name, a, b, current_expression=law)
