"""The figures of a comparison of inverter-based networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from spicetrain.drawing import ACCENT, ACCENT_SHADES, INK, SECOND, axes, logarithmic, svg
from spicetrain.report.blocks import Drawing
from spicetrain.report.units import quantity

_SHORT = 3.2


def errors(ours: pd.DataFrame) -> Drawing:
    """Mean, rms and largest error of every cell name on its own nets; the bar is the range over seeds."""
    verified = ours[ours["error_mean_V"].notna()]
    names = list(dict.fromkeys(verified["cell"]))
    figure, axis = axes(4.6, max(_SHORT, 0.45 * len(names) + 1))
    for column, text, colour, marker in (
        ("error_mean_V", "mean", ACCENT, "o"),
        ("error_rms_V", "rms", INK, "|"),
        ("error_max_V", "max", SECOND, "x"),
    ):
        groups = [verified[verified["cell"] == name][column] for name in names]
        middle = np.array([group.mean() for group in groups])
        extent = np.array([[m - group.min(), group.max() - m] for m, group in zip(middle, groups, strict=True)]).T
        axis.errorbar(middle, range(len(names)), xerr=extent, fmt=marker, color=colour, capsize=2, label=text)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set(xlabel="|own model - SPICE|")
    logarithmic(axis, "x", EngFormatter("V"))
    axis.legend()
    return Drawing(svg(figure, "Output error by cell"), "Output error of each method on the nets it trained itself.")


def cross_matrix(cells: Sequence[str], predictors: Sequence[str], errors_V: NDArray) -> Drawing:
    """Mean error of every predictor on every net, [cells, predictors] volts."""
    figure, axis = axes(max(4.6, 0.7 * len(predictors) + 1.4), max(_SHORT, 0.45 * len(cells) + 1))
    axis.imshow(np.log10(np.maximum(errors_V, 1e-12)), cmap=ACCENT_SHADES, aspect="auto")
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    axis.set_xticks(range(len(predictors)), predictors, rotation=30, ha="right")
    axis.set_yticks(range(len(cells)), cells)
    axis.set(xlabel="predicted by", ylabel="net of")
    for (i, j), value in np.ndenumerate(errors_V):
        if np.isfinite(value):
            axis.text(j, i, quantity(float(value), "V"), ha="center", va="center", fontsize=7.5, color=INK)
    caption = (
        "Every method as predictor of the same nets, mean error against SPICE. Darker is worse, the shades are "
        "logarithmic."
    )
    return Drawing(svg(figure, "Mean error of every predictor on every net"), caption)
