"""The laws a device may have, fitted to its sweeps: one bend for all states, a conductance for each.

Weighted least squares; given the bend, a state's conductance is linear and solved for (variable projection, Golub and
Pereyra, SIAM J. Numer. Anal. 10, 413, 1973).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from spicetrain.array.device import Device
from spicetrain.array.devices import DEVICES
from spicetrain.array.devices.table import Table
from spicetrain.importing.measured import Sweeps
from spicetrain.importing.noise import Scatter

Array = NDArray[np.float64]

LARGEST_MISFIT = 2.0
"""A law will do when the mean square of what it is off, in the scale of the scatter, is below this: then what it misses
is less than what scatters."""

DIGITS = 6


@dataclass(frozen=True)
class Bend:
    """The one key of a form that is fitted: its name, its bounds and where to begin, from the largest voltage."""

    key: str
    bounds: Callable[[float], tuple[float, float]]
    start: Callable[[float], float]


BENDS = {
    "ohmic": None,
    "sinh": Bend("b_per_V", lambda v: (1e-4 / v, 30 / v), lambda v: 1 / v),
    "power": Bend("ratio", lambda v: (1.01, 16.0), lambda v: 2.5),
    "poole-frenkel": Bend("b_per_sqrt_V", lambda v: (1e-4, min(50.0, 20 / v**0.5)), lambda v: 1 / v**0.5),
}


@dataclass(frozen=True)
class Fit:
    """A form that was fitted.

    settings   its keys in [memristor], but for the range
    states_S   of every state of the sweeps its conductance
    i_A        the currents it gives, [rows]
    misfit     mean square of what it is off in the scale of the scatter, by degree of freedom
    bic        Schwarz's criterion, of Gaussian scatter that is known
    rms, largest  of what it is off, as a share of the current, where that is above the floor of the scatter
    """

    form: str
    settings: dict[str, Any]
    states_S: Array
    i_A: Array
    misfit: float
    bic: float
    rms: float
    largest: float

    @property
    def will_do(self) -> bool:
        return self.misfit <= LARGEST_MISFIT


def fit_laws(sweeps: Sweeps, scatter: Scatter) -> list[Fit]:
    """Of every form but the table, the simplest first."""
    return [_fit_law(form, bend, sweeps, scatter) for form, bend in BENDS.items()]


def chosen(fits: list[Fit]) -> Fit:
    """Of the laws that will do that of the least BIC; if none will, the table; without one the law least off."""
    laws = [fit for fit in fits if fit.form != "table"]
    fine = [fit for fit in laws if fit.will_do]
    if fine:
        return min(fine, key=lambda fit: fit.bic)
    tables = [fit for fit in fits if fit.form == "table"]
    return tables[0] if tables else min(laws, key=lambda fit: fit.misfit)


def judged(
    form: str, settings: dict[str, Any], states_S: Array, i_A: Array, parameters: int, sweeps: Sweeps, scatter: Scatter
) -> Fit:
    """A fit with what it is off by."""
    r = sweeps.i_A - i_A
    sigma = scatter.sigma_A(sweeps.i_A)
    chi2 = float(np.sum((r / sigma) ** 2))
    above = abs(i_A) > 3 * scatter.floor_A
    share = abs(r[above] / i_A[above])
    rms, largest = (float(np.sqrt(np.mean(share**2))), float(share.max())) if above.any() else (np.nan, np.nan)
    freedom = max(len(r) - parameters, 1)
    bic = chi2 + parameters * float(np.log(len(r)))
    return Fit(form, settings, states_S, i_A, chi2 / freedom, bic, rms, largest)


def device_of(form: str, settings: dict[str, Any], g_min_S: float, g_max_S: float) -> Device:
    """ValidationError when these are no settings of the form."""
    return DEVICES[form](form=form, g_min_S=g_min_S, g_max_S=g_max_S, **settings)


def rounded(value: float, digits: int = DIGITS) -> float:
    return float(f"{value:.{digits}g}")


def _fit_law(form: str, bend: Bend | None, sweeps: Sweeps, scatter: Scatter) -> Fit:
    sigma, reach = scatter.sigma_A(sweeps.i_A), sweeps.reach_V
    fixed = {"v_ref_V": rounded(reach / 2, 3)} if form == "power" else {}

    def solved(settings: dict[str, Any]) -> tuple[Array, Array]:
        """(conductances of the states, currents of the rows)."""
        shape = device_of(form, settings, 1.0, 2.0).current(1.0, sweeps.v_V) / sigma
        over, under = (np.bincount(sweeps.state, shape * of) for of in (sweeps.i_A / sigma, shape))
        states_S = over / under
        return states_S, states_S[sweeps.state] * shape * sigma

    if bend is None:
        return judged(form, {}, *solved({}), len(sweeps.labels), sweeps, scatter)

    def off(x: Array) -> Array:
        return (solved({bend.key: float(x[0]), **fixed})[1] - sweeps.i_A) / sigma

    bounds = bend.bounds(reach)
    found = least_squares(off, [bend.start(reach)], bounds=tuple([end] for end in bounds), x_scale=[bend.start(reach)])
    settings = {bend.key: rounded(float(found.x[0])), **fixed}
    return judged(form, settings, *solved(settings), len(sweeps.labels) + 1, sweeps, scatter)


def table_current(settings: dict[str, Any], sweeps: Sweeps, states_S: Array) -> Array:
    """What a table gives of the sweeps, the conductances of their states being `states_S`; beyond its voltages NaN."""
    device = device_of("table", settings, settings["states_S"][0], settings["states_S"][-1])
    assert isinstance(device, Table)
    i: Array = device.current(states_S[sweeps.state], sweeps.v_V)
    return i
