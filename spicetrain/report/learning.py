"""The training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spicetrain.drawing import ACCENT, SECOND, axes, logarithmic, svg
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.interactive import Column, Curves, Panel, Plot
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, seconds

Metrics = list[dict[str, Any]]


def training_section(page: Page, more: Callable[[Metrics], tuple[list[Block], list[Drawing]]]) -> Section:
    """Loss, accuracy, learning rate, and `more`: what the system has to say of its epochs."""
    metrics = page.metrics
    if metrics is None:
        missing = Notice("No network has been trained in this folder.", page.command("train"))
        return Section("training", "The training", [missing])
    asked = page.experiment.training.last_epoch
    blocks: list[Block] = [Paragraph(_text(metrics))]
    if len(metrics) < asked:
        text = f"{count(len(metrics), 'epoch')} of {asked} are done; the same command goes on from there."
        blocks.append(Notice(text, page.command("train")))
    explained, drawn = more(metrics)
    drawings = [
        _loss(metrics),
        _r2(metrics) if "r2_test" in metrics[-1] else _accuracy(metrics),
        _learning_rate(metrics),
        *drawn,
    ]
    return Section("training", "The training", [*blocks, *explained, Gallery(drawings)])


def _text(metrics: Metrics) -> str:
    took = seconds(sum(line["seconds"] for line in metrics))
    return f"{count(len(metrics), 'epoch')} in {took}; loss from {metrics[0]['loss']:.3g} to {metrics[-1]['loss']:.3g}."


def _loss(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    loss = [line["loss"] for line in metrics]
    axis.plot(epochs(metrics), loss, color=ACCENT)
    axis.set(xlabel="epoch", ylabel="squared error" if "r2_test" in metrics[-1] else "cross entropy")
    if min(loss) > 0:
        logarithmic(axis, "y")
    caption = "Loss on the training images, mean of an epoch."
    return Drawing(svg(figure, "Loss over epochs"), caption, plot=_plot(metrics, ("loss",), "loss", min(loss) > 0))


def _accuracy(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    names = [name for name in ("accuracy_test", "accuracy_validation") if name in metrics[-1]]
    for name, colour in zip(names, (ACCENT, SECOND), strict=False):
        shares = [100 * line.get(name, np.nan) for line in metrics]
        axis.plot(epochs(metrics), shares, color=colour, label=name.removeprefix("accuracy_"))
    axis.set(xlabel="epoch", ylabel="accuracy (%)")
    if len(names) > 1:
        axis.legend()
    last = ", ".join(f"{percent(metrics[-1][name])} {name.removeprefix('accuracy_')}" for name in names)
    caption = f"Accuracy of the model after each epoch; at the end {last}."
    return Drawing(svg(figure, "Accuracy over epochs"), caption, plot=_plot(metrics, names, "accuracy (%)"))


def _r2(metrics: Metrics) -> Drawing:
    """Of a regression: what its outputs leave unexplained."""
    figure, axis = axes(4.6, 2.7)
    names = [name for name in ("r2_test", "r2_validation") if name in metrics[-1]]
    for name, colour in zip(names, (ACCENT, SECOND), strict=False):
        left = [1 - line.get(name, np.nan) for line in metrics]
        axis.plot(epochs(metrics), left, color=colour, label=name.removeprefix("r2_"))
    axis.set(xlabel="epoch", ylabel="1 - R²")
    if min(1 - line[name] for line in metrics for name in names if name in line) > 0:
        logarithmic(axis, "y")
    if len(names) > 1:
        axis.legend()
    last = ", ".join(f"{metrics[-1][name]:.4f} {name.removeprefix('r2_')}" for name in names)
    return Drawing(svg(figure, "1 - R² over epochs"), f"What the model leaves unexplained; R² at the end {last}.")


# What an epoch has to say of itself, where its line has it: name, unit, how many of them are one.
_SAID = {
    "accuracy_test": ("accuracy, test", "%", 100), "accuracy_validation": ("validation", "%", 100),
    "r2_test": ("R², test", "", 1), "r2_validation": ("R², validation", "", 1), "loss": ("loss", "", 1),
    "tie_rate_test": ("ties, test", "%", 100), "tie_rate_validation": ("ties, validation", "%", 100),
    "learning_rate": ("learning rate", "", 1), "seconds": ("took", "s", 1),
}  # fmt: skip


def _plot(metrics: Metrics, drawn: Sequence[str], y: str, logarithmic: bool = False) -> Plot:
    """Over epochs, of which all is said."""
    columns = []
    for name in sorted(_SAID, key=lambda name: name not in drawn):
        if any(name in line for line in metrics):
            label, unit, factor = _SAID[name]
            values = [factor * line.get(name, np.nan) for line in metrics]
            second = name == drawn[-1] and len(drawn) > 1
            how: Any = {"drawn": "line" if name in drawn else None, "colour": "second" if second else "accent"}
            columns.append(Column(label, values, unit, **how))
    panel = Panel([Curves(epochs(metrics), columns)], y, logarithmic=logarithmic)
    return Plot(f"{y} over epochs; arrow keys go from epoch to epoch", "epoch", [panel])


def _learning_rate(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    axis.plot(epochs(metrics), [line["learning_rate"] for line in metrics], color=ACCENT)
    axis.set(xlabel="epoch", ylabel="learning rate")
    return Drawing(svg(figure, "Learning rate over epochs"), "Learning rate at each epoch's end.")


def epochs(metrics: Metrics) -> list[int]:
    return [line["epoch"] for line in metrics]
