"""Energy and delay: the figures, one transition drawn, hold times of all images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter

from spicetrain.drawing import ACCENT, DOTS, INK, SECOND, axes, ordered_colours, svg
from spicetrain.inverter.verification.summary import EnergyFigures
from spicetrain.report.blocks import Block, Drawing, Figures, Gallery, Notice, Paragraph, Section
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, quantity

_SHOWN = 2.0  # hold times of a waveform that are drawn


def energy_section(page: Page) -> Section:
    """What the transient of a verification with [energy] says."""
    key, title = "energy", "Energy and delay"
    energy = page.summary and page.summary.energy
    if energy is None:
        text = "Energy and delay have not been measured: give the number of images to present one after the other."
        return Section(key, title, [Notice(text, f"{page.command('verify')} --energy-images 20")])
    blocks: list[Block] = [Figures(_tiles(energy)), Paragraph(_text(energy))]
    images = page.files.frame("transient.parquet", ("image", "hold_time_s", "energy_J"))
    waves = page.files.frame("waveforms.parquet", ("image", "time_s", "power_W", "o_0_V"))
    drawings = [] if waves is None else [_outputs(waves, energy), _power(waves, energy)]
    drawings += [] if images is None else [_hold_times(images, energy)]
    return Section(key, title, [*blocks, Gallery(drawings)])


def _tiles(energy: EnergyFigures) -> list[tuple[str, str, str]]:
    median, images = quantity(energy.hold_time_median_s, "s"), count(energy.images, "image")
    return [
        (quantity(energy.energy_per_inference_J, "J"), "energy per inference", f"both rails, mean of {images}"),
        (quantity(energy.hold_time_s, "s"), "hold time", f"the worst; median {median}"),
        (quantity(energy.static_power_W, "W"), "static power", "both rails, mean"),
        (quantity(energy.source_power_W, "W"), "source power", "into the first crossbar, not in the energy"),
    ]


def _text(energy: EnergyFigures) -> str:
    farads = {"crossbar column": energy.column_capacitance_F, "inverter output": energy.row_capacitance_F}
    farads |= {"segment of a row's wire": energy.row_F, "segment of a column's wire": energy.column_F}
    wires = [f"{quantity(farad, 'F')} at every {where}" for where, farad in farads.items() if farad]
    added = f"the transistors' own and {' and '.join(wires)}" if wires else "the transistors' own only, no wires"
    return (
        f"Each image is held until the last output stays within {percent(energy.settled, 0)} of its step (steps "
        f"below {quantity(energy.step_min_V, 'V')} are not waited for; {energy.steps:,} were). "
        f"Capacitances: {added}. The sources would give another {quantity(energy.source_energy_J, 'J')} in that "
        f"time. {energy.fingers:,.6g} inverter fingers in all."
    )


def _first(waves: pd.DataFrame, energy: EnergyFigures) -> pd.DataFrame:
    """The first image, as long as it is worth looking at."""
    stop = _SHOWN * energy.hold_time_s or energy.period_s
    return waves[(waves["image"] == waves["image"].iloc[0]) & (waves["time_s"] <= stop)]


def _outputs(waves: pd.DataFrame, energy: EnergyFigures) -> Drawing:
    first = _first(waves, energy)
    names = [name for name in first if str(name).startswith("o_")]
    figure, axis = axes()
    axis.axvspan(0, energy.edge_s, color=SECOND, linewidth=0)
    for name, colour in zip(names, ordered_colours(len(names)), strict=True):
        axis.plot(first["time_s"], 1e3 * first[name], color=colour)
    axis.axvline(energy.hold_time_s, color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="time from the edge", ylabel="outputs (mV)")
    axis.xaxis.set_major_formatter(EngFormatter("s"))
    caption = (
        f"All outputs from the edge of the rows (amber, {quantity(energy.edge_s, 's')}) towards the first image on. "
        "Dotted: the hold time, which the slowest output of the slowest image sets."
    )
    return Drawing(svg(figure, "Outputs settling after an edge"), caption)


def _power(waves: pd.DataFrame, energy: EnergyFigures) -> Drawing:
    first = _first(waves, energy)
    figure, axis = axes()
    axis.plot(first["time_s"], first["power_W"], color=ACCENT)
    axis.axvline(energy.hold_time_s, color=INK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="time from the edge", ylabel="power of both rails")
    for one, unit in ((axis.xaxis, "s"), (axis.yaxis, "W")):
        one.set_major_formatter(EngFormatter(unit))
    static_J = energy.static_power_W * energy.hold_time_s
    share = f": static power alone would give {quantity(static_J, 'J')}" if static_J else ""
    caption = f"Both rails meanwhile. Its integral up to the dotted line is the energy of this image{share}."
    return Drawing(svg(figure, "Power of both rails after an edge"), caption)


def _hold_times(images: pd.DataFrame, energy: EnergyFigures) -> Drawing:
    figure, axis = axes()
    axis.plot(images["hold_time_s"], images["energy_J"], ".", color=DOTS, markersize=6)
    axis.set(xlabel="time until its outputs stand", ylabel="energy over the hold time")
    axis.xaxis.set_major_formatter(EngFormatter("s"))
    axis.yaxis.set_major_formatter(EngFormatter("J"))
    spread = np.ptp(images["energy_J"]) / max(float(images["energy_J"].mean()), 1e-30)
    caption = f"A dot an image. All are held for the slowest one; energies lie within {percent(float(spread), 0)}."
    return Drawing(svg(figure, "Energy over settling time of each image"), caption)
