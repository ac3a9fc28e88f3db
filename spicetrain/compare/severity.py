"""How badly an array's non-linearity hurts: accuracy in SPICE over the threshold's share of the driving force."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import PercentFormatter

from spicetrain.compare.tables import of_dataset, spread
from spicetrain.report.blocks import Drawing, Table
from spicetrain.report.drawing import ACCENT, INK, axes, logarithmic, svg
from spicetrain.report.units import percent

SILENT_ROWS = {"1r": "held at rest (1r)", "1t1r": "floating (1t1r)"}
_STYLES = {("circuit", "1r"): (ACCENT, "-o"), ("circuit", "1t1r"): (ACCENT, "--s")}
_STYLES |= {("regular", "1r"): (INK, "-o"), ("regular", "1t1r"): (INK, "--s")}


def severity(frame: pd.DataFrame, dataset: str) -> Table | None:
    """A row an array and threshold, with the accuracies of both methods; None when no spiking cell was verified."""
    ours = _verified(frame, dataset)
    if ours.empty:
        return None
    rows = []
    for (array, share), cells in ours.groupby(["array", "threshold_share"]):
        by_method = [cells[cells["method"] == method] for method in ("regular", "circuit")]
        shown = [spread(one[name], percent) for one in by_method for name in ("accuracy_model", "accuracy_spice")]
        rows.append((SILENT_ROWS[str(array)], f"{share:.3g}", *shown))
    head = ("silent rows", "V_th / (V_S - V_rest)", "regular, own model", "regular, SPICE", "circuit, own model",
            "circuit, SPICE")  # fmt: skip
    return Table(head, rows, f"{dataset}: thresholds of the first layer, as programmed.")


def severity_drawing(frame: pd.DataFrame, dataset: str) -> Drawing | None:
    """Accuracy in SPICE over the threshold's share, a line a method and array; None below two thresholds."""
    ours = _verified(frame, dataset)
    if ours["threshold_share"].nunique() < 2:
        return None
    figure, axis = axes()
    for (method, array), cells in ours.groupby(["method", "array"]):
        means = cells.groupby("threshold_share")["accuracy_spice"].mean()
        colour, style = _STYLES[str(method), str(array)]
        axis.plot(means.index, means, style, color=colour, label=f"{method}, silent rows {SILENT_ROWS[str(array)]}")
    axis.set(xlabel="V_th / (V_S - V_rest)", ylabel="accuracy in SPICE", ylim=(0, 1))
    logarithmic(axis, "x", PercentFormatter(1.0, decimals=0))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend()
    caption = "The higher the threshold, the less current is left when a membrane gets there."
    return Drawing(svg(figure, "Accuracy in SPICE over the share of the threshold"), caption)


def _verified(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    ours = of_dataset(frame, dataset)
    return ours[ours["threshold_share"].notna() & ours["accuracy_spice"].notna()]
