"""Laws of the neuron: leak, reset, charge, threshold and what a reset leaves; as array_fits.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

from spicetrain.spiking.circuit import SpikingCircuit, of_layer
from spicetrain.spiking.surrogates.array_fits import _COARSE_DEGREE
from spicetrain.spiking.surrogates.curves import errors, fit_curve
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.surrogates.measured import (
    Fitted,
    columns_of,
    layers_in,
    membrane_range_V,
    report_of,
    require_known,
    value,
)
from spicetrain.spiking.surrogates.plots import Curve, plot_curves
from spicetrain.surrogates.errors_of_fit import absolute_errors
from spicetrain.surrogates.held_out import fitted_and_held_out
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.settings import SurrogateSettings

_ALLOWED_V = 2e-6  # of a current's error, as what it moves a membrane by in a clock step
_ALLOWED = 0.01  # and as a share of the current
_RESET_ALLOWED = 1e-4  # a reset that leaves half of a membrane leaves its current's error too
LARGEST_DEGREE = 8
_TRIP_DEGREE, _BEND_DEGREE = 4, 3
_TRIP_ALLOWED_V, _TRIP_ALLOWED = 1e-6, 5e-4  # of the trip, and as a share of it
_RESIDUE_ALLOWED_V, _RESIDUE_ALLOWED = 5e-6, 2e-3  # of what a reset leaves, and as a share of it
_RK_STEPS = 100
_CHARGE_POINTS = 481


def fit_leak(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    low, high = membrane_range_V(circuit)
    fits, coarse, curves = [], [], []
    for layer in layers_in(table):
        v, i = columns_of(table, {"layer": layer}, "v_membrane_V", "i_A")
        u = v - circuit.rest_V
        here = (u >= low - 1e-9) & (u <= high + 1e-9)
        u, i = u[here], i[here]
        allowed = _ALLOWED_V * circuit.capacitance_F(layer) / circuit.clock.step_s + _ALLOWED * np.abs(i)
        fits.append(fit_curve(u, i, allowed, LARGEST_DEGREE, settings))
        coarse.append(fit_curve(u, i, allowed, _COARSE_DEGREE, settings))
        curves.append(Curve(f"layer {layer + 1}", u, i, value(u, fits[-1].coefficients)))
    report = report_of(fits, "A", low, high, circuit)
    report["errors"]["coarse"] = errors(coarse, "A")
    domains = {**laws.domains, "leak": (low, high)}
    laws = replace(laws, leak=tuple(fit.coefficients for fit in fits), domains=domains)
    laws = replace(laws, coarse_leak=tuple(fit.coefficients for fit in coarse))
    return laws, report, plot_curves(curves, "membrane from rest", "V", "leak", "A")


def fit_reset(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """i = u P(u) above rest, where every neuron that fired is: what is left of it is an exponential of P."""
    fits, curves, high = [], [], 0.0
    for layer in layers_in(table):
        v, i = columns_of(table, {"layer": layer}, "v_membrane_V", "i_A")
        above = v - circuit.rest_V > 1e-6
        u, i = v[above] - circuit.rest_V, i[above]
        fits.append(fit_curve(u, i / u, _RESET_ALLOWED * i / u, LARGEST_DEGREE - 1, settings))
        curves.append(Curve(f"layer {layer + 1}", u, i, u * value(u, fits[-1].coefficients)))
        high = float(u.max())
    report = report_of(fits, "S", 0.0, high, circuit)
    coefficients = tuple(np.concatenate([[0.0], fit.coefficients]) for fit in fits)
    laws = replace(laws, reset=coefficients, domains={**laws.domains, "reset": (0.0, high)})
    return laws, report, plot_curves(curves, "membrane from rest", "V", "reset", "A")


def fit_charge(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """The integral of a spline through the capacitances; the errors are those of one through every other point."""
    mean, excess, curves, found, measured = [], [], [], [], []
    for layer in layers_in(table):
        v, C = columns_of(table, {"layer": layer}, "v_membrane_V", "capacitance_F")
        u = v - circuit.rest_V
        charge = CubicSpline(u, C).antiderivative()
        threshold = circuit.threshold_V(layer) - circuit.rest_V
        mean.append(float(charge(threshold) - charge(0.0)) / threshold)
        grid = np.linspace(u[0], u[-1], _CHARGE_POINTS)
        excess.append(charge(grid) - charge(0.0) - mean[-1] * grid)
        found.append(CubicSpline(u[::2], C[::2])(u[1:-1:2]))
        measured.append(C[1:-1:2])
        curves.append(Curve(f"layer {layer + 1}", u, C, charge(u, 1)))
    report = {
        "errors": absolute_errors(np.concatenate(found), np.concatenate(measured), "F"),
        "domain": {"v_membrane_V": [float(v[0]), float(v[-1])]},
    }
    domains = {**laws.domains, "charge": (float(u[0]), float(u[-1]))}
    laws = replace(laws, neuron_F=tuple(mean), neuron_excess_C=tuple(excess), domains=domains)
    return laws, report, plot_curves(curves, "membrane from rest", "V", "capacitance of the neuron", "F")


def fit_threshold(
    table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings
) -> Fitted:
    """trip = polynomial of the slope + rate times another one; each point's error is that of a fit to the others."""
    table = table.sort_values(["slope_V_per_s", "rate_per_s"])
    slope, rate, trip = columns_of(table, {}, "slope_V_per_s", "rate_per_s", "trip_V")
    ramps, largest = int((rate == 0).sum()), float(np.abs(slope).max())
    powers = np.arange(min(_TRIP_DEGREE, ramps - 1) + 1)
    bend_powers = np.arange(1, _BEND_DEGREE + 1)
    in_powers = [(slope[:, None] / largest) ** k for k in (powers, bend_powers)]
    basis = np.column_stack([in_powers[0], rate[:, None] * in_powers[1]])
    scale = np.maximum(np.abs(basis).max(0), 1e-300)  # no membrane settles: columns of 0
    allowed = _TRIP_ALLOWED_V + _TRIP_ALLOWED * np.abs(trip)

    def fitted(kept: Any) -> Vector:
        of_kept = (basis / scale)[kept] / allowed[kept, None]
        return np.linalg.lstsq(of_kept, trip[kept] / allowed[kept], rcond=None)[0] / scale

    every = np.arange(len(slope))
    without = np.array([basis[k] @ fitted(every != k) for k in every])
    found = fitted(every)
    report = {
        "errors": absolute_errors(without, trip, "V") | {"points": len(trip)},
        "domain": {"slope_V_per_s": [float(slope.min()), float(slope.max())]},
    }
    domains = {**laws.domains, "slope": (float(slope.min()), float(slope.max()))}
    of_slope, of_bend = np.split(found, [len(powers)])
    bend = np.append(0.0, of_bend / largest**bend_powers)
    laws = replace(laws, trip=of_slope / largest**powers, trip_bend=bend, domains=domains)
    curves = []
    for one in np.unique(rate)[::-1]:
        label, here = "a ramp" if one == 0 else f"settling in {-1 / one:.2g} s", rate == one
        curves.append(Curve(label, slope[here], trip[here], basis[here] @ found))
    return laws, report, plot_curves(curves, "slope", "V/s", "trip from threshold", "V")


def fit_residue(table: pd.DataFrame, laws: SpikingLaws, circuit: SpikingCircuit, settings: SurrogateSettings) -> Fitted:
    """What the gate's edges inject, and by how much the reset is shorter than the rest phase: the reset's law and the
    column's conductance, which holds from the first edge's start to the last one's end, do the rest.
    ConfigurationError: the law is not known."""
    require_known("reset" in laws.domains and len(laws.reset) > 0, "reset_residue", "reset_current")
    require_known(len(laws.neuron_excess_C) > 0, "reset_residue", "neuron_capacitance")
    table = table[table["v_before_V"] - circuit.rest_V <= laws.domains["reset"][1]]
    layer, g, before, after = columns_of(table, {}, "layer", "g_column_S", "v_before_V", "v_after_V")
    before, after, layers = before - circuit.rest_V, after - circuit.rest_V, layers_in(table)
    C = np.array([circuit.capacitance_F(int(k)) + of_layer(laws.neuron_F, int(k)) for k in layer])
    reset = [of_layer(laws.reset, int(k)) for k in layers]
    allowed = _RESIDUE_ALLOWED_V + _RESIDUE_ALLOWED * np.abs(after)
    duration, unit_C = circuit.clock.rest_s, 1e-3 * circuit.capacitance_F(0)

    def model(p: Vector) -> Vector:
        rise_V, fall_V = (q[layer.astype(int)] * unit_C / C for q in np.split(p[1:], 2))
        at_edge = np.exp(-g / C * (circuit.clock.edge_s + p[0] * duration) / 2)
        u = before * at_edge + rise_V
        for k in layers:
            here = layer == k
            u[here] = _discharged(u[here], reset[k], g[here], C[here], duration * (1 - p[0]))
        return (u + fall_V) * at_edge

    fitted, held_out = fitted_and_held_out(np.arange(len(after)), settings)
    start = np.zeros(1 + 2 * len(layers))
    p = least_squares(lambda p: ((model(p) - after) / allowed)[fitted], start).x
    found = model(p)
    report = {
        "errors": absolute_errors(found[held_out], after[held_out], "V") | {"points": len(held_out)},
        "domain": {"v_before_V": [float(table["v_before_V"].min()), float(table["v_before_V"].max())]},
    }
    rise, fall = (tuple(float(q * unit_C) for q in of_layers) for of_layers in np.split(p[1:], 2))
    laws = replace(laws, reset_lost_s=float(p[0] * duration), reset_rise_C=rise, reset_charge_C=fall)
    curves = [
        Curve(f"layer {k + 1}, {one:.2g} S", before[here], after[here], found[here])
        for k in layers
        for one in np.unique(g)
        if (here := (layer == k) & (g == one)).any()
    ]
    return laws, report, plot_curves(curves, "membrane at the latch", "V", "after the reset", "V")


def _discharged(u: Vector, reset: Vector, g: Vector, C: Vector, seconds: float) -> Vector:
    """u after `seconds` of C du/dt = -reset(u) - g u, by Runge and Kutta's fourth order."""
    h = seconds / _RK_STEPS

    def rate(u: Vector) -> Vector:
        return -(value(u, reset) + g * u) / C

    for _ in range(_RK_STEPS):
        a = rate(u)
        b = rate(u + h / 2 * a)
        c = rate(u + h / 2 * b)
        u = u + h / 6 * (a + 2 * b + 2 * c + rate(u + h * c))
    return u
