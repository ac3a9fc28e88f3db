"""How badly an array's non-linearity hurts: accuracy in SPICE over the threshold's share of the driving force."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.ticker import PercentFormatter

from spicetrain.report.blocks import Drawing, Table
from spicetrain.report.drawing import axes, logarithmic, ordered_colours, svg
from spicetrain.report.units import percent, spread

SILENT_ROWS = {"1r": "held at rest (1r)", "1t1r": "floating (1t1r)"}
_LINES = ("-o", "--s", ":^", "-.v")


def severity(frame: pd.DataFrame, dataset: str) -> Table | None:
    """A row an array and threshold, with the accuracies of every method; None when nothing was verified."""
    ours = _verified(frame, dataset)
    if ours.empty:
        return None
    methods, rows = sorted(ours["method"].unique()), []
    for (array, share), cells in ours.groupby(["array", "threshold_share"]):
        by_method = [cells[cells["method"] == method] for method in methods]
        shown = [spread(one[name], percent) for one in by_method for name in ("accuracy_model", "accuracy_spice")]
        rows.append((SILENT_ROWS[str(array)], f"{share:.3g}", *shown))
    figures = [f"{method}, {what}" for method in methods for what in ("own model", "SPICE")]
    head = ("silent rows", "V_th / (V_S - V_rest)", *figures)
    return Table(head, rows, f"{dataset}: thresholds of the first layer, as programmed.")


def severity_drawing(frame: pd.DataFrame, dataset: str) -> Drawing | None:
    """Accuracy in SPICE over the threshold's share, a colour a method, a line an array; None below two thresholds."""
    ours = _verified(frame, dataset)
    if ours["threshold_share"].nunique() < 2:
        return None
    methods = sorted(ours["method"].unique())
    colours = dict(zip(methods, ordered_colours(len(methods)), strict=True))
    lines = dict(zip(sorted(ours["array"].unique()), itertools.cycle(_LINES), strict=False))
    figure, axis = axes()
    for (method, array), cells in ours.groupby(["method", "array"]):
        means = cells.groupby("threshold_share")["accuracy_spice"].mean()
        label = f"{method}, silent rows {SILENT_ROWS[str(array)]}"
        axis.plot(means.index, means, lines[array], color=colours[method], label=label)
    axis.set(xlabel="V_th / (V_S - V_rest)", ylabel="accuracy in SPICE", ylim=(0, 1))
    logarithmic(axis, "x", PercentFormatter(1.0, decimals=0))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend()
    caption = "The higher the threshold, the less current is left when a membrane gets there."
    return Drawing(svg(figure, "Accuracy in SPICE over the share of the threshold"), caption)


def _verified(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    ours = frame[frame["dataset"] == dataset]
    return ours[ours["threshold_share"].notna() & ours["accuracy_spice"].notna()]
