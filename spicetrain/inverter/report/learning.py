"""Whether the circuit's equations were solved, epoch by epoch."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from spicetrain.drawing import ACCENT, axes, logarithmic, svg
from spicetrain.report.blocks import Block, Drawing, Notice, Paragraph
from spicetrain.report.learning import Metrics, epochs
from spicetrain.report.units import count, quantity


def solver_blocks(metrics: Metrics) -> tuple[list[Block], list[Drawing]]:
    """For the section on the training."""
    return [_convergence(metrics)], [_solver(metrics)] if any(line["solver_step_V"] for line in metrics) else []


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


def _solver(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    steps = np.array([line["solver_step_V"] for line in metrics])
    axis.plot(epochs(metrics), 1e6 * steps, color=ACCENT)
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
