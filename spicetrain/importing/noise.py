"""How much a measurement scatters, told from itself: sigma^2 = floor^2 + (share I)^2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from spicetrain.importing.measured import Sweeps

Array = NDArray[np.float64]

_ASSUMED = 0.01
_LEAST_SHARE, _LEAST_FLOOR = 1e-5, 1e-7  # digits of a file
_LEAST_COUNT = 8


@dataclass(frozen=True)
class Scatter:
    """share  of the current; floor_A  amperes; told  how it is known"""

    share: float
    floor_A: float
    told: str

    def sigma_A(self, i: Array) -> Array:
        return np.hypot(self.floor_A, self.share * i)


def scatter_of(sweeps: Sweeps) -> Scatter:
    """From repeated voltages where most are; else from what a point is off the cubic through its four neighbours
    (after Gasser, Sroka and Jennen-Steinmetz, Biometrika 73, 625, 1986)."""
    groups = [sweeps.of(state) for state in range(len(sweeps.labels))]
    repeated = [_off_means(v, i) for v, i in groups]
    found = [np.concatenate(parts) for parts in zip(*repeated, strict=True)]
    told = "from repeated sweeps"
    if len(found[0]) < len(sweeps.v_V) / 2:
        off = [_off_neighbours(v, i) for v, i in groups]
        found, told = [np.concatenate(parts) for parts in zip(*off, strict=True)], "from neighbouring points"
    r, level = found
    largest = float(abs(sweeps.i_A).max())
    if len(r) < _LEAST_COUNT:
        return Scatter(_ASSUMED, _LEAST_FLOOR * largest, "assumed: too few points to tell")

    def surprise(logs: Array) -> float:
        variance = np.exp(2 * logs[0]) + np.exp(2 * logs[1]) * level**2
        return float(np.sum(np.log(variance) + r**2 / variance))

    bounds = [(np.log(_LEAST_FLOOR * largest), np.log(largest)), (np.log(_LEAST_SHARE), 0.0)]
    spread = float(np.sqrt(np.mean(r**2))) or _LEAST_FLOOR * largest
    starts = [np.clip(np.log([spread * part, part]), *np.transpose(bounds)) for part in (0.1, 0.01, 0.001)]
    best = min((minimize(surprise, s, method="Nelder-Mead", bounds=bounds) for s in starts), key=lambda one: one.fun)
    floor, share = np.exp(best.x)
    return Scatter(float(share), float(floor), told)


def _off_means(v: Array, i: Array) -> tuple[Array, Array]:
    """(deviations from the mean of all currents at one voltage, in the scale of one current; these means)."""
    _, group, count = np.unique(v, return_inverse=True, return_counts=True)
    mean = np.bincount(group, i) / count
    several = count[group] > 1
    scale = np.sqrt(count / np.maximum(count - 1, 1))[group]
    return ((i - mean[group]) * scale)[several], mean[group][several]


def _off_neighbours(v: Array, i: Array) -> tuple[Array, Array]:
    """(deviations from the cubic through the four neighbours, in the scale of one current; those cubics)."""
    at, group = np.unique(v, return_inverse=True)
    means = np.bincount(group, i) / np.bincount(group)
    if len(at) < 5:
        return np.zeros(0), np.zeros(0)
    x = np.lib.stride_tricks.sliding_window_view(at, 5)
    y = np.lib.stride_tricks.sliding_window_view(means, 5)
    near = [0, 1, 3, 4]
    weights = np.stack([_lagrange(x, one, near) for one in near], axis=1)
    guess = (weights * y[:, near]).sum(1)
    return (y[:, 2] - guess) / np.sqrt(1 + (weights**2).sum(1)), guess


def _lagrange(x: Array, one: int, near: list[int]) -> Array:
    """What the point `one` weighs at the window's middle."""
    others = [other for other in near if other != one]
    factors = [(x[:, 2] - x[:, other]) / (x[:, one] - x[:, other]) for other in others]
    weight: Array = np.prod(factors, axis=0)
    return weight
