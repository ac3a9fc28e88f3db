"""What a memristive device is to everybody else: a range, a current, a slope, an element of a deck."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from spicetrain.array.variation import Drift, Levels, Noise, Programming, Stuck
from spicetrain.errors import ConfigurationError
from spicetrain.rails import Rails
from spicetrain.schema import Definition

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

# The trainers take a crossbar as ohmic: above this relative excess of a device's current they would be wrong silently.
LARGEST_NONLINEARITY = 1e-3
_STRAIGHT = 1e-3  # b times half the swing

STATISTICS = ("programming", "levels", "stuck", "read_noise", "drift")
"""The fields of a Device that only chips know: the nominal circuit does not depend on them."""


class Device(Definition):
    """One kind of device, as a technology's [memristor] states it; a device of it has a conductance g at 0 V.

    g_min_S, g_max_S  range in which g is programmed, siemens
    pitch_m           from one cell of an array to the next: the area of a cell is its square. No current depends on it
    programming, levels, stuck, read_noise, drift  what is random about a programmed device; None: nothing known
    """

    form: str
    g_min_S: float = Field(gt=0)
    g_max_S: float = Field(gt=0)
    pitch_m: float | None = Field(default=None, gt=0)
    programming: Programming | None = None
    levels: Levels | None = None
    stuck: Stuck | None = None
    read_noise: Noise | None = None
    drift: Drift | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.g_min_S >= self.g_max_S:
            raise ValueError(
                f"memristor.g_min_S = {self.g_min_S} is not below memristor.g_max_S = {self.g_max_S}; "
                "the two may be swapped, or given as resistances (these are siemens)"
            )
        return self

    @property
    def sinh_per_V(self) -> float | None:
        """b of a law (g / b) sinh(b v), 0 of an ohmic one; None of any other. What such devices do together has closed
        forms."""
        return None

    def sinh_between(self, rails: Rails) -> float | None:
        """The same, and 0 where the law is straight between the rails to 3e-7: differences of exponentials lose more in
        float32."""
        b_per_V = self.sinh_per_V
        straight = b_per_V is not None and b_per_V * rails.half_swing_V < _STRAIGHT
        return 0.0 if straight else b_per_V

    @property
    def reduces(self) -> bool:
        """Whether an open column of such devices, its rows held by ideal sources, is one source behind one conductance
        (Thevenin)."""
        return self.sinh_per_V == 0

    @abstractmethod
    def current(self, g: Any, v: Any) -> Any:
        """Amperes through devices of `g` siemens at `v` volts; numpy or torch, shapes broadcast."""

    @abstractmethod
    def slope(self, g: Any, v: Any) -> Any:
        """dI/dv there, siemens."""

    def per_siemens(self, g: Any, v: Any) -> Any:
        """dI/dg there, volts; a device whose current is not proportional to g has its own."""
        return self.current(g * 0 + 1, v)

    @property
    def proportional(self) -> bool:
        """Whether the current is proportional to g at every voltage: n equal devices in parallel are one of n g."""
        return True

    def parts(self, g: Any) -> list[tuple[Any, Device]]:
        """(conductances shaped as g, a device proportional to them) that stand in parallel in its place: of a device
        that is proportional to g, itself. Differentiable in `g`."""
        return [(g, self)]

    @abstractmethod
    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        """A device of `g` siemens between the nodes `a` and `b` of a PySpice circuit."""

    def nonlinearity(self, v: float) -> float:
        """Relative excess of the current over g v at `v` volts; 0 when ohmic."""
        return float(self.current(1.0, v)) / v - 1 if v else 0.0

    def require_range(self, v: float) -> None:
        """ConfigurationError when nothing is known of the current at -`v` .. `v` volts; a law knows all of it."""

    def require_nearly_ohmic(self, v: float) -> None:
        """ConfigurationError when the current at `v` volts exceeds g v by more than a trainer may neglect."""
        excess = abs(self.nonlinearity(v))
        if excess > LARGEST_NONLINEARITY:
            raise ConfigurationError(
                f"The memristor's current exceeds g V by {excess:.1e} at {v:g} V; the solver takes devices that are "
                f"ohmic to {LARGEST_NONLINEARITY:g}. Lower the rails, or choose a device that bends less."
            )
