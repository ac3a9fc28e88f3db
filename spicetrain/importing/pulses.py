"""Trains of pulses as CrossSim has them: a column a train, a row a pulse, the current read after it.

CrossSim's own tool makes lookup tables of conductance against its change of these (sandialabs/cross-sim,
examples/lookup_table_generation: set.csv and reset.csv).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicetrain.errors import ConfigurationError
from spicetrain.importing.measured import shown_lines
from spicetrain.importing.read import Columns, read_columns

Array = NDArray[np.float64]

_BINS = 8
_LARGEST_SHARE_UNUSED = 0.2
CANNOT = (
    "Of pulses can be had the range and how a single pulse moves a device. Not to be had: the error that "
    "program-and-verify leaves (measure target and measured), the I-V (the device is taken as ohmic), drift, read "
    "noise apart from that of a pulse."
)


@dataclass(frozen=True)
class Updates:
    """Of one kind of pulse: conductances before, g_S, and by how much it changed them, dg_S, [pulses]."""

    kind: str
    g_S: Array
    dg_S: Array
    ends_S: tuple[float, float]

    def binned(self) -> list[tuple[float, float, float, int]]:
        """(conductance, mean change, its standard deviation, pulses) of equal parts of the range."""
        edges = np.linspace(*self.ends_S, _BINS + 1)
        place = np.clip(np.searchsorted(edges, self.g_S) - 1, 0, _BINS - 1)
        found = []
        for k in range(_BINS):
            dg = self.dg_S[place == k]
            if len(dg) > 1:
                found.append((float(edges[k : k + 2].mean()), float(dg.mean()), float(dg.std(ddof=1)), len(dg)))
        return found


@dataclass(frozen=True)
class Pulses:
    updates: list[Updates]
    notes: list[str]

    @property
    def range_S(self) -> tuple[float, float]:
        """What all kinds of trains go through, as CrossSim takes it. ConfigurationError when there is no such range."""
        low = max(one.ends_S[0] for one in self.updates)
        high = min(one.ends_S[1] for one in self.updates)
        if low >= high:
            raise ConfigurationError(f"The trains have no conductance in common ({low:g} S is not below {high:g} S).")
        return low, high


def read_pulses(rising: Path, falling: Path | None, read_V: float) -> Pulses:
    """The trains of set pulses, and of reset pulses where these are given; currents read at `read_V`.

    Raises ConfigurationError: not such files, or currents that are none.
    """
    if not (np.isfinite(read_V) and read_V > 0):
        raise ConfigurationError(f"--read-voltage {read_V:g} is no voltage at which a current was read.")
    files = {"set": rising, **({"reset": falling} if falling else {})}
    notes: list[str] = []
    return Pulses(
        [_updates(kind, read_columns(path, header=False), read_V, notes) for kind, path in files.items()], notes
    )


def _updates(kind: str, columns: Columns, read_V: float, notes: list[str]) -> Updates:
    """Trains of different lengths leave cells at their ends empty; any other cell without a number is one too few."""
    trains = np.array([columns.numbers(index) for index in range(len(columns.names))]) / read_V
    lost = [np.isnan(train) & (np.cumsum(np.isfinite(train)[::-1])[::-1] > 0) for train in trains]
    bad = int(np.sum(lost))
    if bad > _LARGEST_SHARE_UNUSED * trains.size or not np.isfinite(trains).any():
        lines = np.array(columns.lines)[np.any(np.isnan(trains), axis=0)]
        raise ConfigurationError(f"{columns.source}: cells without a number in {shown_lines(lines)}.")
    if bad:
        notes.append(f"{columns.source}: {bad} cells without a number left out")
    if np.nanmin(trains) <= 0:
        raise ConfigurationError(
            f"{columns.source} holds currents of 0 or less. It should hold what was read after every pulse of a train, "
            "amperes, a column a train."
        )
    if trains.shape[1] < 3:
        raise ConfigurationError(
            f"{columns.source}: trains of {trains.shape[1]} pulses. A column is a train, a row a pulse."
        )
    g, dg = trains[:, :-1].ravel(), np.diff(trains, axis=1).ravel()
    fine = np.isfinite(g) & np.isfinite(dg)
    if not fine.any():
        raise ConfigurationError(f"{columns.source} has no two pulses in a row that were read.")
    sign = 1 if kind == "set" else -1
    if sign * np.sum(dg[fine]) <= 0:
        raise ConfigurationError(
            f"{columns.source}: {kind} pulses that move the conductance by {np.mean(dg[fine]):.3g} S in the mean. The "
            "two files may be swapped."
        )
    return Updates(kind, g[fine], dg[fine], (float(np.nanmin(trains)), float(np.nanmax(trains))))
