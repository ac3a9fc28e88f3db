"""Which classes are taken for which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.drawing import ACCENT_SHADES, INK, axes, svg
from spicetrain.report.blocks import Drawing
from spicetrain.report.units import count

_MOST_NUMBERED = 20


def confusion(label: NDArray[np.int64], found: NDArray[np.int64], classes: tuple[str, ...]) -> Drawing:
    """label, found [images]: the true class, and that in SPICE."""
    number = len(classes)
    matrix = np.zeros((number, number), dtype=int)
    np.add.at(matrix, (label, found), 1)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure, axis = axes(4.6, 3.9)
    axis.imshow(np.sqrt(share), cmap=ACCENT_SHADES, vmin=0, vmax=1)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    turned = max(len(name) for name in classes) > 3
    axis.set_xticks(range(number), classes, rotation=45 if turned else 0, ha="right" if turned else "center")
    axis.set_yticks(range(number), classes)
    axis.set(xlabel="class in SPICE", ylabel="true class")
    if number <= _MOST_NUMBERED:
        for i, j in np.argwhere(matrix):
            colour = "white" if share[i, j] > 0.3 else INK
            axis.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8, color=colour)
    return Drawing(svg(figure, "Confusion matrix in SPICE"), _confusion_caption(matrix, classes))


def _confusion_caption(matrix: NDArray[np.int_], classes: tuple[str, ...]) -> str:
    text = "Confusion matrix in SPICE; faint cells are drawn stronger than their share, so that single errors show."
    off = matrix - np.diag(np.diag(matrix))
    if not off.any():
        return f"{text} There is no error."
    i, j = np.unravel_index(off.argmax(), off.shape)
    times = count(int(off[i, j]), "time")
    return f"{text} Most often, {times}, {classes[int(i)]} is taken for {classes[int(j)]}."
