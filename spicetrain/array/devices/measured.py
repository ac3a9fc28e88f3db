"""What was measured of a device's current, looked through, and laid on a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_INTERVALS = 64  # at least; every device of a flat deck carries them all
_MOST_INTERVALS = 512
_OFFSET = 1e-6
_NAMED = 0.05


@dataclass(frozen=True)
class Grid:
    """states_S [states + 2], with 0 and twice the last; currents_A [states + 2, points] at (first + k) step_V"""

    states_S: Array
    currents_A: Array
    first: int
    step_V: float

    @cached_property
    def voltages_V(self) -> Array:
        """[points]"""
        return self.step_V * np.arange(self.first, self.first + self.currents_A.shape[1], dtype=np.float64)


def grid_of(voltages_V: Sequence[float], states_S: Sequence[float], currents_A: Sequence[Sequence[float]]) -> Grid:
    """The monotone cubics through what `require_measured` let pass. 0 V is a point of the grid, and so are all voltages
    measured when they are multiples of a step."""
    from scipy.interpolate import PchipInterpolator

    v, i = _with_both_signs(np.array(voltages_V), np.array(currents_A))
    i[:, v == 0] = 0.0
    step = _step(v)
    ends = math.floor(v[0] / step + 1e-6), math.ceil(v[-1] / step - 1e-6)
    at = step * np.arange(ends[0], ends[1] + 1)
    inside = np.clip(at, v[0], v[-1])
    laws = PchipInterpolator(v, i, axis=1)
    dense = laws(inside) + laws(inside, 1) * (at - inside)  # less than a step beyond the last voltage: straight on
    states = np.array(states_S)
    everything = np.vstack([np.zeros(len(at)), dense, 2 * dense[-1]])
    return Grid(np.array([0.0, *states, 2 * states[-1]]), everything, ends[0], step)


def require_measured(
    voltages_V: Sequence[float], states_S: Sequence[float], currents_A: Sequence[Sequence[float]], v_read_V: float
) -> None:
    """ValueError when these are not currents of a passive device, a row a state; it names the keys of `Table`."""
    _require_ascending("voltages_V", voltages_V)
    _require_ascending("states_S", states_S)
    if len(currents_A) != len(states_S):
        raise ValueError(f"currents_A has {len(currents_A)} rows for {len(states_S)} states_S: a row a state")
    for number, row in enumerate(currents_A, start=1):
        if len(row) != len(voltages_V):
            raise ValueError(f"currents_A: row {number} has {len(row)} currents for {len(voltages_V)} voltages_V")
    if voltages_V[0] < 0 and not (0.0 in voltages_V and voltages_V[-1] > 0):
        raise ValueError(
            "voltages_V go below 0: then they need 0 and positive ones too. Without negative ones the law is odd"
        )
    for number, row in enumerate(currents_A, start=1):
        _require_passive(number, voltages_V, row)
    v, i = _with_both_signs(np.array(voltages_V), np.array(currents_A))
    for number, (low, high) in enumerate(zip(i, i[1:], strict=False), start=1):
        crossed = v[(abs(high) <= abs(low)) & (v != 0)]
        if len(crossed):
            raise ValueError(
                f"currents_A: row {number + 1} is not above row {number} at {crossed[0]:g} V; states cross"
            )
    if v_read_V > v[-1]:
        raise ValueError(f"v_read_V = {v_read_V:g} is beyond the last of voltages_V, {v[-1]:g}")
    grid = grid_of(voltages_V, states_S, currents_A)
    for state_S, row in zip(states_S, grid.currents_A[1:], strict=False):
        found_S = float(np.interp(v_read_V, grid.voltages_V, row)) / v_read_V
        if abs(found_S / state_S - 1) > _NAMED:
            raise ValueError(
                f"states_S: the state {state_S:g} S conducts {found_S:g} S at v_read_V = {v_read_V:g} by currents_A. "
                "Currents are amperes, voltages volts, and a state is I / V at v_read_V"
            )


def _require_passive(number: int, voltages_V: Sequence[float], row: Sequence[float]) -> None:
    largest = max(map(abs, row))
    for v, i in zip(voltages_V, row, strict=True):
        if v == 0 and abs(i) > _OFFSET * largest:
            raise ValueError(
                f"currents_A: row {number} has {i:g} A at 0 V, where a memristor has none. Subtract the instrument's "
                "offset; `spicetrain import-device` does"
            )
        if v * i < 0 or (i == 0 and v != 0):
            raise ValueError(f"currents_A: row {number} has {i:g} A at {v:g} V: of the wrong sign, or none")
    for (v, i), (v_next, i_next) in zip(
        zip(voltages_V, row, strict=True), zip(voltages_V[1:], row[1:], strict=True), strict=False
    ):
        if i_next <= i:
            raise ValueError(
                f"currents_A: row {number} does not rise from {v:g} to {v_next:g} V ({i:g} to {i_next:g} A): noise, or "
                "a device that switched. `spicetrain import-device` smooths the first"
            )


def _require_ascending(name: str, values: Sequence[float]) -> None:
    for first, second in zip(values, values[1:], strict=False):
        if second <= first:
            raise ValueError(f"{name} do not ascend: {second:g} comes after {first:g}")


def _with_both_signs(v: Array, i: Array) -> tuple[Array, Array]:
    """Voltages [points] and currents [states, points]; where none is negative the law is odd."""
    if v[0] < 0:
        return v, i.copy()
    if v[0] > 0:
        v, i = np.insert(v, 0, 0.0), np.insert(i, 0, 0.0, axis=1)
    return np.concatenate([-v[:0:-1], v]), np.concatenate([-i[:, :0:-1], i], axis=1)


def _step(v: Array) -> float:
    """Volts: a part of the least distance, when all voltages are multiples of that."""
    least, reach = float(np.diff(v).min()), float(v[-1] - v[0])
    multiples = v / least
    intervals = round(reach / least)
    if intervals <= _MOST_INTERVALS and np.all(abs(multiples - np.round(multiples)) < 1e-6):
        return least / math.ceil(_INTERVALS / intervals)
    return reach / (4 * _INTERVALS)
