"""I = g V (|V| / V_ref)^(gamma - 1), gamma = log2 I(2 V) / I(V): a power law (Joksas et al., Nature Comm. 13, 2022, fit
their I-V curves by the ratio I(2 V) / I(V)).

A power has no slope at 0: below a millivolt the law is rounded, |V| taken as sqrt(V^2 + (1 mV)^2).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from spicetrain.array.device import Device

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_ROUND_V = 1e-3


class Power(Device):
    """ratio    I(2 V) / I(V); 2 is ohmic
    v_ref_V  where a device of g siemens conducts g V; its g is meant there, not at 0 V
    """

    form: Literal["power"] = "power"
    ratio: float = Field(gt=1, le=16)
    v_ref_V: float = Field(gt=0)

    @property
    def _half_excess(self) -> float:
        return (math.log2(self.ratio) - 1) / 2

    def _share(self, v: Any) -> Any:
        return (v * v + _ROUND_V**2) / (self.v_ref_V**2 + _ROUND_V**2)

    def current(self, g: Any, v: Any) -> Any:
        return g * v * self._share(v) ** self._half_excess

    def slope(self, g: Any, v: Any) -> Any:
        bent = 1 + 2 * self._half_excess * v * v / (v * v + _ROUND_V**2)
        return g * self._share(v) ** self._half_excess * bent

    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        v = f"v({a},{b})"
        scale = float(g) / (self.v_ref_V**2 + _ROUND_V**2) ** self._half_excess
        law = f"{{{scale!r}*{v}*pow({v}*{v}+{_ROUND_V**2!r},{self._half_excess!r})}}"
        circuit.B(name, a, b, current_expression=law)
