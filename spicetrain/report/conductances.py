"""What is programmed into the crossbars."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.layered import shape_text
from spicetrain.drawing import ACCENT, DIVERGING, INK, SECOND, axes, logarithmic, svg
from spicetrain.report.blocks import Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, quantity, resistance

_MOST_COLUMNS_AS_IMAGES = 20
_MOST_NUMBERED = 120
_MOST_BINS = 50
_MANY = 1000


def conductances_section(page: Page) -> Section:
    """Maps and histograms of every crossbar; the first one's columns as images when the inputs are some."""
    title = "The crossbars"
    network = page.network
    if network is None:
        return Section("crossbars", title, [Notice("There is no trained network.", page.command("train"))])
    drawings: list[Drawing] = []
    image_shape = None if isinstance(page.dataset, str) else page.dataset.image_shape
    for index, crossbar in enumerate(network.crossbars):
        if index == 0 and image_shape is not None and image_shape[0] * image_shape[1] == crossbar.rows:
            drawings.append(_columns_as_images(crossbar, image_shape))
        else:
            drawings.append(_heatmap(crossbar, index))
        drawings.append(_histogram(crossbar, index))
    devices = sum(crossbar.devices for crossbar in network.crossbars)
    text = (
        f"{shape_text(network.layers)}: {count(devices, 'memristor')} in {count(len(network.crossbars), 'crossbar')}. "
        "A weight is the difference of two conductances, one to each row of a pair."
    )
    return Section("crossbars", title, [Paragraph(text), Gallery(drawings)])


def _columns_as_images(crossbar: Crossbar, shape: tuple[int, int]) -> Drawing:
    weight = crossbar.pos - crossbar.neg
    strength = np.linalg.norm(weight, axis=0)
    ranked = np.argsort(-strength)
    chosen = ranked[
        np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), _MOST_COLUMNS_AS_IMAGES)).round().astype(int))
    ]
    across = min(5, len(chosen))
    down = -(-len(chosen) // across)
    largest = float(np.quantile(np.abs(weight), 0.999)) or float(np.abs(weight).max()) or 1.0
    figure = Figure((4.9, 1.0 * down + 0.3), layout="constrained", dpi=130)
    grid = figure.subplots(down, across, squeeze=False)
    for axis in grid.ravel():
        axis.set_axis_off()
    for axis, column in zip(grid.ravel(), chosen, strict=False):
        drawn = axis.imshow(
            1e6 * weight[:, column].reshape(shape), cmap=DIVERGING, vmin=-1e6 * largest, vmax=1e6 * largest
        )
        axis.set_title(str(column), fontsize=7, pad=2)
    bar = figure.colorbar(drawn, ax=grid, label="g_pos - g_neg (µS)", shrink=0.6, aspect=30)
    bar.outline.set_visible(False)
    caption = (
        f"Crossbar 0, {crossbar.rows} x {crossbar.columns}: {len(chosen)} of its columns as images, from the strongest "
        "to the weakest, numbered. What a column looks for should have strokes and patches; mere noise there means "
        "it has learnt by heart, or that the pixels are always dark."
    )
    return Drawing(svg(figure, "First crossbar's columns as images"), caption)


def _heatmap(crossbar: Crossbar, index: int) -> Drawing:
    weight = np.vstack([crossbar.pos - crossbar.neg, crossbar.bias_pos - crossbar.bias_neg])
    turned = weight.shape[0] > weight.shape[1]
    shown = weight.T if turned else weight
    largest = float(np.abs(weight).max()) or 1.0
    figure, axis = axes()
    drawn = axis.imshow(1e6 * shown, cmap=DIVERGING, vmin=-1e6 * largest, vmax=1e6 * largest, aspect="auto")
    axis.grid(False)
    names = ("row pair (last: bias)", "column")
    axis.set(xlabel=names[0 if turned else 1], ylabel=names[1 if turned else 0])
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator("auto", integer=True))
    if weight.size <= _MOST_NUMBERED:
        for (i, j), value in np.ndenumerate(1e6 * shown):
            colour = "white" if abs(value) > 0.6e6 * largest else INK
            axis.text(j, i, f"{value:+.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(drawn, label="g_pos - g_neg (µS)").outline.set_visible(False)
    caption = (
        f"Crossbar {index}, {crossbar.rows} x {crossbar.columns}: the difference that is the weight, biases last; at "
        f"most {quantity(largest, 'S')}. Empty is no weight."
    )
    return Drawing(svg(figure, f"Conductance differences of crossbar {index}"), caption)


def _histogram(crossbar: Crossbar, index: int) -> Drawing:
    every = _all(crossbar)
    low, high = float(every.min()), float(every.max())
    number = min(max(int(2 * np.sqrt(every.size)), 8), _MOST_BINS)
    bins = np.geomspace(low * 0.97, high * 1.03, number)
    figure, axis = axes()
    for values, label, colour in ((crossbar.pos, "pos", ACCENT), (crossbar.neg, "neg", SECOND)):
        axis.hist(1e6 * values.ravel(), list(1e6 * bins), histtype="step", linewidth=1.4, color=colour, label=label)
    axis.set(xlabel="conductance (µS)", ylabel="memristors")
    logarithmic(axis, "x")
    if every.size > _MANY:
        logarithmic(axis, "y")
    axis.legend()
    lowest, highest = np.mean(every < 1.01 * low), np.mean(every > 0.99 * high)
    caption = (
        f"Conductances of crossbar {index}, biases left out, from {resistance(high)} to {resistance(low)}; "
        f"{percent(float(lowest), 1)} lie at the lower end, {percent(float(highest), 1)} at the upper."
    )
    return Drawing(svg(figure, f"Histogram of the conductances of crossbar {index}"), caption)


def _all(crossbar: Crossbar) -> NDArray[np.float64]:
    return np.concatenate([crossbar.pos.ravel(), crossbar.neg.ravel()])
