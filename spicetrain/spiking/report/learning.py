"""Spike rates, and laws that were asked beyond what was measured, epoch by epoch."""

from __future__ import annotations

import numpy as np

from spicetrain.drawing import axes, ordered_colours, svg
from spicetrain.report.blocks import Block, Drawing, Notice, Paragraph
from spicetrain.report.learning import Metrics, epochs
from spicetrain.report.units import percent


def spike_blocks(metrics: Metrics) -> tuple[list[Block], list[Drawing]]:
    """For the section on the training."""
    return [_laws(metrics)], [_spike_rates(metrics)]


def _laws(metrics: Metrics) -> Block:
    last = metrics[-1]
    extrapolated = last.get("extrapolated", last.get("beyond_laws", {}))  # as older versions called it
    if not extrapolated:
        return Paragraph("In the last epoch no law was asked beyond the range in which it was measured.")
    asked = ", ".join(f"{name} {number:,} times" for name, number in extrapolated.items())
    return Notice(f"In the last epoch laws were asked beyond the range in which they were measured: {asked}.")


def _spike_rates(metrics: Metrics) -> Drawing:
    figure, axis = axes(4.6, 2.7)
    rates = np.array([line["spike_rates"] for line in metrics])
    for layer, (rate, colour) in enumerate(zip(rates.T, ordered_colours(rates.shape[1]), strict=True)):
        axis.plot(epochs(metrics), 100 * rate, color=colour, label=f"layer {layer + 1}")
    axis.set(xlabel="epoch", ylabel="spikes a neuron and step (%)", ylim=(0, None))
    axis.legend()
    last = " and ".join(percent(rate, 1) for rate in rates[-1])
    return Drawing(svg(figure, "Spike rates over epochs"), f"How often neurons fire, by layer; at the end {last}.")
