"""The training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spicetrain.drawing import ACCENT, SECOND, axes, logarithmic, svg
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section
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
    return Drawing(svg(figure, "Loss over epochs"), "Loss on the training images, mean of an epoch.")


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
    return Drawing(svg(figure, "Accuracy over epochs"), f"Accuracy of the model after each epoch; at the end {last}.")


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


def _learning_rate(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    axis.plot(epochs(metrics), [line["learning_rate"] for line in metrics], color=ACCENT)
    axis.set(xlabel="epoch", ylabel="learning rate")
    return Drawing(svg(figure, "Learning rate over epochs"), "Learning rate at each epoch's end.")


def epochs(metrics: Metrics) -> list[int]:
    return [line["epoch"] for line in metrics]
