"""Laws of the array: row drivers, cells and their pulses; (table, laws so far, circuit, settings) -> (laws with it,
report, plot). A table names its columns with their units; see spiking/characterization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit
from spicetrain.spiking.surrogates.cell_fit import CellFit, fit_side, require_reachable
from spicetrain.spiking.surrogates.curves import errors, fit_curve
from spicetrain.spiking.surrogates.laws import Driver, Range, SpikingLaws
from spicetrain.spiking.surrogates.measured import Fitted, columns_of, membrane_range_V, require_known, value
from spicetrain.spiking.surrogates.plots import Curve, plot_curves
from spicetrain.surrogates.errors_of_fit import Errors, absolute_errors
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.settings import SurrogateSettings

_DRIVER_SHARE = 0.35  # a driver is fitted up to where its row has sagged by this share of its swing
_DRIVER_ALLOWED = 2e-3  # of its current
_LARGEST_DEGREE = 8
_COARSE_DEGREE = 3  # for training
_SILENT_DEGREE = 3


def fit_drivers(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    fits, drivers, curves, domains = [], {}, [], {}
    for side, rail in zip(SIDES, (circuit.rails.vdd_V, circuit.rails.vss_V), strict=True):
        for spiking in (True, False):
            level, other = (rail, circuit.rest_V) if spiking else (circuit.rest_V, rail)
            v, i = columns_of(table, {"side": side, "spiking": spiking}, "v_row_V", "i_row_A")
            near = (v - level) / (other - level) <= _DRIVER_SHARE
            v, i = v[near], i[near]
            fit = fit_curve(
                v - level, i, _DRIVER_ALLOWED * (np.abs(i) + 0.02 * np.abs(i).max()), _LARGEST_DEGREE, settings
            )
            name = f"{side}, {'spiking' if spiking else 'silent'}"
            drivers[side, spiking] = Driver(fit.coefficients, level, (float(v.min()), float(v.max())))
            domains[f"v_row_V of {name}"] = [float(v.min()), float(v.max())]
            curves.append(Curve(name, v, i, value(v - level, fit.coefficients)))
            fits.append(fit)
    report = {"errors": errors(fits, "A"), "domain": domains}
    return replace(laws, drivers=drivers), report, plot_curves(curves, "row", "V", "current out of the driver", "A")


def fit_cells(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """ConfigurationError: a threshold that no column reaches."""
    expected_V = membrane_range_V(circuit)
    reach_V = require_reachable(table, circuit)
    cells, silent, fits, curves = {}, {}, [], []
    for side in SIDES:
        v, g, i = columns_of(table, {"side": side, "spiking": True}, "v_membrane_V", "g_S", "i_A")
        u = v - circuit.rest_V
        fits.append(fit_side(u, g, i, side, expected_V, circuit, settings))
        cells[side] = fits[-1].curves
        silent[side] = _silent_cell(table, side, expected_V, circuit)
        for one in np.unique(g)[[0, len(np.unique(g)) // 2, -1]]:
            here = g == one
            curves.append(Curve(f"{side}, {one:.2g} S", u[here], i[here], cells[side].current_A(g[here], u[here])))
    far = float(u.min()), float(u.max())
    report = {
        "errors": _of_the_largest(fits, expected_V) | {"everywhere": _of_the_largest(fits, far)},
        "domain": {
            "v_membrane_V": [circuit.rest_V + far[0], circuit.rest_V + far[1]],
            "g_S": [float(g.min()), float(g.max())],
        },
        "reached_V": reach_V,
    }
    domains = {**laws.domains, "cell": far, "silent": expected_V}
    laws = replace(laws, cells=cells, silent_cells=silent, domains=domains)
    return laws, report, plot_curves(curves, "membrane from rest", "V", "current into the column", "A")


def _silent_cell(table: pd.DataFrame, side: Side, expected_V: Range, circuit: SpikingCircuit) -> Vector:
    v, i = columns_of(table, {"side": side, "spiking": False}, "v_membrane_V", "i_A")
    u = v - circuit.rest_V
    near = (u >= expected_V[0] - 1e-9) & (u <= expected_V[1] + 1e-9)
    cubic = np.polynomial.Polynomial.fit(u[near], i[near], _SILENT_DEGREE).convert().coef
    return np.pad(np.asarray(cubic, np.float64), (0, _SILENT_DEGREE + 1 - len(cubic)))


def _of_the_largest(fits: list[CellFit], range_V: Range) -> Errors:
    """Where membranes are within `range_V`, at the points kept from the fits, over the largest current there."""
    near = [(fit.u >= range_V[0]) & (fit.u <= range_V[1]) for fit in fits]
    model, measured = (
        np.concatenate([getattr(fit, name)[here] for fit, here in zip(fits, near, strict=True)])
        for name in ("model", "measured")
    )
    found = absolute_errors(model, measured, "relative")
    return found | {"points": len(model), "largest_A": max(fit.largest_A for fit in fits)}


def fit_pulse(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """What a pulse brings besides the current at DC: a charge, more of it the higher the membrane, and the current for
    some time more or less. At the rise the membrane charges the cell's capacitance.
    ConfigurationError: that is not known."""
    require_known(laws.cell_spiking_F != 0, "cell_pulse", "cell_capacitance")
    clock, found, models, measured, curves = circuit.clock, [], [], [], []
    for side in SIDES:
        names = ("g_S", "v_membrane_V", "charge_C", "charge_latch_C", "charge_dc_C")
        g, v, whole, latch, dc = columns_of(table, {"side": side}, *names)
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
            g, C = columns_of(table, {"side": side, "spiking": state}, "g_S", "capacitance_F")
            curves.append(Curve(f"{side}, {'spiking' if state else 'silent'}", g, C, np.full_like(C, C.mean())))
            models.append(curves[-1].model)
            measured.append(C)
    report = {
        "errors": absolute_errors(np.concatenate(models), np.concatenate(measured), "F"),
        "domain": {"g_S": [float(g.min()), float(g.max())]},
    }
    laws = replace(laws, cell_silent_F=silent, cell_spiking_F=spiking - silent)
    return laws, report, plot_curves(curves, "g", "S", "capacitance at the column", "F", log=True)
