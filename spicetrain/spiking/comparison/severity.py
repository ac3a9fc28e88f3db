"""How badly an array's non-linearity hurts: accuracy in SPICE over the threshold's share of the driving force."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.ticker import PercentFormatter

from spicetrain.drawing import ACCENT, INK, SECOND, axes, logarithmic, ordered_colours, svg
from spicetrain.report.blocks import Drawing, Table
from spicetrain.report.units import percent, spread

SILENT_ROWS = {"1r": "held at rest (1r)", "1t1r": "floating (1t1r)"}
_LINES = {"1r": "-o", "1t1r": "--s"}
_COLOURS = {"regular": INK, "circuit": ACCENT}


def severity(frame: pd.DataFrame, dataset: str) -> Table | None:
    """A row an array and threshold, with the accuracies of every method; None when no spiking cell was verified."""
    ours = _verified(frame, dataset)
    if ours.empty:
        return None
    rows, methods = [], _methods(ours)
    for (array, share), cells in ours.groupby(["array", "threshold_share"]):
        by_method = [cells[cells["trained"] == method] for method in methods]
        shown = [spread(one[name], percent) for one in by_method for name in ("accuracy_model", "accuracy_spice")]
        rows.append((SILENT_ROWS[str(array)], f"{share:.3g}", *shown))
    shown_of = [f"{method}, {by}" for method in methods for by in ("own model", "SPICE")]
    head = ("silent rows", "V_th / (V_S - V_rest)", *shown_of)
    return Table(head, rows, f"{dataset}: thresholds of the first layer, as programmed.")


def severity_drawing(frame: pd.DataFrame, dataset: str) -> Drawing | None:
    """Accuracy in SPICE over the threshold's share, a line a method and array; None below two thresholds."""
    ours = _verified(frame, dataset)
    if ours["threshold_share"].nunique() < 2:
        return None
    figure, axis = axes()
    others = [method for method in _methods(ours) if method not in _COLOURS]
    colours: dict[str, Any] = _COLOURS | dict(zip(others, [SECOND, *ordered_colours(len(others))], strict=False))
    for (method, array), cells in ours.groupby(["trained", "array"]):
        means = cells.groupby("threshold_share")["accuracy_spice"].mean()
        label = f"{method}, silent rows {SILENT_ROWS[str(array)]}"
        axis.plot(means.index, means, _LINES[str(array)], color=colours[str(method)], label=label)
    axis.set(xlabel="V_th / (V_S - V_rest)", ylabel="accuracy in SPICE", ylim=(0, 1))
    logarithmic(axis, "x", PercentFormatter(1.0, decimals=0))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend()
    caption = "The higher the threshold, the less current is left when a membrane gets there."
    return Drawing(svg(figure, "Accuracy in SPICE over the share of the threshold"), caption)


def _methods(ours: pd.DataFrame) -> list[str]:
    """Every method once: those that we know first."""
    there = [str(method) for method in ours["trained"]]
    return [method for method in dict.fromkeys([*_COLOURS, *there]) if method in there]


def _verified(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    ours = frame[frame["dataset"] == dataset]
    trained = ours["trained"] if "trained" in ours else ours["method"]
    ours = ours.assign(trained=trained.astype(object).where(trained.notna(), ours["method"]))
    return ours[ours["threshold_share"].notna() & ours["accuracy_spice"].notna()]
