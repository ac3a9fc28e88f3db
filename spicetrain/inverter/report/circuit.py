"""The measured circuit: VTC, loads, memristor."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spicetrain.drawing import ACCENT, DIVERGING, DOTS, INK, axes, ordered_colours, svg, svg_element
from spicetrain.report.blocks import Drawing, Gallery, Notice, Paragraph, Section, Table
from spicetrain.report.page import Page
from spicetrain.report.transistors import size_text, technology_of
from spicetrain.report.units import count, quantity, resistance

# Those of the drawing as a file, and the page's.
_SCHEMATIC_COLOURS = {
    "#1c2733": "currentColor", "#5b6b7a": "var(--soft)", "#1d6fa5": "var(--accent)", "#c2571a": "var(--second)",
    "#fff": "var(--page)", "#f7f9fb": "var(--card)",
}  # fmt: skip
_CURVES = 6
_MOST_DOTS = 4000


def circuit_section(page: Page) -> Section:
    """What ngspice measured of the technology."""
    vtc = page.files.table("loaded_vtc", ("v_in_V", "g_load_S", "v_load_V", "v_out_V"))
    surface = page.files.table("current_surface", ("v_in_V", "v_out_V", "i_out_A"))
    load = page.files.table("effective_load", ("rows", "columns", "g_sum_S", "g_square_S2", "column_sum_S", "g_load_S"))
    memristor = page.files.table("memristor_iv", ("form", "g_S", "v_V", "i_A"))
    drawings: list[Drawing] = []
    if vtc is not None:
        drawings += [_unloaded(vtc), _several_conductances(vtc), _several_load_voltages(vtc)]
    if surface is not None:
        drawings.append(_current_surface(surface))
    if load is not None:
        drawings.append(_effective_load(load))
    if memristor is not None:
        drawings += [_memristor(part, str(form)) for form, part in memristor.groupby("form")]
    title = "The circuit, measured"
    if not drawings:
        missing = Notice("The technology has not been measured in this folder.", page.command("characterize"))
        return Section("circuit", title, [missing])
    text = "The unit inverter and the memristor as ngspice sees them. Everything below learns from these tables."
    return Section("circuit", title, [_schematic(), *_parts(page), Paragraph(text), Gallery(drawings)])


def _schematic() -> Gallery:
    text = files("spicetrain.inverter.report").joinpath("circuit.svg").read_text("utf-8")
    for colour, name in _SCHEMATIC_COLOURS.items():
        text = text.replace(f'"{colour}"', f'"{name}"')
    alt = "Crossbar, inverter pairs, and the next crossbar that loads them"
    caption = (
        "Every weight is two memristors, from a row pair's two lines to a column. An inverter behind each column "
        "drives the next crossbar, and is loaded by it."
    )
    return Gallery([Drawing(svg_element(text, alt), caption, wide=True)])


def _parts(page: Page) -> list[Table]:
    """A finger's transistors and the memristor's range; none where the technology is not here."""
    technology = technology_of(page)
    if technology is None:
        return []
    unit_m, device = technology.transistors.geometry_unit_m, technology.memristor
    rows = [
        ("nMOS of a finger, W / L", size_text(technology.inverter.nmos, unit_m)),
        ("pMOS of a finger, W / L", size_text(technology.inverter.pmos, unit_m)),
        ("memristor", f"{resistance(device.g_max_S)} .. {resistance(device.g_min_S)}"),
    ]
    if page.network is not None:
        sizes = [np.asarray(size) for size in page.network.sizes]
        spans = [dict.fromkeys(f"{end:g}" for end in (size.min(), size.max())) for size in sizes]
        rows.append(("fingers of an inverter, by layer", ", ".join(" .. ".join(span) for span in spans)))
    return [Table((), rows)]


def _unloaded(vtc: pd.DataFrame) -> Drawing:
    curve = vtc[vtc["g_load_S"] == vtc["g_load_S"].min()]
    curve = curve[curve["v_load_V"] == curve["v_load_V"].min()].sort_values("v_in_V")
    v_in, v_out = curve["v_in_V"].to_numpy(), curve["v_out_V"].to_numpy()
    gain = np.gradient(v_out, v_in)
    middle = (v_in[0] + v_in[-1]) / 2
    threshold = float(np.interp(-middle, -v_out, v_in))
    figure, axis = axes()
    axis.plot(1e3 * v_in, 1e3 * v_out, color=ACCENT, linewidth=1.8)
    axis.axvline(1e3 * threshold, color=INK, linewidth=0.7, linestyle=":")
    _volts(axis)
    caption = (
        f"VTC without load. It crosses mid-rail at v_in = {quantity(threshold, 'V')} (dotted) and is steepest at "
        f"{gain.min():.1f} V/V; between {quantity(float(v_out.min()), 'V')} and {quantity(float(v_out.max()), 'V')} "
        "it is the network's activation function, as long as nothing hangs on it."
    )
    return Drawing(svg(figure, "Unloaded voltage transfer curve"), caption)


def _several_conductances(vtc: pd.DataFrame) -> Drawing:
    voltages, conductances = np.unique(vtc["v_load_V"]), np.unique(vtc["g_load_S"])
    v_load = voltages[len(voltages) // 2]
    figure, axis = axes()
    chosen = _spread(conductances)
    for g, colour in zip(chosen, ordered_colours(len(chosen)), strict=True):
        label = quantity(g, "S") if g else "no load"
        _curve(axis, vtc[(vtc["g_load_S"] == g) & (vtc["v_load_V"] == v_load)], colour, label)
    _volts(axis)
    axis.legend(title="load", title_fontsize=8)
    caption = (
        f"VTC with a load to {quantity(v_load, 'V')}. A crossbar row is such a load: the curve flattens and its gain "
        "falls. A trainer that neglects this trains another circuit."
    )
    return Drawing(svg(figure, "Transfer curves under several load conductances"), caption)


def _several_load_voltages(vtc: pd.DataFrame) -> Drawing:
    conductances = np.unique(vtc["g_load_S"])
    g = conductances[int(0.55 * (len(conductances) - 1))]
    figure, axis = axes()
    chosen = _spread(np.unique(vtc["v_load_V"]), 5)
    for v_load, colour in zip(chosen, ordered_colours(len(chosen)), strict=True):
        part = vtc[(vtc["g_load_S"] == g) & (vtc["v_load_V"] == v_load)]
        _curve(axis, part, colour, quantity(v_load, "V"))
    _volts(axis)
    axis.legend(title="load to", title_fontsize=8)
    caption = (
        f"VTC with {quantity(g, 'S')} to several voltages: the other end of the load is a column, "
        "whose voltage all other rows decide, so the threshold moves from image to image."
    )
    return Drawing(svg(figure, "Transfer curves for several load voltages"), caption)


def _current_surface(table: pd.DataFrame) -> Drawing:
    grid = table.pivot_table(index="v_out_V", columns="v_in_V", values="i_out_A")
    v_in, v_out, current = 1e3 * grid.columns.to_numpy(), 1e3 * grid.index.to_numpy(), 1e6 * grid.to_numpy()
    largest = np.abs(current).max()
    figure, axis = axes()
    drawn = axis.pcolormesh(v_in, v_out, current, cmap=DIVERGING, vmin=-largest, vmax=largest, rasterized=True)
    axis.contour(v_in, v_out, current, levels=[0], colors=INK, linewidths=1.2)
    axis.grid(False)
    figure.colorbar(drawn, label="i_out (µA)").outline.set_visible(False)
    _volts(axis)
    caption = (
        "Current out of one finger's output. On the line it is zero: that is the VTC. Away from it the inverter "
        f"delivers or takes up to {quantity(1e-6 * largest, 'A')}, which is all it has to drive a crossbar."
    )
    return Drawing(svg(figure, "Map of the inverter's output current"), caption)


def _effective_load(table: pd.DataFrame) -> Drawing:
    part = table.sample(min(len(table), _MOST_DOTS), random_state=0)
    feedback = (part["g_square_S2"] / (part["g_sum_S"] * part["column_sum_S"])).to_numpy()
    ratio = (part["g_load_S"] / part["g_sum_S"]).to_numpy()
    figure, axis = axes()
    axis.axline((0, 1), slope=-1, color=INK, linewidth=0.7)
    axis.plot(feedback, ratio, ".", color=DOTS, markersize=2, alpha=0.6, rasterized=True)
    axis.set(xlabel="share of a column's conductance that is the row's own", ylabel="g_load / sum of the row")
    shapes = len(part[["rows", "columns"]].drop_duplicates())
    caption = (
        f"What a row's driver sees, measured on crossbars of {count(shapes, 'shape')}: the columns follow the row, so "
        f"the load is below the row's sum (ratio 1), down to {ratio.min():.2f} of it. Line: one minus the share."
    )
    return Drawing(svg(figure, "Effective load conductance of crossbar rows"), caption)


def _memristor(table: pd.DataFrame, form: str) -> Drawing:
    figure, axis = axes()
    conductances = _spread(np.unique(table["g_S"]))
    for g, colour in zip(conductances, ordered_colours(len(conductances)), strict=True):
        part = table[table["g_S"] == g].sort_values("v_V")
        axis.plot(1e3 * part["v_V"], 1e6 * part["i_A"], color=colour, label=resistance(g))
    axis.set(xlabel="v (mV)", ylabel="i (µA)")
    axis.legend()
    caption = (
        f"I-V of the memristor ({form}) from {resistance(conductances[-1])} to {resistance(conductances[0])}: "
        "the range in which weights are programmed."
    )
    return Drawing(svg(figure, f"Memristor current over voltage, {form}"), caption)


def _curve(axis: Axes, part: pd.DataFrame, colour: Any, label: str) -> None:
    part = part.sort_values("v_in_V")
    axis.plot(1e3 * part["v_in_V"], 1e3 * part["v_out_V"], color=colour, label=label)


def _volts(axis: Axes) -> None:
    axis.set(xlabel="v_in (mV)", ylabel="v_out (mV)")


def _spread(values: np.ndarray, number: int = _CURVES) -> np.ndarray:
    """Some of the sorted values, the first and the last among them."""
    return values[np.unique(np.linspace(0, len(values) - 1, number).round().astype(int))]
