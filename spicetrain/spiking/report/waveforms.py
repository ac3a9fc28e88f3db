"""Membranes in time: ngspice against the model, of chosen neurons of one image; also as a file of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spicetrain.drawing import ACCENT, GRID, INK, SECOND, STYLE, svg
from spicetrain.errors import ConfigurationError
from spicetrain.report.blocks import Drawing, Gallery, Notice, Paragraph, Section
from spicetrain.report.interactive import Column, Curves, Panel, Plot
from spicetrain.report.page import Page
from spicetrain.report.units import quantity
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.report.circuit import thresholds_V
from spicetrain.spiking.verification.spikes_file import SPIKES, KeptSpikes, read_spikes
from spicetrain.storage import write_atomic

_COLUMNS = ("image", "layer", "neuron", "time_s", "membrane_V", "spike")
_TITLE = "Membranes in ngspice against the model"
# What the page's variables are in a file that stands alone.
_ALONE = {"currentColor": "#1c2733", "var(--rule)": "#dde3e4", "var(--accent)": "#0b7a82", "var(--second)": "#c05f00"}


def latched_spikes(page: Page) -> KeptSpikes | None:
    """spikes.npz of the run; StorageError when it is not of its network."""
    path = page.files.path(SPIKES)
    return None if path is None else read_spikes(path, page.experiment.network.layers)


def waveforms_section(page: Page, kept: KeptSpikes | None) -> Section:
    """Of every image whose waveforms were kept, a drawing."""
    key, title = "waveforms", "Waveforms, SPICE against the model"
    waves = page.files.frame("waveforms.parquet", _COLUMNS)
    if waves is None or kept is None:
        missing = Notice("No waveforms were kept of this network.", page.command("verify"))
        return Section(key, title, [missing])
    circuit, thresholds = page.experiment.circuit.load(), thresholds_V(page)
    text = (
        "Line: the membrane in ngspice. Dots: where the model has it at each latch. Dotted: the threshold. Ticks "
        "above: spikes, of ngspice and, beside them, of the model. Shaded: the integrate phases of the layer. Of each "
        "layer the neuron that fires most and, of those that stay silent, the one that comes nearest to firing; of "
        "outputs that only integrate, which have no threshold, the two that are highest at the last latch."
    )
    drawings = [
        Drawing(
            svg(_draw(part, kept, circuit, thresholds, _integrator(page)), _TITLE),
            _caption(int(image), part, kept),
            wide=True,
            plot=_plot(part, kept, circuit, thresholds, _integrator(page)),
        )
        for image, part in waves.groupby("image")
        if int(image) < len(kept.inputs)
    ]
    return Section(key, title, [Paragraph(text), Gallery(drawings)])


def write_waveform_svg(page: Page, path: Path, image: int = 0) -> None:
    """The waveforms of one image of a run folder as an SVG file that stands alone.

    ConfigurationError when none were kept of it; StorageError when an artefact is damaged or the file cannot be
    written.
    """
    kept, waves = latched_spikes(page), page.files.frame("waveforms.parquet", _COLUMNS)
    if kept is None or waves is None or image not in set(waves["image"]) or image >= len(kept.inputs):
        raise ConfigurationError(
            f"{page.files} holds no waveforms of test image {image}: verify with verification.waveform_images at least "
            f"{image + 1}."
        )
    with rc_context(STYLE):
        figure = _draw(
            waves[waves["image"] == image], kept, page.experiment.circuit.load(), thresholds_V(page), _integrator(page)
        )
        picture = svg(figure, _TITLE)
    with write_atomic(path) as temporary:
        temporary.write_text(_alone(picture), encoding="utf-8")


def _integrator(page: Page) -> int | None:
    """The layer that does not fire; None: all do."""
    shape: SpikingNetworkSettings = page.experiment.network
    return shape.integrator


def _plot(
    waves: pd.DataFrame,
    kept: KeptSpikes,
    circuit: SpikingCircuit,
    thresholds: Sequence[float],
    integrator: int | None,
) -> Plot:
    """A panel a neuron, as they are drawn."""
    image, panels = int(waves["image"].iloc[0]), []
    for (layer, neuron), part in waves.groupby(["layer", "neuron"], sort=False):
        time_ns = 1e9 * part["time_s"].to_numpy()
        spice = Curves(time_ns, [Column("ngspice", 1e3 * part["membrane_V"], "mV")])
        model_spikes, model_V = (array[image, :, neuron] for array in kept.model[layer])
        columns = [
            Column("model at the latch", 1e3 * model_V, "mV", "dots", "second"),
            Column("spike, ngspice", kept.spice[layer][0][image, :, neuron], "", "ticks", "accent"),
            Column("spike, model", model_spikes, "", "ticks", "second"),
        ]
        latch_ns = _latch_ns(circuit, layer, len(model_V))
        latched = Curves(latch_ns, columns)
        level = [1e3 * thresholds[layer]] * 2
        threshold = Curves(time_ns[[0, -1]], [Column("threshold", level, "mV", "dotted", "ink")])
        curves = [spice, latched, *([] if layer == integrator else [threshold])]
        integrates = [(latch - 1e9 * circuit.clock.integrate_s, latch) for latch in latch_ns]
        panels.append(Panel(curves, "mV", _neuron(layer, neuron, len(kept.model)), shaded=integrates))
    about = f"{_TITLE}, test image {image}; drag or + and - to zoom in time, 0 for all of it, arrow keys to go along"
    return Plot(about, "time", panels, "ns")


def _latch_ns(circuit: SpikingCircuit, layer: int, steps: int) -> np.ndarray:
    """When a layer's spikes are latched, [steps]."""
    return 1e9 * ((layer + np.arange(steps)) * circuit.clock.step_s + circuit.clock.integrate_s)


def _neuron(layer: int, neuron: int, layers: int) -> str:
    return f"{'output' if layer == layers - 1 else f'layer {layer + 1}'}, neuron {neuron}"


def _draw(
    waves: pd.DataFrame,
    kept: KeptSpikes,
    circuit: SpikingCircuit,
    thresholds: Sequence[float],
    integrator: int | None,
) -> Figure:
    neurons = list(dict.fromkeys(zip(waves["layer"], waves["neuron"], strict=True)))
    figure = Figure((9.4, 0.5 + 1.35 * len(neurons)), layout="constrained", dpi=130)
    image = int(waves["image"].iloc[0])
    panels = figure.subplots(len(neurons), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (layer, neuron) in zip(panels, neurons, strict=True):
        part = waves[(waves["layer"] == layer) & (waves["neuron"] == neuron)]
        _panel(axis, part, kept, image, circuit, None if layer == integrator else thresholds[layer])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    panels[-1].set_xlabel("time (ns)")
    return figure


def _panel(
    axis: Axes, part: pd.DataFrame, kept: KeptSpikes, image: int, circuit: SpikingCircuit, threshold_V: float | None
) -> None:
    layer, neuron = int(part["layer"].iloc[0]), int(part["neuron"].iloc[0])
    model_spikes, model_V = (array[image, :, neuron] for array in kept.model[layer])
    spice_spikes = kept.spice[layer][0][image, :, neuron]
    starts_s = (layer + np.arange(len(model_V))) * circuit.clock.step_s
    latch_ns = _latch_ns(circuit, layer, len(model_V))
    for start in starts_s:
        axis.axvspan(1e9 * start, 1e9 * (start + circuit.clock.integrate_s), color=GRID, alpha=0.35, linewidth=0)
    axis.plot(1e9 * part["time_s"], 1e3 * part["membrane_V"], color=ACCENT, linewidth=1.2, label="ngspice")
    axis.plot(latch_ns, 1e3 * model_V, "o", color=SECOND, markersize=3.5, label="model at the latch")
    if threshold_V is not None:
        axis.axhline(1e3 * threshold_V, color=INK, linewidth=0.8, linestyle=":", label="threshold")
    _ticks(axis, latch_ns, spice_spikes, ACCENT, 0.0)
    _ticks(axis, latch_ns, model_spikes, SECOND, 2.0)
    axis.grid(False)
    axis.margins(x=0.01)
    axis.set_title(_neuron(layer, neuron, len(kept.model)), loc="left", pad=12)
    axis.set_ylabel("mV")


def _ticks(axis: Axes, latch_ns: np.ndarray, spikes: np.ndarray, colour: str, right: float) -> None:
    """Above the panel, `right` points beside the latch so that both stay visible."""
    for time in latch_ns[spikes]:
        axis.annotate(
            "|", (time, 1.0), xycoords=("data", "axes fraction"), xytext=(right, 1.0), textcoords="offset points",
            color=colour, fontsize=8, fontweight="bold", ha="center", va="bottom", annotation_clip=False,
        )  # fmt: skip


def _caption(image: int, part: pd.DataFrame, kept: KeptSpikes) -> str:
    worst = 0.0
    for layer, neuron in set(zip(part["layer"], part["neuron"], strict=True)):
        below = ~(kept.model[layer][0] | kept.spice[layer][0])[image, :, neuron]
        error = np.abs(kept.model[layer][1] - kept.spice[layer][1])[image, :, neuron]
        worst = max(worst, float(error[below].max(initial=0)))
    return (
        f"Test image {image}, {quantity(float(part['time_s'].max()), 's')}. Of these neurons model and ngspice differ "
        f"by {quantity(worst, 'V')} at most where neither fires."
    )


def _alone(picture: Markup) -> str:
    """With a name space, plain colours, and a ground to stand on, light in either theme."""
    text = str(picture)
    for variable, colour in _ALONE.items():
        text = text.replace(variable, colour)
    box = re.search(r'viewBox="([^"]*)"', text)
    x, y, width, height = box[1].split() if box else ("0", "0", "100%", "100%")
    ground = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="#f7f9fb"/>'
    inside = text.index(">") + 1
    opening = text[:inside].replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    )
    return f"{opening}<title>{_TITLE}</title>{ground}{text[inside:]}\n"
