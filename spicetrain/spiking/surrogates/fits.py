"""The fit of each law of a spiking circuit: (table, laws so far, circuit, settings) -> (laws with it, report, plot).

A table names its columns with their units; see characterization/spiking_currents.py and spiking_transients.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.polynomial import polynomial
from scipy.optimize import least_squares
from sklearn.model_selection import train_test_split

from spicetrain.errors import ConfigurationError
from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit, of_layer
from spicetrain.spiking.surrogates.curves import Fit, Surface, errors, fit_curve
from spicetrain.spiking.surrogates.laws import Driver, Range, SpikingLaws
from spicetrain.spiking.surrogates.plots import Curve, plot_curves
from spicetrain.surrogates.errors_of_fit import absolute_errors
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.settings import SurrogateSettings

Fitted = tuple[SpikingLaws, dict[str, Any], Figure]

_ALLOWED_V = 2e-6  # of a current's error, as what it moves a membrane by in a clock step
_ALLOWED = 0.01  # and as a share of the current
_DRIVER_SHARE = 0.35  # a driver is fitted up to where its row has sagged by this share of its swing
_DRIVER_ALLOWED = 2e-3  # of its current
_LARGEST_DEGREE = 8
_COARSE_DEGREE, _RATIO_DEGREE = 3, 6  # of cells: for training in the membrane, always in the conductance
_CELL_ALLOWED = 0.006  # of a cell's current per siemens at rest
_TRIP_ALLOWED_V, _USUAL_SLOPE_V_PER_S = 5e-5, 5e6  # of the threshold: faster membranes count less
_RK_STEPS = 100


def reach_V(circuit: SpikingCircuit) -> Range:
    """u that membranes may be expected at: twice the threshold below rest and half of it above itself, but at least a
    fifth of the way to the rails."""
    threshold = max(circuit.neuron.threshold_V) - circuit.rest_V
    fifth = 0.2 * (circuit.rails.vdd_V - circuit.rest_V)
    return -max(2 * threshold, fifth), max(1.5 * threshold, fifth)


def fit_drivers(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    fits, drivers, curves, domains = [], {}, [], {}
    for side, rail in zip(SIDES, (circuit.rails.vdd_V, circuit.rails.vss_V), strict=True):
        for spiking in (True, False):
            level, other = (rail, circuit.rest_V) if spiking else (circuit.rest_V, rail)
            v, i = _columns(table, {"side": side, "spiking": spiking}, "v_row_V", "i_row_A")
            near = (v - level) / (other - level) <= _DRIVER_SHARE
            v, i = v[near], i[near]
            fit = fit_curve(
                v - level, i, _DRIVER_ALLOWED * (np.abs(i) + 0.02 * np.abs(i).max()), _LARGEST_DEGREE, settings
            )
            name = f"{side}, {'spiking' if spiking else 'silent'}"
            drivers[side, spiking] = Driver(fit.coefficients, level, (float(v.min()), float(v.max())))
            domains[f"v_row_V of {name}"] = [float(v.min()), float(v.max())]
            curves.append(Curve(name, v, i, _value(v - level, fit.coefficients)))
            fits.append(fit)
    report = {"errors": errors(fits, "A"), "domain": domains}
    return replace(laws, drivers=drivers), report, plot_curves(curves, "row", "V", "current out of the driver", "A")


def fit_cells(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    low, high = reach_V(circuit)
    u = table["v_membrane_V"].to_numpy(np.float64) - circuit.rest_V
    table = table[(u >= low - 1e-9) & (u <= high + 1e-9)]
    g_largest = float(table["g_S"].max())
    fine, coarse, silent, fits, curves = {}, {}, {}, [], []
    surfaces = {side: _cell_surface(table, side, g_largest, circuit, settings) for side in SIDES}
    missed = {
        degree: max(surface.missed((degree, _RATIO_DEGREE)) for surface in surfaces.values())
        for degree in range(_COARSE_DEGREE, _LARGEST_DEGREE + 1)
    }
    degree = next((degree for degree, miss in missed.items() if miss <= 1), min(missed, key=missed.__getitem__))
    for side, surface in surfaces.items():
        both = [surface.fit((of_u, _RATIO_DEGREE)) for of_u in (degree, _COARSE_DEGREE)]
        fine[side], coarse[side] = (fit.coefficients for fit in both)
        fits.append(both)
        u, g, i = surface.x, surface.ratio * g_largest, surface.y * surface.ratio * g_largest
        u_silent, i_silent = _columns(table, {"side": side, "spiking": False}, "v_membrane_V", "i_A")
        cubic = np.polynomial.Polynomial.fit(u_silent - circuit.rest_V, i_silent, 3).convert().coef
        silent[side] = np.pad(np.asarray(cubic, np.float64), (0, degree + 1 - len(cubic)))
        for one in np.unique(g)[[0, len(np.unique(g)) // 2, -1]]:
            here = g == one
            model = one * sum(
                _value(one / g_largest, powers) * u[here] ** power for power, powers in enumerate(fine[side])
            )
            curves.append(Curve(f"{side}, {one:.2g} S", u[here], i[here], model))
    domain = {
        "v_membrane_V": [circuit.rest_V + low, circuit.rest_V + high],
        "g_S": [float(table["g_S"].min()), g_largest],
    }
    report = {
        "errors": errors([fine for fine, _ in fits], "S") | {"coarse": errors([coarse for _, coarse in fits], "S")},
        "domain": domain,
    }
    laws = replace(
        laws, cells=fine, coarse_cells=coarse, silent_cells=silent, cell_g_S=g_largest,
        domains={**laws.domains, "cell": (low, high)},
    )  # fmt: skip
    return laws, report, plot_curves(curves, "membrane from rest", "V", "current into the column", "A")


def _cell_surface(
    table: pd.DataFrame, side: Side, g_largest: float, circuit: SpikingCircuit, settings: SurrogateSettings
) -> Surface:
    """Current per siemens over membrane from rest and conductance; near the threshold it counts most."""
    v, g, i = _columns(table, {"side": side, "spiking": True}, "v_membrane_V", "g_S", "i_A")
    u, threshold = v - circuit.rest_V, max(circuit.neuron.threshold_V) - circuit.rest_V
    allowed = _CELL_ALLOWED * np.abs(i / g).max() * (1 + (u / threshold) ** 4)
    return Surface(u, g / g_largest, i / g, allowed, settings)


def fit_pulse(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """What a pulse brings besides the current at DC: a charge, more of it the higher the membrane, and the current for
    some time more or less. At the rise the membrane charges the cell's capacitance.
    ConfigurationError: that is not known."""
    _require(laws.cell_spiking_F != 0, "cell_pulse", "cell_capacitance")
    clock, found, models, measured, curves = circuit.clock, [], [], [], []
    for side in SIDES:
        names = ("g_S", "v_membrane_V", "charge_C", "charge_latch_C", "charge_dc_C")
        g, v, whole, latch, dc = _columns(table, {"side": side}, *names)
        u = v - circuit.rest_V
        drawn = np.abs(u) <= np.abs(u).min() + 1e-9  # at rest, or next to it
        taken, i = laws.cell_spiking_F / 2 * u, dc / clock.integrate_s
        ones = np.ones_like(dc)
        for name, excess, basis in (
            ("rise", latch - dc + taken, np.stack([ones, i], 1)),
            ("fall", whole - latch, np.stack([ones, i, u], 1)),
        ):
            solved = np.linalg.lstsq(basis, excess, rcond=None)[0]
            found.append(solved)
            models.append(basis @ solved)
            measured.append(excess)
            curves.append(Curve(f"{side}, {name}", g[drawn], excess[drawn], models[-1][drawn]))
    (rise_e, fall_e), (rise_i, fall_i) = found[:2], found[2:]
    laws = replace(
        laws,
        cell_on_C=float(rise_e[0] + rise_i[0]),
        cell_off_C=float(fall_e[0] + fall_i[0]),
        cell_off_F=float(fall_e[2] + fall_i[2]),
        cell_late_s=float(-(rise_e[1] + rise_i[1]) / 2 - clock.edge_s / 2),
        cell_ceases_s=float(clock.edge_s / 2 - (fall_e[1] + fall_i[1]) / 2),
    )
    report = {
        "errors": absolute_errors(np.concatenate(models), np.concatenate(measured), "C"),
        "domain": {"g_S": [float(g.min()), float(g.max())]},
    }
    return laws, report, plot_curves(curves, "g", "S", "charge beyond that at DC", "C", log=True)


def fit_capacitance(
    table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings
) -> Fitted:
    """Means over the conductances: a spiking cell's differ by a few percent of it."""
    mean = table.groupby("spiking")["capacitance_F"].mean() * 2  # of the two cells of a pair
    silent, spiking = float(mean[False]), float(mean[True])
    curves, models, measured = [], [], []
    for side in SIDES:
        for state in (False, True):
            g, C = _columns(table, {"side": side, "spiking": state}, "g_S", "capacitance_F")
            curves.append(Curve(f"{side}, {'spiking' if state else 'silent'}", g, C, np.full_like(C, C.mean())))
            models.append(curves[-1].model)
            measured.append(C)
    report = {
        "errors": absolute_errors(np.concatenate(models), np.concatenate(measured), "F"),
        "domain": {"g_S": [float(g.min()), float(g.max())]},
    }
    laws = replace(laws, cell_silent_F=silent, cell_spiking_F=spiking - silent)
    return laws, report, plot_curves(curves, "g", "S", "capacitance at the column", "F", log=True)


def fit_leak(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    low, high = reach_V(circuit)
    fits, coarse, curves = [], [], []
    for layer in _layers(table):
        v, i = _columns(table, {"layer": layer}, "v_membrane_V", "i_A")
        u = v - circuit.rest_V
        here = (u >= low - 1e-9) & (u <= high + 1e-9)
        u, i = u[here], i[here]
        allowed = _ALLOWED_V * circuit.capacitance_F(layer) / circuit.clock.step_s + _ALLOWED * np.abs(i)
        fits.append(fit_curve(u, i, allowed, _LARGEST_DEGREE, settings))
        coarse.append(fit_curve(u, i, allowed, _COARSE_DEGREE, settings))
        curves.append(Curve(f"layer {layer + 1}", u, i, _value(u, fits[-1].coefficients)))
    report = _report(fits, "A", low, high, circuit)
    report["errors"]["coarse"] = errors(coarse, "A")
    domains = {**laws.domains, "leak": (low, high)}
    laws = replace(laws, leak=tuple(fit.coefficients for fit in fits), domains=domains)
    laws = replace(laws, coarse_leak=tuple(fit.coefficients for fit in coarse))
    return laws, report, plot_curves(curves, "membrane from rest", "V", "leak", "A")


def fit_reset(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """i = u P(u) above rest, where every neuron that fired is: what is left of it is an exponential of P."""
    fits, curves, high = [], [], 0.0
    for layer in _layers(table):
        v, i = _columns(table, {"layer": layer}, "v_membrane_V", "i_A")
        above = v - circuit.rest_V > 1e-6
        u, i = v[above] - circuit.rest_V, i[above]
        fits.append(fit_curve(u, i / u, _ALLOWED * i / u, _LARGEST_DEGREE - 2, settings))
        curves.append(Curve(f"layer {layer + 1}", u, i, u * _value(u, fits[-1].coefficients)))
        high = float(u.max())
    report = _report(fits, "S", 0.0, high, circuit)
    coefficients = tuple(np.concatenate([[0.0], fit.coefficients]) for fit in fits)
    laws = replace(laws, reset=coefficients, domains={**laws.domains, "reset": (0.0, high)})
    return laws, report, plot_curves(curves, "membrane from rest", "V", "reset", "A")


def fit_threshold(
    table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings
) -> Fitted:
    """trip = offset + delay slope; each point's error is that of the line through the others."""
    slope, trip = _columns(table.sort_values("slope_V_per_s"), {}, "slope_V_per_s", "trip_V")
    basis = np.stack([np.ones_like(slope), slope], 1)
    weight = 1 / (_TRIP_ALLOWED_V * (1 + (slope / _USUAL_SLOPE_V_PER_S) ** 2))

    def line(kept: Any) -> Vector:
        scale = np.abs(slope).max()
        scaled = basis[kept] * [1, 1 / scale] * weight[kept, None]
        return np.linalg.lstsq(scaled, trip[kept] * weight[kept], rcond=None)[0] / [1, scale]

    without = np.array([basis[k] @ line(np.arange(len(slope)) != k) for k in range(len(slope))])
    offset, delay = line(slice(None))
    report = {
        "errors": absolute_errors(without, trip, "V") | {"points": len(trip)},
        "domain": {"slope_V_per_s": [float(slope.min()), float(slope.max())]},
    }
    laws = replace(laws, trip_offset_V=float(offset), trip_delay_s=float(delay))
    figure = plot_curves(
        [Curve("trip", slope, trip, basis @ [offset, delay])], "slope", "V/s", "trip from threshold", "V"
    )
    return laws, report, figure


def fit_residue(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """What the falling gate injects, and by how much the reset is shorter than the rest phase: the reset's law and the
    column's conductance do the rest. ConfigurationError: the law is not known."""
    _require("reset" in laws.domains and len(laws.reset) > 0, "reset_residue", "reset_current")
    table = table[table["v_before_V"] - circuit.rest_V <= laws.domains["reset"][1]]
    layer, g, before, after = _columns(table, {}, "layer", "g_column_S", "v_before_V", "v_after_V")
    before, after, layers = before - circuit.rest_V, after - circuit.rest_V, _layers(table)
    C = np.array([circuit.capacitance_F(int(k)) for k in layer])
    reset = [of_layer(laws.reset, int(k)) for k in layers]
    allowed = 1e-4 + 0.05 * np.abs(after)
    duration, unit_C = circuit.clock.rest_s, 1e-3 * circuit.capacitance_F(0)

    def model(p: Vector) -> Vector:
        left = np.empty_like(before)
        for k in layers:
            here = layer == k
            left[here] = _discharged(before[here], reset[k], g[here], C[here], duration * (1 - p[0]))
        return left + p[1 + layer.astype(int)] * unit_C / C

    fitted, held_out = train_test_split(np.arange(len(after)), test_size=settings.held_out, random_state=settings.seed)
    start = np.zeros(1 + len(layers))
    p = least_squares(lambda p: ((model(p) - after) / allowed)[fitted], start).x
    found = model(p)
    report = {
        "errors": absolute_errors(found[held_out], after[held_out], "V") | {"points": len(held_out)},
        "domain": {"v_before_V": [float(table["v_before_V"].min()), float(table["v_before_V"].max())]},
    }
    laws = replace(laws, reset_lost_s=float(p[0] * duration), reset_charge_C=tuple(float(q * unit_C) for q in p[1:]))
    curves = [
        Curve(f"layer {k + 1}, {one:.2g} S", before[here], after[here], found[here])
        for k in layers
        for one in np.unique(g)
        if (here := (layer == k) & (g == one)).any()
    ]
    return laws, report, plot_curves(curves, "membrane at the latch", "V", "after the reset", "V")


FITS: dict[str, Callable[[pd.DataFrame, SpikingLaws, SpikingCircuit, SurrogateSettings], Fitted]] = {
    "driver_current": fit_drivers,
    "cell_current": fit_cells,
    "cell_capacitance": fit_capacitance,
    "cell_pulse": fit_pulse,
    "leak_current": fit_leak,
    "reset_current": fit_reset,
    "threshold": fit_threshold,
    "reset_residue": fit_residue,
}


def _require(known: bool, table: str, needed: str) -> None:
    """Laws are handed from one fit to the next, and begin as zeros."""
    if not known:
        raise ConfigurationError(
            f"The table {table} is fitted with the law of {needed}, which is not among the laws so far. "
            f"Fit {needed} before {table}."
        )


def _discharged(u: Vector, reset: Vector, g: Vector, C: Vector, seconds: float) -> Vector:
    """u after `seconds` of C du/dt = -reset(u) - g u, by Runge and Kutta's fourth order."""
    h = seconds / _RK_STEPS

    def rate(u: Vector) -> Vector:
        return -(_value(u, reset) + g * u) / C

    for _ in range(_RK_STEPS):
        a = rate(u)
        b = rate(u + h / 2 * a)
        c = rate(u + h / 2 * b)
        u = u + h / 6 * (a + 2 * b + 2 * c + rate(u + h * c))
    return u


def _report(fits: list[Fit], unit: str, low: float, high: float, circuit: SpikingCircuit) -> dict[str, Any]:
    return {
        "errors": errors(fits, unit),
        "domain": {"v_membrane_V": [circuit.rest_V + low, circuit.rest_V + high]},
    }


def _value(x: Vector, coefficients: Vector) -> Vector:
    return np.asarray(polynomial.polyval(x, coefficients), np.float64)


def _layers(table: pd.DataFrame) -> list[int]:
    return sorted(int(layer) for layer in table["layer"].unique())


def _columns(table: pd.DataFrame, case: dict[str, Any], *names: str) -> tuple[Vector, ...]:
    """Columns of the rows where every key of `case` has its value; ConfigurationError when there are none, or a value
    is not finite."""
    missing = [name for name in (*case, *names) if name not in table]
    if missing:
        raise ConfigurationError(
            f"The table has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. It was "
            "written by another version: characterize again."
        )
    for name, value in case.items():
        table = table[table[name] == value]
    values = tuple(table[name].to_numpy(np.float64) for name in names)
    if not len(table) or not all(np.isfinite(value).all() for value in values):
        raise ConfigurationError(
            f"The table has no finite {', '.join(names)} for {case or 'any case'}: characterize again."
        )
    return values
