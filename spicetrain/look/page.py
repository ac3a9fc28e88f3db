"""The look as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib import rc_context

from spicetrain.drawing import ACCENT, SECOND, STYLE, axes, ordered_colours, svg
from spicetrain.look.measure import Look, Vtc
from spicetrain.look.verdict import Row
from spicetrain.netlists.cells import Kind
from spicetrain.report.blocks import Drawing, Gallery, Section, Table
from spicetrain.report.page import render
from spicetrain.report.units import quantity
from spicetrain.technology import Technology


def page_of(technology: Technology, rows: list[Row], look: Look) -> str:
    """One HTML file that needs nothing else."""
    with rc_context(STYLE):
        families: list[tuple[str, Mapping[Any, Vtc], Callable[[Any], str], str]] = [
            ("load", look.loads, lambda S: quantity(S, "S") if S else "none", "A conductance to mid-rail, one finger."),
            ("corner", look.corners, str, "The library's corners."),
            ("temperature", look.temperatures, lambda T: f"{T:g} °C", "Same rails, same sizes."),
            ("supply", look.supplies, lambda factor: f"{factor:g} x", "Of the rails' distance."),
        ]
        drawings = [_output(technology, look), *(_vtcs(*family) for family in families if family[1])]
        figures = [
            (f"{what} {name(key)}", quantity(vtc.switches_at_V, "V"), f"{vtc.gain:.3g}", quantity(vtc.leakage_A, "A"))
            for what, curves, name, _ in families
            for key, vtc in curves.items()
        ]
    sections = [
        Section("verdict", "Verdict", [Table(("question", "", "answer", "advice"), [_cells(row) for row in rows])]),
        Section("curves", "Transistors and inverter", [Gallery(drawings)]),
        Section(
            "figures", "The inverter under each condition",
            [Table(("condition", "switches at", "gain", "leakage, input at a rail"), figures)],
        ),
    ]  # fmt: skip
    return render(f"Technology {technology.name}", technology.name, sections)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.what, row.state, row.figure, row.advice


def _output(technology: Technology, look: Look) -> Drawing:
    figure, plot = axes()
    colours: dict[Kind, str] = {"nmos": ACCENT, "pmos": SECOND}
    for kind, colour in colours.items():
        for k, (v, i) in enumerate(look.output[kind].values()):
            label = f"{kind}, {getattr(technology.transistors, kind)}" if k == 0 else None
            plot.plot(v, abs(i) * 1e6, color=colour, label=label)
    plot.set(xlabel="drain, V", ylabel="current of a finger, µA")
    plot.legend()
    return Drawing(
        svg(figure, "output curves of both transistors"), "Source at its rail, the gate in five equal steps."
    )


def _vtcs(what: str, curves: Mapping[Any, Vtc], name: Callable[[Any], str], caption: str) -> Drawing:
    figure, plot = axes()
    for (key, vtc), colour in zip(curves.items(), ordered_colours(len(curves)), strict=True):
        plot.plot(vtc.v_in_V, vtc.v_out_V, color=colour, label=name(key))
    plot.set(xlabel="v_in, V", ylabel="v_out, V", title=f"VTC over {what}")
    plot.legend()
    return Drawing(svg(figure, f"VTC over {what}"), caption)
