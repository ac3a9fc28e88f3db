"""What was measured and what was fitted, as one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spicetrain.importing.device import Current, Imported, Statistics
from spicetrain.importing.programming import in_sigmas
from spicetrain.importing.pulses import Pulses

_STYLE: Any = {"font.size": 8.0, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
_MEASURED, _FITTED = "#0f7f86", "#c96a00"
_MOST_DOTS = 4000


def draw(imported: Imported, path: Path) -> None:
    """A PNG of as many panels as there is to see."""
    panels: list[Callable[[Axes], None]] = []
    if (current := imported.current) is not None:
        panels += [lambda axes: _curves(axes, imported, current), lambda axes: _errors(axes, current)]
    if (statistics := imported.statistics) is not None:
        panels += [lambda axes: _programming(axes, statistics), lambda axes: _histogram(axes, statistics)]
    if (pulses := imported.pulses) is not None:
        panels += [lambda axes: _pulses(axes, pulses)]
    with rc_context(_STYLE):
        figure = Figure((3.6 * len(panels), 3.2), layout="constrained", dpi=130)
        for panel, axes in zip(panels, np.atleast_1d(figure.subplots(1, len(panels))), strict=True):
            panel(axes)
        figure.savefig(path, format="png")


def _colours(count: int) -> np.ndarray:
    return colormaps["viridis"](np.linspace(0.1, 0.85, count))


def _curves(axes: Axes, imported: Imported, current: Current) -> None:
    sweeps, states_S = current.sweeps, current.fit.states_S
    low, high = float(sweeps.v_V.min()), float(sweeps.v_V.max())
    v = np.linspace(low, high, 200)
    for rank, state in enumerate(np.argsort(states_S)):
        colour = _colours(len(states_S))[rank]
        at, i = sweeps.of(int(state))
        axes.plot(at[at != 0], 1e6 * abs(i[at != 0]), ".", ms=3, color=colour)
        axes.plot(v, 1e6 * abs(imported.device.current(float(states_S[state]), v)), lw=1, color=colour)
    axes.set(yscale="log", xlabel="V", ylabel="|I|, µA", title=f"measured, and {current.fit.form}")


def _errors(axes: Axes, current: Current) -> None:
    sweeps, fit = current.sweeps, current.fit
    seen = abs(fit.i_A) > 3 * current.scatter.floor_A
    for rank, state in enumerate(np.argsort(fit.states_S)):
        rows = seen & (sweeps.state == state)
        off = 100 * (sweeps.i_A[rows] / fit.i_A[rows] - 1)
        label = f"{1e6 * fit.states_S[state]:.3g} µS"
        axes.plot(sweeps.v_V[rows], off, ".", ms=3, color=_colours(len(fit.states_S))[rank], label=label)
    axes.axhline(0, lw=0.6, color="0.5")
    axes.set(xlabel="V", ylabel="measured over fitted, %", title="what the fit misses")
    if len(fit.states_S) <= 8:
        axes.legend(fontsize=6, ncols=2)


def _programming(axes: Axes, statistics: Statistics) -> None:
    programmed = statistics.programmed.at(float(statistics.programmed.time_s.min()))
    kept = slice(None, None, 1 + len(programmed.target_S) // _MOST_DOTS)
    target, error = programmed.target_S, programmed.measured_S - programmed.target_S
    axes.plot(1e6 * target[kept], 1e6 * error[kept], ".", ms=2, color=_MEASURED)
    g, law = np.linspace(target.min(), target.max(), 200), statistics.law.programming()
    for n in (-1.0, 1.0):
        axes.plot(1e6 * g, 1e6 * (law.disturbed(g, np.full(200, n)) - g), lw=1.2, color=_FITTED)
    axes.set(xlabel="target, µS", ylabel="measured - target, µS", title=f"programming, +-1 sigma of {law.form}")


def _histogram(axes: Axes, statistics: Statistics) -> None:
    n = in_sigmas(statistics.law, statistics.programmed)
    axes.hist(n, bins=np.linspace(-5, 5, 51).tolist(), density=True, color=_MEASURED, alpha=0.6)
    x = np.linspace(-5, 5, 200)
    axes.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), lw=1, color=_FITTED)
    axes.set(xlabel="error / sigma fitted", ylabel="density", title="and as a normal number")


def _pulses(axes: Axes, pulses: Pulses) -> None:
    for updates, colour in zip(pulses.updates, (_MEASURED, _FITTED), strict=False):
        g, mean, sigma, _ = np.array(updates.binned()).T
        axes.errorbar(1e6 * g, 1e6 * mean, 1e6 * sigma, fmt="o", ms=3, lw=1, color=colour, label=updates.kind)
    axes.axhline(0, lw=0.6, color="0.5")
    axes.set(xlabel="before the pulse, µS", ylabel="change, µS, +-1 sigma", title="single pulses")
    axes.legend()
