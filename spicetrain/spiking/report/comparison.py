"""SPICE against the circuit's model: membranes of the kept images, classes of all."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from spicetrain.drawing import ACCENT, DOTS, INK, axes, logarithmic, ordered_colours, svg
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.confusion import confusion
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, quantity
from spicetrain.spiking.verification.figures import errors, subthreshold
from spicetrain.spiking.verification.spikes_file import KeptSpikes

_MOST_DOTS = 20_000


def spiking_verification_section(page: Page, kept: KeptSpikes | None, classes: tuple[str, ...]) -> Section:
    """What ngspice says of the trained network."""
    key, title = "verification", "SPICE against the model"
    frame = page.files.frame("verification.parquet", ("image", "label", "class_spice", "class_model", "mismatches"))
    if frame is None or kept is None:
        missing = Notice("The network has not been simulated in ngspice.", page.command("verify"))
        return Section(key, title, [missing])
    label, found = (frame[name].to_numpy(np.int64) for name in ("label", "class_spice"))
    drawings = [_membranes(kept), _errors(kept), _mismatches(frame), confusion(label, found, classes)]
    blocks: list[Block] = [Paragraph(_text(frame)), Gallery(drawings)]
    return Section(key, title, blocks)


def _text(frame: pd.DataFrame) -> str:
    differ = int((frame["class_model"] != frame["class_spice"]).sum())
    wrong = int((frame["class_spice"] != frame["label"]).sum())
    same = f"different classes for {count(differ, 'image')}" if differ else "the same class for every one"
    return f"{count(len(frame), 'image')}. The circuit's model and SPICE choose {same}; SPICE is wrong about {wrong:,}."


def _membranes(kept: KeptSpikes) -> Drawing:
    figure, axis = axes()
    below = subthreshold(kept.model, kept.spice)
    x, y = (
        _thinned(np.concatenate([v[where] for (_, v), where in zip(layers, below, strict=True)]))
        for layers in (kept.model, kept.spice)
    )
    axis.axline((0, 0), slope=1, color=INK, linewidth=0.7)
    axis.plot(1e3 * x, 1e3 * y, ".", color=DOTS, markersize=2.5, alpha=0.5, rasterized=True)
    axis.set(xlabel="model (mV)", ylabel="SPICE (mV)")
    axis.set_aspect("equal", "box")
    caption = (
        f"Membranes of the first {count(len(kept.inputs), 'image')}, at every latch at which the neuron fired in "
        "neither. "
        "Far off the diagonal are neurons after a spike that only one of the two had."
    )
    return Drawing(svg(figure, "SPICE membranes against the model's"), caption)


def _errors(kept: KeptSpikes) -> Drawing:
    figure, axis = axes()
    below = subthreshold(kept.model, kept.spice)
    layers = [np.abs(error[where]) for error, where in zip(errors(kept.model, kept.spice), below, strict=True)]
    every = np.concatenate(layers)
    floor = max(float(np.quantile(every, 0.001)), 1e-9) if every.size else 1e-9
    bins = np.geomspace(floor, max(float(every.max(initial=0)), 2 * floor), 40)
    for index, (error, colour) in enumerate(zip(layers, ordered_colours(len(layers)), strict=True), 1):
        axis.hist(
            np.maximum(error, floor), list(bins), histtype="step", linewidth=1.4, color=colour, label=f"layer {index}"
        )
    axis.set(xlabel="|model - SPICE|", ylabel="membranes")
    logarithmic(axis, "x", EngFormatter("V"))
    logarithmic(axis, "y")
    axis.legend()
    quantiles = " and ".join(
        f"{percent(q, 0)} below {quantity(float(np.quantile(every, q)), 'V')}" for q in (0.5, 0.99) if every.size
    )
    return Drawing(svg(figure, "Histogram of membrane errors"), f"Errors of the same membranes: {quantiles}.")


def _mismatches(frame: pd.DataFrame) -> Drawing:
    figure, axis = axes()
    numbers = np.bincount(frame["mismatches"])
    axis.bar(range(len(numbers)), numbers, color=ACCENT)
    axis.set(xlabel="spikes that only one of the two has", ylabel="images")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    none = percent(float(numbers[0] / len(frame)), 1)
    caption = f"{none} of the images have all spikes in common; the worst differs in {len(numbers) - 1}."
    return Drawing(svg(figure, "Histogram of differing spikes"), caption)


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[:: max(1, -(-values.size // _MOST_DOTS))]
