"""What was published of the shipped devices, written down a second time, in the units of its sources: microsiemens, for
SONOS nanoamperes; seconds, for SONOS days. The oracle of the presets' tests and the lines of docs/devices.py.

aihwkit: src/aihwkit/inference/noise/pcm.py, reram.py; CrossSim: simulator/devices/custom/RRAM_Milo.py, SONOS.py.
SkyWater: sky130_fd_pr_reram__reram_cell.va.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
DAY_S = 86400.0


def pcm(g: Array) -> Array:
    x = g / 25.0
    return 0.26348 + 1.9650 * x - 1.1731 * x**2


def pcm_nu(g: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of nu before its absolute value is taken."""
    ln_x = np.log(g / 25.0)
    mean = np.minimum(np.maximum(-0.0155 * ln_x + 0.0244, 0.049), 0.1)
    return mean, np.minimum(np.maximum(-0.0125 * ln_x - 0.0059, 0.008), 0.045)


def pcm_read(g: Array, t: float) -> Array:
    """t since the first reading, 20 s after programming; of a device that has not drifted."""
    return g * np.minimum(0.0088 / (g / 25.0) ** 0.65, 0.2) * np.sqrt(np.log((t + 20.0 + 250e-9) / 500e-9))


def wan(g: Array, days: int = 0) -> Array:
    """At 1 s, after a day, after two."""
    highest_first = (
        (-16.815, 45.393, -43.853, 16.030, 0.348),
        (-16.458, 47.095, -50.773, 22.086, 0.701),
        (-11.934, 37.062, -43.507, 20.274, 0.782),
    )
    return np.polyval(highest_first[days], g / 40.0)


def cmo(g: Array) -> Array:
    return 0.01129027418 * g + 0.0112185391


def cmo_relaxed(t: float) -> tuple[float, float]:
    """(shift of the mean, standard deviation)."""
    return -0.08900206 * np.log(t), 0.04201137 * np.log(t) + 0.41183342


def cmo_read(g: Array, t: float) -> Array:
    return 0.0277316483 * np.log10(g) * np.sqrt(np.log((t + 1e-6) / 2e-6))


def milo(g: Array) -> Array:
    return 4.782321 - 0.009107 * g


def sonos_nA(current: Array, days: int = 0) -> Array:
    a = (19.88665, 25.59102, 28.72753, 31.04318, 33.76214, 34.57909)[days]
    b = (176.3115, 186.85544, 193.56834, 198.90332, 204.77023, 207.34309)[days]
    return a - a * np.exp(-current / b)


def sonos_shift_nA(current: Array) -> Array:
    """After three days."""
    highest_first = (
        -4.02057e-27, 2.78802e-23, -8.11574e-20, 1.28435e-16, -1.19499e-13, 6.59752e-11, -2.08786e-08, 3.67510e-06,
        -4.70807e-04, 1.96116e-02, 1.15821,
    )  # fmt: skip
    return np.polyval(highest_first, current)


def sonos_read_nA(current: Array) -> Array:
    return 12.58037 * (1 - np.exp(-current / 215.36557))


def sky130_uA(v: Array, filament_nm: float) -> Array:
    """Of a filament that stays as thick as it is, 3.3 .. 4.9 nm."""
    return 61.4 * np.exp(-(5.0 - filament_nm) / (5.0 - 4.7249)) * np.sinh(v / 0.430)


PROGRAMMING: dict[str, dict[float, Callable[[Array], Array]]] = {
    "pcm": {0.0: pcm},
    "rram-wan": {1.0: wan, DAY_S: lambda g: wan(g, 1), 2 * DAY_S: lambda g: wan(g, 2)},
    "rram-cmo": {0.0: cmo},
    "rram-milo": {0.0: milo},
    "sonos": {
        0.0: lambda g: sonos_nA(100 * g) / 100,
        DAY_S: lambda g: sonos_nA(100 * g, 1) / 100,
        5 * DAY_S: lambda g: sonos_nA(100 * g, 5) / 100,
    },
}
"""Standard deviation, microsiemens, of the conductance wanted, microsiemens, by the seconds since programming."""

WITHOUT_STATISTICS = {"rram-sky130", "tiox-bent"}
"""Of the one a law was published, and nothing that is random; the other is no measured device."""

RANGES = {
    "pcm": (0.25, 25.0),
    "rram-wan": (1.0, 40.0),
    "rram-cmo": (9.0, 88.19),
    "rram-milo": (50.0, 225.0),
    "sonos": (0.016, 16.0),
}
"""Microsiemens."""
