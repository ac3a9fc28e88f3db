"""What was measured, in SI units, without the rows that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spicetrain.errors import ConfigurationError
from spicetrain.importing.columns import IV, PROGRAMMING, UNITS, Column, columns_of, require
from spicetrain.importing.read import Columns

Array = NDArray[np.float64]

_LARGEST_SHARE_UNUSED = 0.2
_LEAST_VOLTAGES = 4
_LARGEST = {"voltage": 1e3, "current": 10.0, "target": 100.0, "measured": 100.0}
_LEAST_V = 1e-3  # nothing bends below
_LEAST_A = 1e-18  # no meter reads less
_WRONG_WAY = 0.05  # of a state's largest current
_LEAST_PROGRAMMED = 20


@dataclass(frozen=True)
class Sweeps:
    """I-V of some states: v_V, i_A, state [rows], the last a number into `labels`; ordered by state and voltage."""

    v_V: Array
    i_A: Array
    state: NDArray[np.intp]
    labels: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def reach_V(self) -> float:
        return float(abs(self.v_V).max())

    def of(self, state: int) -> tuple[Array, Array]:
        """(voltages, currents) of a state."""
        return self.v_V[self.state == state], self.i_A[self.state == state]


@dataclass(frozen=True)
class Programmed:
    """What was wanted and what was read, target_S, measured_S [rows], `time_s` [rows] after it was programmed."""

    target_S: Array
    measured_S: Array
    time_s: Array
    devices: int
    notes: list[str] = field(default_factory=list)

    def at(self, time_s: float) -> Programmed:
        rows = self.time_s == time_s
        return replace(self, target_S=self.target_S[rows], measured_S=self.measured_S[rows], time_s=self.time_s[rows])


def measured(columns: Columns) -> Sweeps | Programmed:
    """By its columns' names one or the other. Raises ConfigurationError: neither, or nothing that can be fitted."""
    known = columns_of(columns.names, columns.source)
    if not {*IV, *PROGRAMMING} & known.keys():
        shown = ", ".join(columns.names[:8])
        raise ConfigurationError(
            f"{columns.source} has the columns {shown}: neither I-V (voltage_V, current_A, state) nor programming "
            "(target_S, measured_S). Currents after pulses as CrossSim has them need --read-voltage."
        )
    if set(PROGRAMMING) & known.keys():
        require(known, PROGRAMMING, columns.names, columns.source)
        return _programmed(columns, known)
    require(known, IV, columns.names, columns.source)
    return _sweeps(columns, known)


def _sweeps(columns: Columns, known: dict[str, Column]) -> Sweeps:
    v, i = (known[name].factor * columns.numbers(known[name].index) for name in IV)
    texts = columns.texts(known["state"].index) if "state" in known else ["1"] * len(v)
    _require_sane(columns, known, voltage=v, current=i)
    used, notes = usable(columns, np.isfinite(v) & np.isfinite(i) & np.array([bool(text) for text in texts]))
    lines = np.array(columns.lines)[used]
    v, i = v[used], i[used]
    names, state = np.unique(np.array(texts)[used], return_inverse=True)
    labels = names.tolist()
    if "state" not in known:
        notes.append("no column state: all rows are one state")
    for number, label in enumerate(labels):
        i[state == number] = _one_state(columns.source, label, v, i, lines, state == number, notes)
    reach = float(abs(v).max())
    if reach < _LEAST_V:
        raise ConfigurationError(f"{columns.source}: swept up to {reach:.3g} V only. Is the unit of the voltage right?")
    order = np.lexsort((v, state))
    return Sweeps(v[order], i[order], state[order], labels, notes)


def _one_state(source: str, label: str, v: Array, i: Array, lines: NDArray, rows: NDArray, notes: list[str]) -> Array:
    """The currents of a state without what flows at 0 V; ConfigurationError when they are none of a memristor."""
    where = f"{source}, state {label!r}"
    if len(np.unique(abs(v[rows & (v != 0)]))) < _LEAST_VOLTAGES:
        raise ConfigurationError(
            f"{where}: measured at less than {_LEAST_VOLTAGES} voltages beside 0 V, from which no law can be told. "
            "Sweep up to what the device sees between the rails."
        )
    still = i[rows & (v == 0)]
    offset = float(still.mean()) if len(still) else 0.0
    current = i[rows] - offset
    largest = float(abs(current).max())
    if largest < _LEAST_A:
        raise ConfigurationError(f"{where}: every current is 0. The instrument's range may be too coarse.")
    wrong = lines[rows][(v[rows] * current < 0) & (abs(current) > _WRONG_WAY * largest)]
    if len(wrong):
        raise ConfigurationError(
            f"{where}: current against the voltage, as of a negative resistance, in {shown_lines(wrong)}. The sign "
            "of the current may be the meter's, or the device switched: leave switching out of the sweep."
        )
    if abs(offset) > 1e-3 * largest:
        notes.append(f"state {label}: {offset:.3g} A at 0 V taken off all of its currents")
    return current


def _programmed(columns: Columns, known: dict[str, Column]) -> Programmed:
    target, found = (known[name].factor * columns.numbers(known[name].index) for name in PROGRAMMING)
    time_s = np.zeros(len(target))
    if "time" in known:
        time_s = known["time"].factor * columns.numbers(known["time"].index)
    _require_sane(columns, known, target=target, measured=found)
    used, notes = usable(columns, np.isfinite(target) & np.isfinite(found) & np.isfinite(time_s))
    lines = np.array(columns.lines)[used]
    target, found, time_s = target[used], found[used], time_s[used]
    if np.any(target <= 0):
        raise ConfigurationError(
            f"{columns.source}: the target is 0 or less in {shown_lines(lines[target <= 0])}. These are conductances."
        )
    if np.any(time_s < 0):
        raise ConfigurationError(f"{columns.source}: a time before programming in {shown_lines(lines[time_s < 0])}.")
    if len(target) < _LEAST_PROGRAMMED:
        raise ConfigurationError(
            f"{columns.source}: {len(target)} programmed devices tell no distribution; it takes {_LEAST_PROGRAMMED}."
        )
    ratio = float(np.median(found / target))
    if not 0.05 < ratio < 20:
        raise ConfigurationError(
            f"{columns.source}: measured is {ratio:.3g} times the target in the median. Is the unit of a column wrong?"
        )
    devices = len(set(np.array(columns.texts(known["device"].index))[used])) if "device" in known else 0
    return Programmed(target, found, time_s, devices, notes)


def _require_sane(columns: Columns, known: dict[str, Column], **values: Array) -> None:
    """ConfigurationError when a number is beyond what any memristor has: then a unit is wrong."""
    for quantity, numbers in values.items():
        wild = np.array(columns.lines)[np.nan_to_num(abs(numbers)) > _LARGEST[quantity]]
        if len(wild):
            name, unit = columns.names[known[quantity].index], next(iter(UNITS[quantity]))
            raise ConfigurationError(
                f"{columns.source}: {name!r} goes beyond {_LARGEST[quantity]:g} {unit} in {shown_lines(wild)}. Is its "
                "unit right?"
            )


def usable(columns: Columns, good: NDArray) -> tuple[NDArray, list[str]]:
    """(rows to use, notes): a few bad ones are left out and said; ConfigurationError when it is more than a fifth."""
    bad = np.array(columns.lines)[~good]
    if len(bad) > _LARGEST_SHARE_UNUSED * len(good):
        raise ConfigurationError(
            f"{columns.source}: {len(bad)} of {len(good)} rows lack a number that is finite: {shown_lines(bad)}."
        )
    return good, [f"{len(bad)} of {len(good)} rows without a number left out: {shown_lines(bad)}"] if len(bad) else []


def shown_lines(lines: Sequence[int] | NDArray, most: int = 10) -> str:
    listed = ", ".join(str(line) for line in lines[:most])
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return f"line{'s' if len(lines) > 1 else ''} {listed}{more}"
