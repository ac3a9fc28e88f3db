"""Measured and fitted laws of a spiking circuit, as matplotlib figures without pyplot's global state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from spicetrain.drawing import ordered_colours
from spicetrain.surrogates.levenberg_marquardt import Vector


class Curve(NamedTuple):
    """One curve of a table: where, what ngspice measured, what the law says."""

    label: str
    x: Vector
    measured: Vector
    model: Vector


def plot_curves(
    curves: Sequence[Curve], across: str, across_unit: str, up: str, up_unit: str, *, log: bool = False
) -> Figure:
    """All curves, fitted over measured, and beside them what is left."""
    figure = Figure((12, 4.5), layout="constrained")
    values, left = figure.subplots(1, 2)
    for curve, colour in zip(curves, ordered_colours(len(curves)), strict=True):
        values.plot(curve.x, curve.model, linewidth=1, label=curve.label, color=colour)
        values.plot(curve.x, curve.measured, ".", color=colour, markersize=4)
        left.plot(curve.x, curve.model - curve.measured, linewidth=1, color=colour)
    values.set(ylabel=f"{up} ({up_unit})", title="measured (dots), fitted (lines)")
    left.set(ylabel=f"fitted - measured ({up_unit})")
    for axis in (values, left):
        axis.set(xlabel=f"{across} ({across_unit})", xscale="log" if log else "linear")
    figure.legend(*values.get_legend_handles_labels(), fontsize="small", loc="outside right center")
    return figure
