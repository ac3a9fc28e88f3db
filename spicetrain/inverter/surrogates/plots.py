"""Measured against fitted, as matplotlib figures without pyplot's global state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from spicetrain.drawing import DOTS, INK, ordered_colours
from spicetrain.inverter.surrogates.current_fit import SIGNIFICANT_A
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, inverter_current
from spicetrain.inverter.surrogates.effective_load import INPUTS, EffectiveLoad
from spicetrain.inverter.surrogates.loaded_vtc import LoadedVtc
from spicetrain.surrogates.levenberg_marquardt import Vector

_MOST_DOTS = 4000


def plot_current_surface(table: pd.DataFrame, surface: CurrentSurface) -> Figure:
    """Output current over v_out at several v_in, fitted over measured, and the map of the relative error."""
    v_in, v_out, i_out = (table[name].to_numpy(np.float64) for name in ("v_in_V", "v_out_V", "i_out_A"))
    model = inverter_current(surface, torch.tensor(v_in), torch.tensor(v_out))[0].numpy()
    figure = Figure((12, 4.5), layout="constrained")
    curves, residuals = figure.subplots(1, 2)
    grid = np.unique(v_in)
    several = grid[np.linspace(0, len(grid) - 1, 9).round().astype(int)]
    for chosen, colour in zip(several, ordered_colours(len(several)), strict=True):
        here = np.flatnonzero(v_in == chosen)
        here = here[np.argsort(v_out[here])]
        label, scaled = f"v_in = {chosen:+.3f} V", (i_out[here] * 1e6, model[here] * 1e6)
        _measured_and_fitted(curves, v_out[here], *scaled, label, colour)
    curves.set(xlabel="v_out (V)", ylabel="i_out of one finger (uA)", title="measured (dots), fitted (lines)")
    curves.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    large = np.abs(i_out) > SIGNIFICANT_A
    error = np.log10(np.maximum(np.abs(model[large] / i_out[large] - 1), 1e-7))
    drawn = residuals.scatter(v_in[large], v_out[large], c=error, s=4, marker="s", linewidths=0, rasterized=True)
    residuals.set(xlabel="v_in (V)", ylabel="v_out (V)", title=f"relative error, |i_out| > {SIGNIFICANT_A * 1e9:g} nA")
    figure.colorbar(drawn, label="log10 |fitted / measured - 1|")
    return figure


def plot_loaded_vtc(table: pd.DataFrame, vtc: LoadedVtc) -> Figure:
    """Transfer curves at the lowest, middle and highest load voltage, each with no, medium and heavy load."""
    figure = Figure((12, 4), layout="constrained")
    v_load, g_load = table["v_load_V"].to_numpy(), table["g_load_S"].to_numpy()
    loads, conductances = np.unique(v_load), np.unique(g_load)
    chosen = conductances[np.linspace(0, len(conductances) - 1, 5).round().astype(int)]
    axes = figure.subplots(1, 3, sharey=True)
    for axis, load in zip(axes, loads[[0, len(loads) // 2, -1]], strict=True):
        for g, colour in zip(chosen, ordered_colours(len(chosen)), strict=True):
            part = table[(v_load == load) & (g_load == g)].sort_values("v_in_V")
            v_in = torch.tensor(part["v_in_V"].to_numpy())
            model = vtc(v_in, torch.tensor(g), torch.tensor(load)).numpy()
            _measured_and_fitted(axis, v_in.numpy(), part["v_out_V"].to_numpy(), model, f"{g:.2g} S", colour)
        axis.set(xlabel="v_in (V)", title=f"load to {load:+.3f} V")
    axes[0].set_ylabel("v_out (V); measured (dots), fitted (lines)")
    axes[0].legend(fontsize="small")
    return figure


def plot_effective_load(table: pd.DataFrame, load: EffectiveLoad) -> Figure:
    """Fitted against measured g_load and v_return, beside the naive load (g_sum to the mean column voltage)."""
    part = table.sample(min(len(table), _MOST_DOTS), random_state=0)
    inputs = [torch.tensor(part[name].to_numpy(np.float64)) for name in INPUTS]
    g_load, v_return = load(*inputs)
    figure = Figure((10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _scatter(left, part["g_load_S"].to_numpy(), g_load, inputs[0], "g_load (S)")
    left.set(xscale="log", yscale="log")
    _scatter(right, part["v_return_V"].to_numpy(), v_return, inputs[4], "v_return (V)")
    return figure


def _measured_and_fitted(axis: Axes, x: Vector, measured: Vector, model: Vector, label: str, colour: Vector) -> None:
    axis.plot(x, model, linewidth=1, label=label, color=colour)
    every = max(1, len(x) // 25)
    axis.plot(x[::every], measured[::every], ".", color=colour, markersize=4)


def _scatter(axis: Axes, measured: Vector, model: Tensor, naive: Tensor, what: str) -> None:
    axis.plot(measured, naive.numpy(), ".", markersize=2, color="tab:gray", label="naive", rasterized=True)
    axis.plot(measured, model.numpy(), ".", markersize=2, color=DOTS, label="fitted", rasterized=True)
    axis.axline((measured.min(), measured.min()), (measured.max(), measured.max()), color=INK, linewidth=0.5)
    axis.set(xlabel=f"{what}, ngspice", ylabel=f"{what}, surrogate")
    axis.legend()
