"""SPICE against the model: outputs, errors, confusion."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from spicetrain.drawing import ACCENT, DOTS, INK, axes, logarithmic, svg
from spicetrain.inverter.verification.outputs import Outputs
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.confusion import confusion
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, quantity

_MOST_DOTS = 20_000


def verification_section(page: Page, outputs: Outputs | None, classes: tuple[str, ...]) -> Section:
    """What ngspice says of the trained network."""
    title = "SPICE against the model"
    if outputs is None:
        missing = Notice("The network has not been simulated in ngspice.", page.command("verify"))
        return Section("verification", title, [missing])
    blocks: list[Block] = [Paragraph(_text(outputs))]
    if page.summary and (missed := page.summary.solver_unconverged):
        text = f"The model's own solver did not converge for {count(missed, 'sample')} of this comparison."
        blocks.append(Notice(text))
    blocks.append(
        Gallery(
            [
                _scatter(outputs),
                _histogram(outputs),
                _by_output(outputs),
                confusion(outputs.label, outputs.spice_class, classes),
            ]
        )
    )
    return Section("verification", title, blocks)


def _text(outputs: Outputs) -> str:
    differ = int(np.sum(outputs.model_class != outputs.spice_class))
    wrong = int(np.sum(outputs.spice_class != outputs.label))
    same = f"different classes for {count(differ, 'image')}" if differ else "the same class for every one"
    return (
        f"{count(len(outputs.label), 'image')}, {outputs.error.size:,} output voltages. Model and SPICE choose {same}; "
        f"SPICE is wrong about {wrong:,}."
    )


def _scatter(outputs: Outputs) -> Drawing:
    model, spice = _thinned(outputs.model_V), _thinned(outputs.spice_V)
    figure, axis = axes()
    low, high = min(model.min(), spice.min()), max(model.max(), spice.max())
    axis.plot([1e3 * low, 1e3 * high], [1e3 * low, 1e3 * high], color=INK, linewidth=0.7)
    axis.plot(1e3 * model, 1e3 * spice, ".", color=DOTS, markersize=_dot_size(outputs), alpha=0.5, rasterized=True)
    axis.set(xlabel="model (mV)", ylabel="SPICE (mV)")
    axis.set_aspect("equal", "box")
    caption = "Every output of every image. What leaves the diagonal is what the model does not know of the circuit."
    return Drawing(svg(figure, "SPICE output voltages against the model's"), caption)


def _histogram(outputs: Outputs) -> Drawing:
    error = outputs.error.ravel()
    floor = max(float(np.quantile(error, 0.001)), 1e-12)
    bins = np.geomspace(floor, max(float(error.max()), 2 * floor), 40)
    figure, axis = axes()
    axis.hist(np.maximum(error, floor), list(bins), color=ACCENT)
    mean = float(error.mean())
    axis.axvline(mean, color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="|model - SPICE|", ylabel="outputs")
    logarithmic(axis, "x", EngFormatter("V"))
    logarithmic(axis, "y")
    quantiles = " and ".join(
        f"{percent(q, 0)} below {quantity(float(np.quantile(error, q)), 'V')}" for q in (0.5, 0.99)
    )
    caption = f"Errors of all outputs, both axes logarithmic: {quantiles}; mean {quantity(mean, 'V')} (dotted)."
    return Drawing(svg(figure, "Histogram of output errors"), caption)


def _by_output(outputs: Outputs) -> Drawing:
    spice, error = _thinned(outputs.spice_V), _thinned(outputs.model_V - outputs.spice_V)
    figure, axis = axes()
    axis.axhline(0, color=INK, linewidth=0.7)
    axis.plot(1e3 * spice, error, ".", color=DOTS, markersize=_dot_size(outputs), alpha=0.5, rasterized=True)
    axis.set(xlabel="SPICE (mV)", ylabel="model - SPICE")
    axis.yaxis.set_major_formatter(EngFormatter("V"))
    caption = (
        "The same errors with their sign, over the output voltage. Between the rails the last inverter is steep and "
        "passes on the most."
    )
    return Drawing(svg(figure, "Signed error over output voltage"), caption)


def _dot_size(outputs: Outputs) -> float:
    return 5.0 if outputs.error.size < 1000 else 2.5


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most so many values, evenly chosen; as many points as a plot can show."""
    flat = values.ravel()
    return flat[:: max(1, -(-flat.size // _MOST_DOTS))]
