"""I(g, V) as it was measured of a few states: linear in g between two neighbours, in V through the points measured.

Between these it is a monotone cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 238, 1980), taken on a dense
equidistant grid and linear from one of its points to the next, so that numpy, torch and ngspice's pwl() are one law.
Below the lowest state and above the highest a device is that state in proportion; beyond the voltages the law goes
straight on, which `require_range` keeps everybody from.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spicetrain.array.device import Device
from spicetrain.array.devices.measured import Grid, grid_of, require_measured
from spicetrain.errors import ConfigurationError

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Row = Annotated[tuple[float, ...], Field(min_length=1)]


class _Corners(NamedTuple):
    """The four entries around (g, v), low and high in g, and the shares of what lies higher, `t` in v, `w` in g."""

    low: Any
    low_next: Any
    high: Any
    high_next: Any
    t: Any
    w: Any
    step_S: Any


class Table(Device):
    """voltages_V  ascending, with 0 among them; or none below 0: then the law is odd, I(-V) = -I(V)
    states_S    ascending: what the states conduct at `v_read_V`, I / V there; one alone is a law in proportion to g
    currents_A  a row a state, a current a voltage; ascending in both, 0 at 0 V
    v_read_V    where a device of g siemens conducts g V
    """

    form: Literal["table"] = "table"
    v_read_V: float = Field(gt=0)
    voltages_V: Annotated[tuple[float, ...], Field(min_length=2)]
    states_S: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    currents_A: Annotated[tuple[Row, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _as_measured(self) -> Self:
        require_measured(self.voltages_V, self.states_S, self.currents_A, self.v_read_V)
        low, high = self.states_S[0], self.states_S[-1]
        if len(self.states_S) > 1 and not low <= self.g_min_S < self.g_max_S <= high:
            raise ValueError(
                f"g_min_S = {self.g_min_S:g} .. g_max_S = {self.g_max_S:g} leave the states that were measured, "
                f"{low:g} .. {high:g} S"
            )
        return self

    @property
    def proportional(self) -> bool:
        return len(self.states_S) == 1

    @cached_property
    def grid(self) -> Grid:
        """The law on its equidistant voltages, with the state 0, which conducts nothing, and twice the last."""
        return grid_of(self.voltages_V, self.states_S, self.currents_A)

    def current(self, g: Any, v: Any) -> Any:
        low, high, at = self._states(g, v)
        return low + at.w * (high - low)

    def slope(self, g: Any, v: Any) -> Any:
        at = self._corners(g, v)
        low, high = at.low_next - at.low, at.high_next - at.high
        return (low + at.w * (high - low)) / self.grid.step_V

    def per_siemens(self, g: Any, v: Any) -> Any:
        low, high, at = self._states(g, v)
        return (high - low) / at.step_S

    def parts(self, g: Any) -> list[tuple[Any, Device]]:
        """One a state: what of `g` is that state's, and a table of it alone."""
        index, w, _ = self._place(_alike(g, 0.0)[0])
        last = len(self.states_S)
        shares = []
        for k, state_S in enumerate(self.states_S, start=1):
            upper = (index == k - 1) + 2 * (index == k) * (k == last)  # the virtual state is twice the last
            shares.append(state_S * (w * upper + (1 - w) * (index == k)))
        return list(zip(shares, self.alone, strict=True))

    @cached_property
    def alone(self) -> tuple[Table, ...]:
        """Each state as a device of its own."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        rows = zip(self.states_S, self.currents_A, strict=True)
        return tuple(Table(**{**fields, "states_S": (state,), "currents_A": (row,)}) for state, row in rows)

    def add(self, circuit: Circuit, name: str, a: str, b: str, g: float) -> None:
        v = self.grid.voltages_V
        points = zip(v.tolist(), self.current(float(g), v).tolist(), strict=True)
        law = ",".join(f"{at:.14g},{i:.14g}" for at, i in points)
        # Without braces: in them ngspice rewrites every number, in fewer digits and more than twice the time.
        circuit.B(name, a, b, current_expression=f"pwl(v({a},{b}),{law})")

    def nonlinearity(self, v: float) -> float:
        """That of the state that bends most."""
        states = np.asarray(self.states_S)
        excess = self.current(states, v) / (states * v) - 1 if v else 0 * states
        return float(excess[np.argmax(abs(excess))])

    def require_range(self, v: float) -> None:
        low, high = self.voltages_V[0], self.voltages_V[-1]
        least = min(high, -low) if low < 0 else high
        if v > least * (1 + 1e-9):
            raise ConfigurationError(
                f"The memristor was measured up to {least:g} V only (memristor.voltages_V), and between the rails it "
                f"may see {v:g} V. Lower the rails, measure further, or take a form that is a law: "
                "`spicetrain import-device` fits them."
            )

    def _place(self, g: Any) -> tuple[Any, Any, Any]:
        """(number of the state below, share of the one above, siemens between the two), shaped as g."""
        states = _like(self.grid.states_S, g)
        inner = states[1:-1]
        index = (g[..., None] >= inner).sum(-1)
        step_S = states[index + 1] - states[index]
        return index, (g - states[index]) / step_S, step_S

    def _corners(self, g: Any, v: Any) -> _Corners:
        g, v = _alike(g, v)
        index, w, step_S = self._place(g)
        points = self.grid.currents_A.shape[1]
        x = v / self.grid.step_V - self.grid.first
        k = _whole(x, points - 2)
        table, at = _like(self.grid.currents_A.ravel(), v), index * points + k
        ends = (table[at], table[at + 1], table[at + points], table[at + points + 1])
        return _Corners(*ends, x - k, w, step_S)

    def _states(self, g: Any, v: Any) -> tuple[Any, Any, _Corners]:
        """(current of the state below, of the one above, the corners)."""
        at = self._corners(g, v)
        return at.low + at.t * (at.low_next - at.low), at.high + at.t * (at.high_next - at.high), at


def _alike(g: Any, v: Any) -> tuple[Any, Any]:
    """A number beside a tensor is a tensor too; else both are numpy's."""
    if hasattr(g, "detach"):
        return g, v if hasattr(v, "detach") else g.new_tensor(v)
    if hasattr(v, "detach"):
        return v.new_tensor(g), v
    return np.asarray(g, dtype=np.float64), np.asarray(v, dtype=np.float64)


def _like(values: NDArray, x: Any) -> Any:
    return x.new_tensor(values) if hasattr(x, "detach") else values


def _whole(x: Any, most: int) -> Any:
    """The integer below `x`, within 0 .. most."""
    if hasattr(x, "detach"):
        return x.detach().floor().clamp(0, most).long()
    return np.clip(np.floor(x), 0, most).astype(np.intp)
