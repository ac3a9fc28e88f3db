"""The fit of the inverter's measured current surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.constants import Boltzmann, elementary_charge, zero_Celsius
from scipy.optimize import least_squares

from spicetrain.inverter.surrogates.current_surface import CurrentSurface, inverter_current, transistor_currents
from spicetrain.inverter.surrogates.residual import residual_of
from spicetrain.surrogates.errors_of_fit import (
    Errors,
    polynomial_baseline,
    relative_errors,
    require_columns,
)
from spicetrain.surrogates.held_out import fitted_and_held_out
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.mlp import Mlp, fit_mlp, stack_layers, steps_of_fit
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology

COLUMNS = ("v_in_V", "v_out_V", "i_out_A", "i_vdd_A")
SIGNIFICANT_A = 50e-9
"""Relative errors are quoted where the output current of one finger is larger."""

_LEAST_U_DS_V = 1e-3
_LEAST_WEIGHT, _LARGEST_WEIGHT = 0.03, 3.0
_FLOOR = 3e-3
_CLOSE = 1e-4
"""Of the output current, rms, relative: what an MLP is further off by is kept as its residual."""
_FAINT = 1e-6
"""Of the largest current. Below, a point counts less and less: there gmin and junctions are all that conducts, which no
interpolation follows and no network notices."""


def fit_current_surface(
    table: pd.DataFrame,
    technology: Technology,
    settings: SurrogateSettings,
    on_step: Callable[[float], None] = lambda cost: None,
) -> tuple[CurrentSurface, Errors]:
    """The surface (float64, on the CPU) fitted to `table` and its errors on the held-out points.

    table has v_in_V, v_out_V, i_out_A, i_vdd_A of one finger; I_n is taken as i_vdd - i_out, so that the difference of
    the two transistors is the output current exactly. The relative error of each transistor is weighted with its share
    in the output current. ConfigurationError: columns or points are missing.
    """
    require_columns(table, COLUMNS, "current surface")
    rng = np.random.default_rng(settings.seed)
    fitted, held_out = fitted_and_held_out(np.arange(len(table)), settings)
    measured = {name: table[name].to_numpy(np.float64) for name in COLUMNS}
    surface = _fit(measured, fitted, technology, settings, rng, on_step)
    errors = _errors(surface, measured, fitted, held_out)
    if errors["rms_relative"] <= _CLOSE or not _is_grid(table):
        return surface, errors
    return _with_residual(table, surface, errors)


def fit_shifted_surface(
    table: pd.DataFrame,
    technology: Technology,
    settings: SurrogateSettings,
    on_step: Callable[[float], None] = lambda cost: None,
) -> tuple[CurrentSurface, Errors]:
    """The same of a table whose gates reach beyond the rails, with its residual: there is more to fit, and a larger net
    or a longer fit takes off a factor of two at most. The table is a whole grid, v_in varying slowest."""
    surface, errors = fit_current_surface(table, technology, settings, on_step)
    return (surface, errors) if surface.residual is not None else _with_residual(table, surface, errors)


def _is_grid(table: pd.DataFrame) -> bool:
    """Whether all pairs of its voltages are there, v_in varying slowest."""
    v_in, v_out = (table[name].to_numpy(np.float64) for name in COLUMNS[:2])
    first, second = np.unique(v_in), np.unique(v_out)
    return (
        len(table) == len(first) * len(second)
        and np.array_equal(v_in, np.repeat(first, len(second)))
        and np.array_equal(v_out, np.tile(second, len(first)))
    )


def _with_residual(table: pd.DataFrame, surface: CurrentSurface, errors: Errors) -> tuple[CurrentSurface, Errors]:
    """And what is left with it: on every other line of the grid, of the residual of those between."""
    v_in, v_out = (np.unique(table[name].to_numpy(np.float64)) for name in COLUMNS[:2])
    off = _off(table, surface)
    coarse = replace(surface, residual=residual_of(off[:, ::2, ::2], v_in[::2], v_out[::2]))
    between = np.ix_(np.arange(1, len(v_in) - 1, 2), np.arange(1, len(v_out) - 1, 2))
    asked = np.meshgrid(v_in, v_out, indexing="ij")
    v = [torch.from_numpy(of_one[between].ravel()) for of_one in asked]
    model = inverter_current(coarse, v[0], v[1])[0]
    i_out = table["i_out_A"].to_numpy(np.float64).reshape(len(v_in), len(v_out))[between].ravel()
    found = relative_errors(model.numpy(), i_out, SIGNIFICANT_A, "A")
    return replace(surface, residual=residual_of(off, v_in, v_out)), errors | {
        "with_residual": found, "with_residual_method": "its spline through every other line, on those between",
    }  # fmt: skip


def _off(table: pd.DataFrame, surface: CurrentSurface) -> Vector:
    """What the logarithm of each transistor's current is off by, [2, v_in, v_out]."""
    v_in, v_out, i_out, i_vdd = (table[name].to_numpy(np.float64) for name in COLUMNS)
    grid = np.unique(v_in), np.unique(v_out)
    fitted = transistor_currents(surface, torch.tensor(v_in), torch.tensor(v_out))
    off = []
    for current, (i, _, _) in zip((i_vdd - i_out, i_vdd), fitted, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):  # no current flows from a rail to itself
            off.append(np.log(current / i.numpy()).reshape(len(grid[0]), len(grid[1])))
    return np.stack(off)


def surface_steps(settings: SurrogateSettings) -> int:
    """Steps `fit_current_surface` reports at most."""
    return 2 * steps_of_fit(settings)


def _fit(
    measured: dict[str, Vector],
    fitted: NDArray[np.intp],
    technology: Technology,
    settings: SurrogateSettings,
    rng: np.random.Generator,
    on_step: Callable[[float], None],
) -> CurrentSurface:
    v_in, v_out, i_out, i_vdd = (measured[name] for name in COLUMNS)
    rails, mlp = technology.rails, Mlp(2, settings.hidden)
    thermal = Boltzmann * (technology.temperature_C + zero_Celsius) / elementary_charge
    z = np.stack((v_in - rails.mid_V, v_out - rails.mid_V), 1) / rails.half_swing_V
    floor = _FLOOR * np.abs(i_out).max()
    found = []
    for current, u_gs, u_ds in (
        (i_vdd - i_out, v_in - rails.vss_V, v_out - rails.vss_V),
        (i_vdd, rails.vdd_V - v_in, rails.vdd_V - v_out),
    ):
        usable = fitted[(u_ds[fitted] > _LEAST_U_DS_V) & (current[fitted] > 0)]
        chosen = rng.permutation(usable)[: settings.points]
        u, current = (u_gs[chosen], u_ds[chosen]), current[chosen]
        v_t, slope = _fit_ekv(*u, np.log(current), thermal)
        ratio = np.log(current) - np.log(_ekv(v_t, slope, *u, thermal))
        mean, scale = ratio.mean(), max(ratio.std(), 1e-6)
        share = np.clip(current / (np.abs(i_out[chosen]) + floor), _LEAST_WEIGHT, _LARGEST_WEIGHT)
        share *= np.minimum(1.0, current / (_FAINT * current.max()))
        p = fit_mlp(mlp, z[chosen], (ratio - mean) / scale, share * scale, settings, rng, on_step)
        found.append((p, mean, scale, v_t, slope))
    parameters, means, scales, thresholds, slopes = zip(*found, strict=True)
    layers = [(torch.from_numpy(w), torch.from_numpy(b)) for w, b in stack_layers(mlp, parameters)]
    return CurrentSurface(
        weights=tuple(w for w, _ in layers),
        biases=tuple(b for _, b in layers),
        mean=torch.tensor(means, dtype=torch.float64),
        scale=torch.tensor(scales, dtype=torch.float64),
        v_t_V=torch.tensor(thresholds, dtype=torch.float64),
        n=torch.tensor(slopes, dtype=torch.float64),
        thermal_V=thermal,
        vdd_V=rails.vdd_V,
        vss_V=rails.vss_V,
        domain_V=((float(v_in.min()), float(v_in.max())), (float(v_out.min()), float(v_out.max()))),
    )


def _ekv(v_t: float, n: float, u_gs: Vector, u_ds: Vector, thermal: float) -> Vector:
    """The interpolation without its MLP; see current_surface."""
    source = (u_gs - v_t) / (2 * n * thermal)
    at_source, at_drain = np.logaddexp(0, source), np.logaddexp(0, source - u_ds / (2 * thermal))
    return (at_source - at_drain) * (at_source + at_drain)


def _fit_ekv(u_gs: Vector, u_ds: Vector, log_current: Vector, thermal: float) -> tuple[float, float]:
    """Threshold voltage (V) and slope factor that fit log I best, with a free factor of the current."""

    def residuals(q: Vector) -> Vector:
        return np.log(_ekv(q[0], q[1], u_gs, u_ds, thermal)) + q[2] - log_current

    start = [0.6 * u_gs.max(), 1.4, log_current.max() - 1]
    bounds = ([-10 * u_gs.max(), 0.5, -100], [10 * u_gs.max(), 10, 100])
    v_t, n, _ = least_squares(residuals, start, bounds=bounds, x_scale=[0.1, 0.3, 1]).x
    return float(v_t), float(n)


def _errors(
    surface: CurrentSurface, measured: dict[str, Vector], fitted: NDArray[np.intp], held_out: NDArray[np.intp]
) -> Errors:
    """Errors on the held-out points; the baseline is a polynomial of the same two voltages on the same points."""
    v = np.stack((measured["v_in_V"], measured["v_out_V"]), 1)
    i_out = measured["i_out_A"]
    v_in, v_out = torch.from_numpy(v[held_out]).unbind(1)
    model = inverter_current(surface, v_in, v_out)[0].numpy()
    baseline = polynomial_baseline(v[fitted], i_out[fitted], v[held_out])
    return relative_errors(model, i_out[held_out], SIGNIFICANT_A, "A") | {
        "baseline": relative_errors(baseline, i_out[held_out], SIGNIFICANT_A, "A"),
        "baseline_method": "ridge on all monomials of the two voltages up to degree 3",
    }
