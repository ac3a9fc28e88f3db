"""The training, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from spicetrain.report.artefacts import RunFolder
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.drawing import ACCENT, SECOND, axes, logarithmic, ordered_colours, svg
from spicetrain.report.units import count, percent, quantity, seconds

Metrics = list[dict[str, Any]]


def training_section(run: RunFolder) -> Section:
    """Loss, accuracy, learning rate, and whether the circuit's equations were solved."""
    metrics = run.metrics
    if metrics is None:
        missing = Notice("No network has been trained in this folder.", run.command("train"))
        return Section("training", "The training", [missing])
    asked = run.experiment.training.epochs
    blocks: list[Block] = [Paragraph(_told(metrics))]
    if len(metrics) < asked:
        text = f"{count(len(metrics), 'epoch')} of {asked} are done; the same command goes on from there."
        blocks.append(Notice(text, run.command("train")))
    drawings = [_loss(metrics), _accuracy(metrics), _learning_rate(metrics)]
    if run.system == "spiking":
        blocks.append(_laws(metrics))
        drawings.append(_spike_rates(metrics))
    else:
        blocks.append(_convergence(metrics))
        drawings += [_solver(metrics)] if any(line["solver_step_V"] for line in metrics) else []
    return Section("training", "The training", [*blocks, Gallery(drawings)])


def _told(metrics: Metrics) -> str:
    took = seconds(sum(line["seconds"] for line in metrics))
    return f"{count(len(metrics), 'epoch')} in {took}; loss from {metrics[0]['loss']:.3g} to {metrics[-1]['loss']:.3g}."


def _convergence(metrics: Metrics) -> Block:
    missed = [line for line in metrics if line["solver_unconverged"]]
    if not missed:
        return Paragraph("Convergence: in every epoch the solver met its tolerance for all samples.")
    worst = max(missed, key=lambda line: line["solver_unconverged"])
    total = sum(line["solver_unconverged"] for line in missed)
    return Notice(
        f"Convergence: in {count(len(missed), 'epoch')} of {len(metrics)} the solver left samples unconverged, "
        f"{total:,} in all, {worst['solver_unconverged']:,} of them in epoch {worst['epoch']}: their gradients are "
        "not exact."
    )


def _laws(metrics: Metrics) -> Block:
    beyond = metrics[-1]["beyond_laws"]
    if not beyond:
        return Paragraph("In the last epoch no law was asked beyond the range in which it was measured.")
    asked = ", ".join(f"{name} {number:,} times" for name, number in beyond.items())
    return Notice(f"In the last epoch laws were asked beyond the range in which they were measured: {asked}.")


def _spike_rates(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    rates = np.array([line["spike_rates"] for line in metrics])
    for layer, (rate, colour) in enumerate(zip(rates.T, ordered_colours(rates.shape[1]), strict=True)):
        axis.plot(_epochs(metrics), 100 * rate, color=colour, label=f"layer {layer + 1}")
    axis.set(xlabel="epoch", ylabel="spikes a neuron and step (%)", ylim=(0, None))
    axis.legend()
    last = " and ".join(percent(rate, 1) for rate in rates[-1])
    return Drawing(svg(figure, "Spike rates over epochs"), f"How often neurons fire, by layer; at the end {last}.")


def _loss(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    loss = [line["loss"] for line in metrics]
    axis.plot(_epochs(metrics), loss, color=ACCENT)
    axis.set(xlabel="epoch", ylabel="cross entropy")
    if min(loss) > 0:
        logarithmic(axis, "y")
    return Drawing(svg(figure, "Loss over epochs"), "Loss on the training images, mean of an epoch.")


def _accuracy(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    names = [name for name in ("accuracy_test", "accuracy_validation") if name in metrics[-1]]
    for name, colour in zip(names, (ACCENT, SECOND), strict=False):
        shares = [100 * line.get(name, np.nan) for line in metrics]
        axis.plot(_epochs(metrics), shares, color=colour, label=name.removeprefix("accuracy_"))
    axis.set(xlabel="epoch", ylabel="accuracy (%)")
    if len(names) > 1:
        axis.legend()
    last = ", ".join(f"{percent(metrics[-1][name])} {name.removeprefix('accuracy_')}" for name in names)
    return Drawing(svg(figure, "Accuracy over epochs"), f"Accuracy of the model after each epoch; at the end {last}.")


def _learning_rate(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    axis.plot(_epochs(metrics), [line["learning_rate"] for line in metrics], color=ACCENT)
    axis.set(xlabel="epoch", ylabel="learning rate")
    return Drawing(svg(figure, "Learning rate over epochs"), "Learning rate at each epoch's end.")


def _solver(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    steps = np.array([line["solver_step_V"] for line in metrics])
    axis.plot(_epochs(metrics), 1e6 * steps, color=ACCENT)
    axis.set(xlabel="epoch", ylabel="last step (µV)")
    if steps.min() > 0:
        _room_around(axis, 1e6 * steps)
        logarithmic(axis, "y")
    most = max(line.get("solver_iterations", 0) for line in metrics)
    caption = (
        f"The largest last step of the circuit's solver in each epoch, at most {quantity(float(steps.max()), 'V')} "
        f"after {count(int(most), 'iteration')}: how far the voltages trained on are from solved."
    )
    return Drawing(svg(figure, "Solver step over epochs"), caption)


def _room_around(axis: Axes, values: np.ndarray) -> None:
    """At least a decade, so that noise does not look like a trend."""
    if values.max() < 10 * values.min():
        middle = float(np.sqrt(values.min() * values.max()))
        axis.set_ylim(middle / 3.2, middle * 3.2)


def _epochs(metrics: Metrics) -> list[int]:
    return [line["epoch"] for line in metrics]
