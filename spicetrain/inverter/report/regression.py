"""A regression on the page: its figures, and the outputs over their targets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spicetrain.drawing import ACCENT, DOTS, INK, axes, svg
from spicetrain.inverter.verification.summary import OutputFigures, RegressionFigures
from spicetrain.report.blocks import Drawing, Gallery, Paragraph, Section, Table
from spicetrain.report.units import count, quantity

_MOST_DOTS = 20_000


def regression_tiles(figures: RegressionFigures) -> list[tuple[str, str, str]]:
    """(value, label, remark)."""
    return [
        (f"{figures.r2_spice:.4f}", "R² in SPICE", _mean_of(figures)),
        (f"{figures.r2_model:.4f}", "R² of the model", "the same images"),
    ]


def _mean_of(figures: RegressionFigures) -> str:
    return "of its output" if len(figures.outputs) == 1 else f"mean of {count(len(figures.outputs), 'output')}"


def regression_table(figures: RegressionFigures) -> Table:
    """A row an output."""
    head = ("target", "R², model / SPICE", "rms error, model / SPICE", "of its range", "range", "stands for")
    caption = "Errors are in the target's own unit; its range is that of the training samples."
    return Table(head, [_row(name, one) for name, one in figures.outputs.items()], caption)


def _row(name: str, one: OutputFigures) -> tuple[str, ...]:
    volts = f"{quantity(one.low_V, 'V')} .. {quantity(one.high_V, 'V')}"
    return (
        name,
        f"{one.r2_model:.5f} / {one.r2_spice:.5f}",
        f"{one.rms_model:.4g} / {one.rms_spice:.4g}",
        f"{100 * one.rms_spice / (one.high - one.low):.2f} %",
        f"{one.low:.4g} .. {one.high:.4g}",
        volts,
    )


def regression_section(frame: pd.DataFrame, figures: RegressionFigures) -> Section:
    """`frame` is verification.parquet."""
    drawn = [
        drawing
        for name in figures.outputs
        if {f"wanted_{name}", f"model_{name}", f"spice_{name}"} <= set(frame)
        for drawing in (_over_target(frame, name), _error(frame, name))
    ]
    text = Paragraph(f"{count(len(frame), 'test sample')}; outputs are read as their targets between the rails.")
    return Section("verification", "SPICE against the targets", [text, regression_table(figures), Gallery(drawn)])


def _over_target(frame: pd.DataFrame, name: str) -> Drawing:
    shown = frame.iloc[:: max(1, -(-len(frame) // _MOST_DOTS))]
    wanted, spice = (shown[f"{kind}_{name}"].to_numpy() for kind in ("wanted", "spice"))
    figure, axis = axes()
    ends = [wanted.min(), wanted.max()]
    axis.plot(ends, ends, color=INK, linewidth=0.7)
    axis.plot(wanted, spice, ".", color=DOTS, markersize=3, alpha=0.6, rasterized=True)
    axis.set(xlabel=f"target {name}", ylabel=f"{name} in SPICE")
    return Drawing(svg(figure, f"{name} in SPICE over its target"), f"{name}: every test sample in ngspice.")


def _error(frame: pd.DataFrame, name: str) -> Drawing:
    error = (frame[f"spice_{name}"] - frame[f"wanted_{name}"]).to_numpy()
    figure, axis = axes()
    axis.hist(error, 40, color=ACCENT)
    axis.axvline(0, color=INK, linewidth=0.7)
    axis.set(xlabel=f"{name} in SPICE less target", ylabel="samples")
    worst = float(np.abs(error).max())
    return Drawing(svg(figure, f"Errors of {name}"), f"Errors of {name}; the largest is {worst:.4g}.")
