"""Chips: how a network fares on many of them, and which source of variation costs how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from spicetrain.drawing import ACCENT, INK, SECOND, axes, svg
from spicetrain.report.blocks import Block, Drawing, Figures, Gallery, Notice, Paragraph, Section, Table
from spicetrain.report.interactive import Column, Curves, Panel, Plot
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, quantity
from spicetrain.verification.chips import CHIPS, ChipFigures

if TYPE_CHECKING:
    import pandas as pd

KEY, TITLE = "chips", "Chips"
_MOST_BINS = 30
_SUGGESTED = 20
_ALL = "all together"


def chips_section(page: Page, figures: ChipFigures | None, worst: Sequence[Block] = ()) -> Section:
    """What a verification says of many chips, with chips.parquet; `worst`: what the system shows of the worst one."""
    if figures is None:
        text = (
            "All this is of the nominal circuit. No two chips are like it: what mismatch of the transistors and errors "
            "of the memristors leave of the accuracy, and on how many chips, has not been looked at."
        )
        return Section(KEY, TITLE, [Notice(text, f"{page.command('verify')} --chips {_SUGGESTED}")])
    blocks: list[Block] = [Figures(_tiles(figures)), Paragraph(_text(figures))]
    if figures.extrapolated:
        beyond = f"The gates of {count(figures.extrapolated, 'transistor')} can be shifted further than was measured."
        blocks.append(Notice(f"{beyond} The model extrapolates there."))
    table = page.files.frame(CHIPS, ("chip", "accuracy_model"))
    drawings = []
    if table is not None:
        accuracy = table["accuracy_model"].to_numpy(np.float64)
        drawings = [_histogram(accuracy, figures), _yield(accuracy, figures), _sorted(table, figures)]
    blocks.append(Gallery([*drawings, _sources(figures)]))
    blocks.append(Table((), _varied(figures.variation), "What varied from chip to chip."))
    if figures.by_condition:
        rows = [
            (name, percent(one.accuracy_mean), percent(one.accuracy_min)) for name, one in figures.by_condition.items()
        ]
        blocks.append(Table(("variation", "mean", "worst"), rows, "The same chips under further variations."))
    blocks += [] if table is None else _simulated(table)
    return Section(KEY, TITLE, [*blocks, *worst])


def _tiles(figures: ChipFigures) -> list[tuple[str, str, str]]:
    tiles = [
        (percent(figures.accuracy_mean), "mean accuracy",
         f"{count(figures.count, 'chip')}, {percent(figures.nominal)} when nothing varies"),
        (percent(figures.accuracy_min), "worst chip", f"number {figures.worst}"),
        (percent(figures.yield_, 1), "yield", f"chips that reach {percent(figures.yield_accuracy, 1)}"),
        (percent(figures.accuracy_p10), "nine of ten reach", f"standard deviation {percent(figures.accuracy_std)}"),
    ]  # fmt: skip
    if figures.simulated and figures.simulated_agreement is not None:
        what = f"model and SPICE, {count(figures.simulated, 'chip')}"
        tiles.append((percent(figures.simulated_agreement), "agreement on chips", what))
    if figures.simulated_error_mean_V is not None and figures.simulated_error_max_V is not None:
        largest = f"largest {quantity(figures.simulated_error_max_V, 'V')}"
        tiles.append((quantity(figures.simulated_error_mean_V, "V"), "mean output error", largest))
    if figures.simulated_flat_max_V is not None:
        tiles.append(
            (quantity(figures.simulated_flat_max_V, "V"), "flat netlist off by", "the first chip, every device")
        )
    if figures.simulated_spike_agreement is not None:
        tiles.append((percent(figures.simulated_spike_agreement, 3), "spike agreement", "the same chips"))
    return tiles


def _text(figures: ChipFigures) -> str:
    last = figures.first + figures.count - 1
    return (
        f"The same network programmed into chips {figures.first} to {last}, {count(figures.images, 'image')} each, in "
        "the model that knows every transistor and device of a chip. A chip is a number: the same one can be drawn "
        "again at any time. "
        + (
            f"The first {figures.simulated} of them were simulated in ngspice too, with the same errors."
            if figures.simulated
            else "None of them was simulated in ngspice (--chips-simulated)."
        )
    )


def _legend_above(axis: Any) -> None:
    """Where no bar and no curve can be."""
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)


def _percent_axis(axis: Any, which: str, label: str) -> None:
    one = axis.xaxis if which == "x" else axis.yaxis
    one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set(**{f"{which}label": f"{label} (%)"})


def bins_of(accuracy: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    """Edges of bins that hold all accuracies [chips] of so many images; between two images, so that none is split."""
    low, spread = float(accuracy.min()), round(float(np.ptp(accuracy)) * images)
    wanted = min(_MOST_BINS, max(10, 3 * int(np.sqrt(len(accuracy)))))
    step = -(-(spread + 1) // wanted)
    return low + (step * np.arange(spread // step + 2) - 0.5) / images


def _histogram(accuracy: NDArray[np.float64], figures: ChipFigures) -> Drawing:
    figure, axis = axes()
    axis.hist(100 * accuracy, list(100 * bins_of(accuracy, figures.images)), color=ACCENT, alpha=0.75)
    axis.axvline(100 * figures.nominal, color=INK, linewidth=1.0, linestyle=":", label="nominal")
    axis.axvline(100 * figures.accuracy_mean, color=SECOND, linewidth=1.4, label="mean")
    _percent_axis(axis, "x", "accuracy")
    axis.set_ylabel("chips")
    axis.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    _legend_above(axis)
    caption = (
        f"Accuracy of {count(figures.count, 'chip')} in the model. Dotted: the nominal circuit, which nobody builds; "
        f"the mean is {_points(figures.nominal - figures.accuracy_mean)} below it."
    )
    return Drawing(svg(figure, "Histogram of the accuracy over chips"), caption)


def _yield(accuracy: NDArray[np.float64], figures: ChipFigures) -> Drawing:
    ordered = np.sort(accuracy)
    share = 1 - np.arange(len(ordered)) / len(ordered)
    figure, axis = axes()
    thresholds = 100 * np.concatenate([[ordered[0] - 0.02], ordered, [ordered[-1]]])
    axis.step(thresholds, 100 * np.concatenate([[1.0], share, [0.0]]), where="pre", color=ACCENT)
    axis.axvline(100 * figures.yield_accuracy, color=SECOND, linewidth=1.0, linestyle="--", label="asked for")
    axis.plot(100 * figures.yield_accuracy, 100 * figures.yield_, "o", color=SECOND, markersize=5)
    axis.axvline(100 * figures.nominal, color=INK, linewidth=1.0, linestyle=":", label="nominal")
    _percent_axis(axis, "x", "accuracy that is asked for")
    _percent_axis(axis, "y", "yield")
    axis.set_ylim(-4, 104)
    _legend_above(axis)
    half = float(np.quantile(accuracy, 0.5))
    caption = (
        f"Share of chips that reach an accuracy: {percent(figures.yield_, 1)} reach "
        f"{percent(figures.yield_accuracy, 1)} (amber), half of them {percent(half)}."
    )
    return Drawing(svg(figure, "Yield against the accuracy that is asked for"), caption)


def _sorted(table: pd.DataFrame, figures: ChipFigures) -> Drawing:
    """Every chip, the worst one first; those that were simulated also as ngspice has them."""
    table = table.sort_values(["accuracy_model", "chip"])
    place, model = np.arange(1, len(table) + 1), 100 * table["accuracy_model"].to_numpy(np.float64)
    columns = [Column("chip", table["chip"], drawn=None), Column("model", model, "%")]
    figure, axis = axes()
    axis.plot(place, model, color=ACCENT, marker="o", markersize=2.5, label="model")
    if "accuracy_spice" in table and table["accuracy_spice"].notna().any():
        spice = 100 * table["accuracy_spice"].to_numpy(np.float64)
        axis.plot(place, spice, "o", color=SECOND, markersize=5, label="ngspice")
        columns.append(Column("ngspice", spice, "%", "dots", "second"))
        _legend_above(axis)
    axis.axhline(100 * figures.nominal, color=INK, linewidth=1.0, linestyle=":")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axis.set_xlabel("chips, the worst one first")
    _percent_axis(axis, "y", "accuracy")
    ends = np.unique(place[[0, -1]])
    nominal = Column("nominal", np.full(len(ends), 100 * figures.nominal), "%", "dotted", "ink")
    panel = Panel([Curves(place, columns), Curves(ends, [nominal])], "accuracy (%)")
    about = "Accuracy of every chip, the worst one first; arrow keys go from chip to chip"
    caption = "Accuracy of every chip, the worst one first. Dotted: the nominal circuit."
    return Drawing(svg(figure, "Accuracy of every chip"), caption, plot=Plot(about, "place", [panel]))


def _sources(figures: ChipFigures) -> Drawing:
    nominal = figures.nominal
    costs = {
        name.replace("_", " "): (nominal - one.accuracy_mean, nominal - one.accuracy_min)
        for name, one in figures.by_source.items()
    }
    costs = dict(sorted(costs.items(), key=lambda item: item[1]))
    costs[_ALL] = nominal - figures.accuracy_mean, nominal - figures.accuracy_min
    mean, most = (100 * np.array(values) for values in zip(*costs.values(), strict=True))
    figure, axis = axes(4.6, 1.3 + 0.38 * len(costs))
    places = np.arange(len(costs))[::-1]
    axis.barh(places, mean, height=0.55, color=ACCENT, alpha=0.75, label="mean")
    axis.plot(most, places, "|", color=SECOND, markersize=14, markeredgewidth=2.2, label="worst chip")
    axis.set_yticks(places, list(costs))
    axis.grid(False, axis="y")
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_xlabel("accuracy lost (points)")
    _legend_above(axis)
    caption = "What a source costs when it varies alone, on the same chips, and what all of them cost together."
    if not figures.by_source:
        caption = "What the chips cost; by which source is not known, or there is only one."
    elif _leading(figures) is not None:
        caption += f" Most of it is {_leading(figures)}."
    return Drawing(svg(figure, "Accuracy lost to each source of variation"), caption)


def _leading(figures: ChipFigures) -> str | None:
    """The source that costs twice as much as any other, if there is one."""
    lost = sorted((figures.nominal - one.accuracy_mean, name) for name, one in figures.by_source.items())
    if len(lost) < 2 or lost[-1][0] <= 2 * max(lost[-2][0], 0.0):
        return None
    return lost[-1][1].replace("_", " ")


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _varied(variation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row a source, as the summary says them."""
    facts, rows = dict(variation), []
    mismatch, scale = facts.pop("mismatch", None), facts.pop("mismatch_scale", 1.0)
    time_s, threshold_V = facts.pop("time_s", 0.0), facts.pop("threshold_sigma_V", 0.0)
    if mismatch is not None:
        rows.append(("transistors", _mismatch(mismatch, scale)))
    if threshold_V:
        rows.append(("thresholds of neurons", f"sigma {quantity(threshold_V, 'V')}"))
    for name, fact in facts.items():
        if fact is not None and (name != "drift" or time_s):
            given = fact.items() if isinstance(fact, Mapping) else [("", fact)]
            rows.append((name.replace("_", " "), ", ".join(f"{key} {_plain(of)}".strip() for key, of in given)))
    if time_s:
        rows.append(("since programming", quantity(time_s, "s")))
    return rows


def _mismatch(mismatch: Mapping[str, Any], scale: float) -> str:
    parts = []
    for kind, name in (("nmos", "nMOS"), ("pmos", "pMOS")):
        beta = mismatch[kind]["A_beta_m"]
        of_beta = f", A_beta {100e6 * beta:.3g} % µm" if beta else ""
        parts.append(f"{name} A_VT {1e9 * mismatch[kind]['A_VT_Vm']:.3g} mV µm{of_beta}")
    sense = "one transistor" if mismatch["convention"] == "single" else "the difference of a pair"
    return f"{'; '.join(parts)}, as of {sense}" + (f", times {scale:g}" if scale != 1 else "")


def _plain(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_plain(part) for part in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_COLUMNS = {
    "accuracy_model": ("accuracy, model", percent),
    "accuracy_spice": ("accuracy, SPICE", percent),
    "agreement": ("agreement", percent),
    "error_mean_V": ("mean error", lambda value: quantity(value, "V")),
    "error_max_V": ("largest error", lambda value: quantity(value, "V")),
    "spike_agreement": ("spike agreement", lambda value: percent(value, 3)),
}


def _simulated(table: pd.DataFrame) -> list[Block]:
    if "accuracy_spice" not in table or table["accuracy_spice"].isna().all():
        return []
    chosen = table[table["accuracy_spice"].notna()]
    shown = {name: how for name, how in _COLUMNS.items() if name in chosen and chosen[name].notna().any()}
    rows = [
        (str(row["chip"]), *(show(float(row[name])) for name, (_, show) in shown.items()))
        for row in chosen.to_dict("records")
    ]
    caption = "Chips in ngspice, every transistor and device with the errors that the model was told."
    return [Table(("chip", *(title for title, _ in shown.values())), rows, caption)]
