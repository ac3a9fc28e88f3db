"""The current of a 1t1r cell whose row spikes, as a sum of products of its conductance and its membrane.

With x = u, the membrane from rest, on the excitatory side and -u on the inhibitory one, and E the rail from rest:

    i(g, u) = sign sum_m share_m(g) volts_m(x),   volts_m(x) = (E - x) (1 + exp((x - centre_m) / width_m))^-power_m
    share_m(g) = g exp(sum_d log_share[m, d] z^d),   z = 2 ln(g / g_low) / ln(g_high / g_low) - 1

E - x is what an ideal cell would see, the other factor what its access transistor lets through before it closes. All
shares and all factors are positive and the latter fall: however it is fitted, a cell's current keeps its sign up to
the rail, falls with the membrane, and saturates; so does that of a column, whose cells add up in the shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_SECANT, _ROUNDED = 0.8, 1 + 1e-6  # of the largest conductance: from where on; what float32 makes of it
_FARTHEST = 300.0  # exponents beyond it are that: no float overflows


@dataclass(frozen=True)
class CellCurves:
    """One side's cells; see the module.

    sign      1 where they lift the membrane, -1 where they pull it down
    drive_V   E
    centre_V, width_V, power   [M]
    log_share  [M, D+1]
    g_low_S, g_high_S   measured; below, a cell is a smaller one of the kind of g_low_S, above it goes on along the
              secant of the last fifth before g_high_S
    """

    sign: float
    drive_V: float
    centre_V: Vector
    width_V: Vector
    power: Vector
    log_share: Vector
    g_low_S: float
    g_high_S: float

    def shares(self, g: Any) -> list[Any]:
        """Per m the siemens, shaped like g (siemens; numpy or torch)."""
        if not bool((g > self.g_high_S * _ROUNDED).any()):
            return self._shares(g)
        held = g.clip(max=self.g_high_S) if hasattr(g, "new_tensor") else np.minimum(g, self.g_high_S)
        high, before = (self._shares(np.array([share * self.g_high_S])) for share in (1.0, _SECANT))
        slopes = [float((a - b)[0]) / ((1 - _SECANT) * self.g_high_S) for a, b in zip(high, before, strict=True)]
        beyond = zip(self._shares(held), slopes, strict=True)
        return [(share + slope * (g - held)).clip(0.0) for share, slope in beyond]

    def _shares(self, g: Any) -> list[Any]:
        inside = g.clip(self.g_low_S, self.g_high_S)
        log = inside.log() if hasattr(inside, "new_tensor") else np.log(inside)
        span = float(np.log(self.g_high_S / self.g_low_S))
        z = (log - float(np.log(self.g_low_S))) * (2 / span) - 1
        found = []
        for coefficients in self.log_share:
            value: Any = float(coefficients[-1])
            for coefficient in coefficients[-2::-1]:
                value = value * z + float(coefficient)
            found.append(g * (value.exp() if hasattr(value, "new_tensor") else np.exp(value)))
        return found

    def volts(self, u: Vector) -> tuple[Vector, Vector]:
        """(sign volts_m, their derivatives by u), [..., M] of membranes u [...] (volts from rest)."""
        x = self.sign * u[..., None]
        exponent = np.clip((x - self.centre_V) / self.width_V, -_FARTHEST, _FARTHEST)
        open_share = np.exp(-self.power * np.logaddexp(0, exponent))
        drive = self.drive_V - x
        closing = self.power / self.width_V / (1 + np.exp(-exponent))
        return self.sign * drive * open_share, -open_share * (1 + drive * closing)

    def current_A(self, g: Vector, u: Vector) -> Vector:
        """Into the column, of cells g and membranes u of one shape."""
        return np.asarray((np.stack(self.shares(g), -1) * self.volts(u)[0]).sum(-1))

    def expressions(self, u: str) -> list[str]:
        """sign volts_m of the membrane `u`, as ngspice writes them."""
        x = f"({u})" if self.sign > 0 else f"(-({u}))"
        return [
            f"({self.sign!r}*({self.drive_V!r}-{x})*exp(-{power!r}*ln(1+exp(({x}-({centre!r}))/{width!r}))))"
            for centre, width, power in zip(
                self.centre_V.tolist(), self.width_V.tolist(), self.power.tolist(), strict=True
            )
        ]

    @property
    def table(self) -> Vector:
        """For a file: [M, 3 + D + 1]."""
        return np.hstack([self.centre_V[:, None], self.width_V[:, None], self.power[:, None], self.log_share])

    @property
    def plain(self) -> list[float]:
        """Likewise."""
        return [self.sign, self.drive_V, self.g_low_S, self.g_high_S]

    @classmethod
    def of(cls, table: Vector, plain: list[float]) -> Self:
        """What `table` and `plain` were of."""
        sign, drive_V, g_low_S, g_high_S = plain
        centre, width, power = np.ascontiguousarray(table[:, :3].T)
        return cls(sign, drive_V, centre, width, power, np.ascontiguousarray(table[:, 3:]), g_low_S, g_high_S)
