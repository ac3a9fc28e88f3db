"""The figures of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from spicetrain.compare.cells import Cell
from spicetrain.drawing import ACCENT, INK, axes, logarithmic, ordered_colours, svg
from spicetrain.report.blocks import Drawing
from spicetrain.runfolder import RunFolder

_SHORT = 3.2


def front(ours: pd.DataFrame) -> Drawing | None:
    """Energy against accuracy, every cell name a point, those drawn through that no other beats in both."""
    means = ours.groupby("cell", sort=False)[["energy_per_inference_J", "accuracy_spice"]].mean().dropna()
    if means.empty:
        return None
    energy_J, accuracy = means["energy_per_inference_J"].to_numpy(), 100 * means["accuracy_spice"].to_numpy()
    best = pareto(energy_J, accuracy)
    figure, axis = axes(4.6, _SHORT)
    axis.plot(energy_J[best], accuracy[best], color=ACCENT, linewidth=1.0)
    axis.plot(energy_J, accuracy, "o", color=ACCENT)
    for name, x, y in zip(means.index, energy_J, accuracy, strict=True):
        axis.annotate(str(name), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7.5, color=INK)
    axis.set(xlabel="energy per inference", ylabel="accuracy in SPICE (%)")
    axis.margins(0.15)
    logarithmic(axis, "x", EngFormatter("J"))
    text = "Mean over seeds. The line joins the cells that no other one beats in both energy and accuracy."
    return Drawing(svg(figure, "Accuracy in SPICE over energy per inference"), text)


def pareto(cost: NDArray, value: NDArray) -> NDArray[np.int64]:
    """Indices of the points that no other has at most the cost and at least the value of, cheapest first."""
    order = np.lexsort((-value, cost))
    kept = []
    highest = -np.inf
    for index in order:
        if value[index] > highest:
            kept.append(index)
            highest = value[index]
    return np.array(kept, dtype=np.int64)


def learning(cells: Sequence[Cell]) -> Drawing | None:
    """Test accuracy of the model over epochs, a colour a cell name, a line a seed."""
    curves = [(cell.name, line) for cell in cells if (line := _curve(cell)) is not None]
    if not curves:
        return None
    names = list(dict.fromkeys(name for name, _ in curves))
    colours = dict(zip(names, ordered_colours(len(names)), strict=True))
    figure, axis = axes(4.6, _SHORT)
    for name, (epochs, shares) in curves:
        axis.plot(epochs, shares, color=colours[name], linewidth=1.0)
    _legend(axis, names, colours)
    axis.set(xlabel="epoch", ylabel="accuracy of the model (%)")
    caption = "Test accuracy in each method's own view after every epoch; a line a seed."
    return Drawing(svg(figure, "Accuracy over epochs"), caption)


def _curve(cell: Cell) -> tuple[list[int], list[float]] | None:
    files = RunFolder(cell.folder)
    if not files.is_one or not (metrics := files.metrics(("epoch", "accuracy_test"))):
        return None
    return [line["epoch"] for line in metrics], [100 * line["accuracy_test"] for line in metrics]


def _legend(axis: Axes, names: Sequence[str], colours: dict[str, NDArray]) -> None:
    for name in names:
        axis.plot([], [], color=colours[name], label=name)
    axis.legend()
