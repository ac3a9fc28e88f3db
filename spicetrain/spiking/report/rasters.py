"""All spikes of an image: inputs, layers, outputs, and where model and SPICE do not have the same."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spicetrain.drawing import DOTS, INK, SECOND, svg
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.page import Page
from spicetrain.report.units import count
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.verification.figures import mismatches
from spicetrain.spiking.verification.spikes_file import KeptSpikes

_MOST_DRAWN = 3
_MOST_NAMED = 20


def rasters_section(page: Page, kept: KeptSpikes | None, classes: tuple[str, ...]) -> Section:
    """Of the first images, and of the one with most spikes that only one of the two has."""
    key, title = "rasters", "Spikes"
    if kept is None:
        missing = Notice("The network has not been simulated in ngspice.", page.command("verify"))
        return Section(key, title, [missing])
    wrong = mismatches(kept.model, kept.spice)
    chosen = list(dict.fromkeys([*range(min(_MOST_DRAWN, len(wrong))), int(wrong.argmax())]))
    text = (
        "Every spike of an image: a row a neuron, a column a time step of its layer. Filled: a spike in ngspice. "
        "Amber crosses: the model spikes alone; circles: ngspice spikes alone. Numbers at the outputs: their spikes "
        f"in ngspice. Of the {count(len(wrong), 'image')} kept, {int(np.sum(wrong == 0))} have the same spikes in both."
    )
    shape: SpikingNetworkSettings = page.experiment.network
    if kept.inputs.dtype != np.bool_:
        text += " Inputs are levels, no spikes: grey is how far a row is driven to its rail."
    if shape.integrator is not None:
        text += " The outputs do not fire: grey is their membrane in ngspice, and the numbers are the last ones, in mV."
    frame = page.files.frame("verification.parquet", ("image", "label", "class_model", "class_spice"))
    blocks: list[Block] = [Paragraph(text)]
    drawings = [_drawing(kept, image, frame, classes, int(wrong[image]), shape.integrator) for image in chosen]
    return Section(key, title, [*blocks, Gallery(drawings)])


def _drawing(
    kept: KeptSpikes,
    image: int,
    frame: pd.DataFrame | None,
    classes: tuple[str, ...],
    wrong: int,
    integrator: int | None,
) -> Drawing:
    figure = Figure((9.4, 3.6), layout="constrained", dpi=130)
    panels = figure.subplots(1, 1 + len(kept.model), squeeze=False)[0]
    inputs = kept.inputs[image]
    if inputs.dtype == np.bool_:
        _panel(panels[0], inputs.astype(np.bool_), inputs.astype(np.bool_), "input")
    else:
        _grey_panel(panels[0], inputs, "input")
    for index, (axis, (model, _), (spice, v)) in enumerate(zip(panels[1:], kept.model, kept.spice, strict=True), 1):
        last = index == len(kept.model)
        if index - 1 == integrator:
            _grey_panel(axis, v[image], "output, membranes")
        else:
            _panel(axis, model[image], spice[image], "output" if last else f"layer {index}")
        if last and len(classes) <= _MOST_NAMED:
            shown = spice[image].sum(0) if integrator is None else [f"{1e3 * u:.1f}" for u in v[image, -1]]
            _name_outputs(axis, shown, classes)
    differ = f"{count(wrong, 'spike')} in only one of the two" if wrong else "the same spikes in both"
    text = ""
    if frame is not None and image < len(frame):
        label, model_class, spice_class = (
            classes[int(frame[name].iloc[image])] for name in ("label", "class_model", "class_spice")
        )
        text = f", a {label}: SPICE says {spice_class}, the model {model_class}"
    return Drawing(svg(figure, f"Spikes of test image {image}"), f"Test image {image}{text}; {differ}.", wide=True)


def _panel(axis: Axes, model: NDArray[np.bool_], spice: NDArray[np.bool_], title: str) -> None:
    """model, spice [steps, neurons]."""
    pixels = np.zeros((*spice.T.shape, 4))
    pixels[spice.T] = to_rgba(DOTS)
    axis.imshow(pixels, aspect="auto", interpolation="nearest")
    for only, marker, colour in ((model & ~spice, "x", SECOND), (spice & ~model, "o", INK)):
        step, neuron = np.nonzero(only)
        axis.plot(step, neuron, marker, color=colour, markersize=5, markerfacecolor="none", linestyle="none")
    _finish(axis, spice.shape, f"{title}, {int(spice.sum()):,} spikes")


def _grey_panel(axis: Axes, values: NDArray, title: str) -> None:
    """values [steps, neurons], real numbers: the largest are as dark as a spike."""
    span = float(np.ptp(values)) or 1.0
    pixels = np.empty((*values.T.shape, 4))
    pixels[:] = to_rgba(DOTS)
    pixels[..., 3] = (values.T - values.min()) / span
    axis.imshow(pixels, aspect="auto", interpolation="nearest")
    _finish(axis, values.shape, title)


def _finish(axis: Axes, shape: tuple[int, ...], title: str) -> None:
    """shape: [steps, neurons]."""
    axis.grid(False)
    axis.set(xlabel="step", title=title)
    axis.set_xlim(-0.5, shape[0] - 0.5)
    axis.set_ylim(shape[1] - 0.5, -0.5)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator("auto", integer=True))


def _name_outputs(axis: Axes, numbers: Iterable[object], classes: tuple[str, ...]) -> None:
    axis.set_yticks(range(len(classes)), classes)
    for output, number in enumerate(numbers):
        axis.annotate(
            str(number), (1.0, output), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip
