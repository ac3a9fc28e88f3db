"""The cells of a comparison under every condition of a grid: a table and a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from spicetrain.drawing import INK, axes, ordered_colours, svg
from spicetrain.inverter.verification.grid import TABLE
from spicetrain.inverter.verification.summary import ConditionFigures, GridFigures, InverterSummary
from spicetrain.report.blocks import Drawing, Table
from spicetrain.report.units import percent
from spicetrain.runfolder import SUMMARY, RunFolder

_COLUMNS = ("condition", "corner", "accuracy_spice")


def conditions_table(ours: pd.DataFrame, root: Path, dataset: str) -> Table | None:
    """Accuracy in ngspice of every cell: nominal, mean and worst, by corner; None when there is no grid."""
    found = {name: (summary, figures) for name, _, summary, figures in _verified(ours, root, dataset)}
    if not found:
        return None
    corners = list(dict.fromkeys(corner for _, figures in found.values() for corner in figures.by_corner))
    corners = corners if len(corners) > 1 else []
    rows = [
        (
            name,
            "" if summary.accuracy_spice is None else percent(summary.accuracy_spice),
            percent(figures.accuracy_mean),
            f"{percent(figures.accuracy_min)} ({figures.worst.replace('_', ' ')})",
            *(_mean_and_worst(figures.by_corner.get(corner)) for corner in corners),
        )
        for name, (summary, figures) in found.items()
    ]
    count = max(figures.count for _, figures in found.values())
    caption = f"{dataset}: accuracy in SPICE under {count} conditions; by corner mean / worst."
    return Table(("cell", "nominal", "mean", "worst", *corners), rows, caption)


def conditions_drawing(ours: pd.DataFrame, root: Path, dataset: str) -> Drawing | None:
    """Accuracy in ngspice of every cell under every condition, corner by corner; None when there is no grid."""
    found = {
        name: frame
        for name, files, _, _ in _verified(ours, root, dataset)
        if (frame := files.frame(TABLE, _COLUMNS)) is not None
    }
    if not found:
        return None
    corners = list(dict.fromkeys(corner for frame in found.values() for corner in frame["corner"]))
    figure, axis = axes(max(4.6, 0.9 * len(corners) + 1.6), 3.2)
    aside = 0.6 / len(found)
    for k, (name, colour) in enumerate(zip(found, ordered_colours(len(found)), strict=True)):
        frame = found[name]
        places = np.array([corners.index(corner) for corner in frame["corner"]]) + aside * (k - (len(found) - 1) / 2)
        axis.plot(places, 100 * frame["accuracy_spice"], "o", color=colour, alpha=0.6, markersize=4, label=name)
    axis.set_xticks(range(len(corners)), corners)
    axis.grid(False, axis="x")
    axis.tick_params(axis="x", length=0, labelcolor=INK)
    axis.set(xlabel="corner", ylabel="accuracy in SPICE (%)")
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(found), borderaxespad=0.2)
    caption = "A dot a condition: temperatures and supplies of the same corner, cell beside cell."
    return Drawing(svg(figure, "Accuracy under every condition"), caption)


def _verified(
    ours: pd.DataFrame, root: Path, dataset: str
) -> Iterator[tuple[str, RunFolder, InverterSummary, GridFigures]]:
    """(name, folder, summary, figures) of the cells that were verified over a grid."""
    of_it = ours[ours["dataset"] == dataset]
    several = of_it["seed"].nunique() > 1
    for _, cell in of_it.iterrows():
        files = RunFolder(root / str(cell.folder))
        summary = InverterSummary.of(files.json(SUMMARY, (), "verify"))
        if summary is not None and summary.grid is not None:
            yield f"{cell.cell}, seed {cell.seed}" if several else str(cell.cell), files, summary, summary.grid


def _mean_and_worst(figures: ConditionFigures | None) -> str:
    return "" if figures is None else f"{percent(figures.accuracy_mean)} / {percent(figures.accuracy_min)}"
