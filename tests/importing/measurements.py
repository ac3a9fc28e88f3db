"""Made-up measurements of known laws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.device import Device
from spicetrain.importing.forms import device_of

STATES_S = (2e-6, 9e-6, 4e-5)
V = np.linspace(-0.5, 0.5, 21)


def law(form: str, **settings: float) -> Device:
    return device_of(form, settings, 1e-6, 1e-4)


def currents(device: Device, v: NDArray, share: float, sweeps: int, seed: int = 0) -> list[NDArray]:
    """Of every state [sweeps, points], with a relative scatter and a nanoampere."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((2, len(STATES_S), sweeps, len(v)))
    return [
        np.asarray(device.current(g, v)) * (1 + share * a) + 1e-9 * b for g, a, b in zip(STATES_S, *noise, strict=True)
    ]


def iv_text(curves: list[NDArray], v: NDArray, separator: str = ",", decimal: str = ".") -> str:
    """As a file; states called a, b, c."""
    rows = [["voltage_V", "current_A", "state"]]
    for name, curve in zip("abcdefgh", curves, strict=False):
        for sweep in curve:
            rows += [[f"{at:.6g}", f"{i:.6g}", name] for at, i in zip(v, sweep, strict=True)]
    return "\n".join(separator.join(row).replace(".", decimal) for row in rows) + "\n"


def write_iv(path: Path, device: Device, v: NDArray = V, share: float = 0.01, sweeps: int = 3, **how: Any) -> Path:
    path.write_text(iv_text(currents(device, v, share, sweeps), v, **how))
    return path


def write_programming(path: Path, target_S: NDArray, measured_S: NDArray, time_s: NDArray | None = None) -> Path:
    columns = {"target_S": target_S, "measured_S": measured_S, **({} if time_s is None else {"time_s": time_s})}
    rows = [",".join(columns), *(",".join(f"{x:.7g}" for x in row) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return path
