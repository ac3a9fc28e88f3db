"""What is read off a transient: when an output has settled, how much energy has flowed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def hold_times(time_s: Array, v: Array, before_V: Array, after_V: Array, settled: float, step_min_V: float) -> Array:
    """Seconds after time_s[0] from which each output stays within `settled` of its step, [outputs].

    time_s [points], v [points, outputs] volts; before_V and after_V [outputs]: the DC points the step goes between.
    0 for a step smaller than step_min_V or one that is always within; infinite when it is outside at the end. Linear
    between the points.
    """
    step = after_V - before_V
    band = settled * np.abs(step)
    times = np.zeros(len(step))
    for j in np.flatnonzero(np.abs(step) >= step_min_V):
        away = v[:, j] - after_V[j]
        outside = np.flatnonzero(np.abs(away) > band[j])
        if outside.size:
            times[j] = _crossing(time_s, away, int(outside[-1]), band[j]) - time_s[0]
    return times


def _crossing(time_s: Array, away: Array, last: int, band: float) -> float:
    """When `away` enters the band behind its point `last`, the last one outside."""
    if last + 1 == len(away):
        return np.inf
    share = (away[last] - np.copysign(band, away[last])) / (away[last] - away[last + 1])
    return float(time_s[last] + share * (time_s[last + 1] - time_s[last]))


def part(time_s: Array, values: Array, start_s: float, stop_s: float) -> tuple[Array, Array]:
    """(times, values) from start_s to stop_s, both ends interpolated; values [points] or [points, columns]."""
    inside = (time_s > start_s) & (time_s < stop_s)
    times = np.concatenate(([start_s], time_s[inside], [stop_s]))
    columns = [np.interp(times, time_s, column) for column in np.atleast_2d(values.T)]
    return times, columns[0] if values.ndim == 1 else np.stack(columns, 1)


def integral(time_s: Array, values: Array, stop_s: float) -> float:
    """Trapezoids from time_s[0] over stop_s seconds."""
    times, inside = part(time_s, values, float(time_s[0]), float(time_s[0]) + stop_s)
    return float(np.sum(np.diff(times) * (inside[1:] + inside[:-1])) / 2)
