"""A table of the sweeps as they are, smoothed until it rises everywhere: what is left where no law will do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.interpolate import PchipInterpolator

from spicetrain.importing.forms import Fit, judged, rounded, table_current
from spicetrain.importing.measured import Sweeps
from spicetrain.importing.noise import Scatter

Array = NDArray[np.float64]

_STEPS = 20  # from 0 to the largest voltage
_DIGITS = 7


def fit_table(sweeps: Sweeps, scatter: Scatter) -> tuple[Fit | None, str]:
    """(the table, a note); None where two states are needed and there is but one that rises, or they cross."""
    curves = [_rising(*sweeps.of(state)) for state in range(len(sweeps.labels))]
    if any(len(v) < 4 for v, _ in curves):
        return None, "no table: a state's current does not rise with the voltage"
    grid = _voltages(curves)
    if len(grid) < 4:
        return None, "no table: the states have too few voltages in common"
    laws = np.array([PchipInterpolator(v, i)(grid) for v, i in curves])
    read = int(np.argmin(abs(grid - grid[-1] / 2)))
    order = np.argsort(laws[:, read])
    rows, members = _uncrossed(laws[order], [[int(state)] for state in order], grid)
    states = [rounded(row[read] / grid[read], _DIGITS) for row in rows]
    settings: dict[str, Any] = {
        "v_read_V": rounded(grid[read]),
        "voltages_V": [rounded(v) for v in grid],
        "states_S": states,
        "currents_A": [[rounded(i, _DIGITS) for i in row] for row in rows],
    }
    states_S = np.zeros(len(sweeps.labels))
    for g, of in zip(states, members, strict=True):
        states_S[of] = g
    try:
        i_A = table_current(settings, sweeps, states_S)
    except ValidationError as error:
        return None, f"no table: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
    merged = len(sweeps.labels) - len(rows)
    note = f"table: {merged} of the states taken together with a neighbour that it crosses" if merged else ""
    return judged("table", settings, states_S, i_A, len(rows) * int(np.count_nonzero(grid)), sweeps, scatter), note


def _rising(v: Array, i: Array) -> tuple[Array, Array]:
    """The curve of a state that rises: (voltages, currents), both ascending, with (0, 0). Where the measured one does
    not rise its neighbours are one point at their mean (isotonic regression)."""
    pos, neg = (_pooled(sign * v[sign * v > 0], sign * i[sign * v > 0]) for sign in (1, -1))
    joined = [np.concatenate([-negative[::-1], [0.0], positive]) for negative, positive in zip(neg, pos, strict=True)]
    return joined[0], joined[1]


def _pooled(v: Array, i: Array) -> tuple[Array, Array]:
    """Of positive voltages, in any order: those blocks that rise above 0."""
    from sklearn.isotonic import isotonic_regression

    at, group, count = np.unique(v, return_inverse=True, return_counts=True)
    if not len(at):
        return at, at
    level = isotonic_regression(np.bincount(group, i) / count, sample_weight=count)
    _, block = np.unique(level, return_inverse=True)
    middle, height = (np.bincount(block, of * count) / np.bincount(block, count) for of in (at, level))
    above = height > 0
    return middle[above], height[above]


def _voltages(curves: list[tuple[Array, Array]]) -> Array:
    """Multiples of one step, with 0, within what all states were measured at; none below 0 if one state has none."""
    low, high = max(v[0] for v, _ in curves), min(v[-1] for v, _ in curves)
    step = max(high, -low) / _STEPS
    if step <= 0 or high < step:
        return np.zeros(0)
    first = int(np.ceil(low / step - 1e-9)) if low < 0 else 0
    return step * np.arange(first, int(np.floor(high / step + 1e-9)) + 1)


def _uncrossed(rows: Array, members: list[list[int]], grid: Array) -> tuple[Array, list[list[int]]]:
    """Rows [states, points] that are each above the one before; neighbours that cross become their mean."""
    apart = grid != 0
    while True:
        crossed = np.any((abs(rows[1:]) <= abs(rows[:-1]) * (1 + 1e-6))[:, apart], axis=1)
        if not crossed.any():
            return rows, members
        k = int(np.argmax(crossed))
        weights = [len(members[k]), len(members[k + 1])]
        mean = np.average(rows[k : k + 2], axis=0, weights=weights)
        rows = np.vstack([rows[:k], mean, rows[k + 2 :]])
        members = [*members[:k], members[k] + members[k + 1], *members[k + 2 :]]
