"""The results as tables of text, the same ones for the page, for Markdown and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from spicetrain.compare.cells import Cell
from spicetrain.compare.definition import label
from spicetrain.compare.published import LATIM_ENERGY_SAVED, LATIM_ERROR_RATIOS
from spicetrain.report.blocks import Table
from spicetrain.report.units import percent, quantity, seconds

Show = Callable[[float], str]
Column = tuple[str, str, Show]  # title, column of the table, how its values are shown
Told = Callable[[pd.DataFrame], str]

REFERENCE = "kcl"


def of_dataset(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    return frame[frame["dataset"] == dataset]


def names_in(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["cell"]))


def results(frame: pd.DataFrame, dataset: str) -> Table:
    """How right every cell name is: mean over its seeds, and the range when there are several."""
    ours = of_dataset(frame, dataset)
    shown: list[Column] = [
        ("accuracy, model", "accuracy_model", percent),
        ("circuit model", "accuracy_circuit_model", percent),
        ("accuracy, SPICE", "accuracy_spice", percent),
        ("agreement", "agreement", percent),
        ("spike agreement", "spike_agreement", percent),
        ("membrane, rms", "membrane_rms_V", _volts),
        ("error, mean", "error_mean_V", _volts),
        ("error, rms", "error_rms_V", _volts),
        ("error, max", "error_max_V", _volts),
        ("unconverged", "solver_unconverged", _number),
    ]
    always = ("accuracy_model", "accuracy_spice")
    shown = [column for column in shown if column[1] in always or ours[column[1]].notna().any()]
    images = ours["images"].dropna()
    of = f", {int(images.max()):,} test images in ngspice" if len(images) else ""
    caption = f"{dataset}{of}. Mean over seeds; the range in brackets where there are several."
    return _by_name(ours, shown, caption, ("seeds", _state))


def costs(frame: pd.DataFrame, dataset: str) -> Table:
    """What every cell name takes, in the circuit and to train."""
    ours = of_dataset(frame, dataset)
    shown: list[Column] = [
        ("energy per inference", "energy_per_inference_J", lambda value: quantity(value, "J")),
        ("hold time", "hold_time_s", lambda value: quantity(value, "s")),
        ("static power", "static_power_W", lambda value: quantity(value, "W")),
        ("source power", "source_power_W", lambda value: quantity(value, "W")),
        ("fingers", "fingers", _number),
        ("training", "training_seconds", seconds),
        ("verification", "verify_seconds", seconds),
    ]
    shown = [column for column in shown if ours[column[1]].notna().any()]
    caption = f"{dataset}: what it costs, in the circuit and on this machine."
    sized = ours["inverter_sizes"].notna().any()
    return _by_name(ours, shown, caption, ("fingers, by layer", _sizes) if sized else ("seeds", _state))


def searches(cells: Sequence[Cell], dataset: str) -> Table | None:
    """Every tried value of a setting that was chosen by validation; None when nothing was."""
    rows = []
    for name, cell in {cell.name: cell for cell in cells if cell.dataset == dataset}.items():
        found = cell.search() or {"trials": []}
        for trial in found["trials"]:
            chosen = "chosen" if trial["value"] == found["chosen"] else ""
            own, circuit = percent(trial["accuracy_model"]), percent(trial["accuracy_circuit"])
            rows.append((name, f"{found['setting']} = {label(trial['value'])}", own, circuit, chosen))
    head = ("cell", "tried", "accuracy, model", "accuracy, circuit", "")
    caption = (
        f"{dataset}: settings chosen by validation, on training images kept out, in the circuit as kcl predicts it."
    )
    return Table(head, rows, caption) if rows else None


def _by_name(ours: pd.DataFrame, shown: Sequence[Column], caption: str, first: tuple[str, Told]) -> Table:
    """A row a cell name: what `first` tells of its cells, then mean and range of the columns."""
    rows = []
    for name in names_in(ours):
        cells = ours[ours["cell"] == name]
        rows.append((name, first[1](cells), *(spread(cells[column], show) for _, column, show in shown)))
    return Table(("cell", first[0], *(title for title, _, _ in shown)), rows, caption)


def ratios(frame: pd.DataFrame, cross: pd.DataFrame, dataset: str) -> Table | None:
    """How many times larger a method's mean output error is than kcl's; None without a verified kcl cell."""
    ours, crossed = of_dataset(frame, dataset), of_dataset(cross, dataset)
    reference = reference_cell(ours)
    if reference is None:
        return None
    kcl_V = ours[ours["cell"] == reference]["error_mean_V"].mean()
    rows = []
    for name in names_in(ours):
        cells = ours[ours["cell"] == name]
        method, own_V = str(cells["method"].iloc[0]), cells["error_mean_V"].mean()
        if name == reference or math.isnan(own_V):
            continue
        on_kcl, least = _cross_ratios(crossed, method, reference)
        latim = LATIM_ERROR_RATIOS.get((dataset, method))
        rows.append((name, times(own_V / kcl_V), times(on_kcl), times(least), f"{latim}x" if latim else ""))
    head = (
        "cell",
        "each on its own net",
        f"on {reference}'s nets",
        "on any same net, least",
        "LATIM 2021, below the same",
    )
    caption = f"{dataset}: mean output error over that of {reference}."
    return Table(head, rows, caption) if rows else None


def cross_matrix(cross: pd.DataFrame, dataset: str) -> tuple[list[str], list[str], np.ndarray]:
    """(cells, predictors, mean error [cells, predictors] in volts, mean over seeds, NaN where there is none)."""
    ours = of_dataset(cross, dataset)
    cells, predictors = names_in(ours), list(dict.fromkeys(ours["predictor"]))
    errors = ours.pivot_table(index="cell", columns="predictor", values="error_mean_V", aggfunc="mean")
    return cells, predictors, errors.reindex(index=cells, columns=predictors).to_numpy()


def cross_scores(cross: pd.DataFrame, dataset: str) -> Table | None:
    """Mean error of every predictor on every net."""
    cells, predictors, errors = cross_matrix(cross, dataset)
    if not cells:
        return None
    rows = [(name, *map(_volts_or_none, line)) for name, line in zip(cells, errors, strict=True)]
    caption = f"{dataset}: mean output error of every method's prediction (columns) on the nets of every cell (rows)."
    return Table(("net", *predictors), rows, caption)


def energies(frame: pd.DataFrame, dataset: str) -> Table | None:
    """How much less energy kcl's nets take than those of phax and rim; None where energy was not measured."""
    ours = of_dataset(frame, dataset)
    means = ours.groupby("cell", sort=False).agg(
        method=("method", "first"), energy=("energy_per_inference_J", "mean"), accuracy=("accuracy_spice", "mean")
    )
    means = means.dropna()
    rows = [
        (
            name,
            other,
            percent(1 - one["energy"] / base["energy"], 1),
            f"{100 * (one['accuracy'] - base['accuracy']):+.2f} points",
            percent(LATIM_ENERGY_SAVED[base["method"]], 0),
        )
        for name, one in means.iterrows()
        for other, base in means.iterrows()
        if one["method"] == "kcl" and base["method"] in LATIM_ENERGY_SAVED
    ]
    head = ("cell", "below", "energy saved", "SPICE accuracy", "LATIM 2021, below the same")
    return Table(head, rows, f"{dataset}: energy per inference, mean over seeds.") if rows else None


def reference_cell(ours: pd.DataFrame) -> str | None:
    """The kcl cell that ratios refer to: the one of that name, else the first of that method; None if unverified."""
    verified = ours[(ours["method"] == REFERENCE) & ours["error_mean_V"].notna()]
    names = names_in(verified)
    return REFERENCE if REFERENCE in names else next(iter(names), None)


def spread(values: pd.Series, show: Show) -> str:
    """Mean, and the range of several: "97.10 % (96.90 % .. 97.30 %)"."""
    known = values.dropna()
    if known.empty:
        return ""
    if len(known) == 1:
        return show(float(known.iloc[0]))
    return f"{show(float(known.mean()))} ({show(float(known.min()))} .. {show(float(known.max()))})"


def times(ratio: float) -> str:
    if math.isnan(ratio):
        return ""
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.2g}x"


def _cross_ratios(crossed: pd.DataFrame, method: str, reference: str) -> tuple[float, float]:
    """Mean error of `method` over kcl's as predictors: on the reference's nets, and the least over every cell's."""
    errors = crossed.pivot_table(index=["cell", "seed"], columns="predictor", values="error_mean_V")
    if errors.empty or method not in errors or REFERENCE not in errors or method == REFERENCE:
        return math.nan, math.nan
    by_cell = errors.groupby("cell").mean()
    ratio = by_cell[method] / by_cell[REFERENCE]
    return float(ratio.get(reference, math.nan)), float(ratio.min())


def _state(cells: pd.DataFrame) -> str:
    """3, or "2 of 3, 1 failed"."""
    counts = cells["state"].value_counts()
    done, failed, missing = (int(counts.get(state, 0)) for state in ("finished", "failed", "missing"))
    parts = [str(done) if done == len(cells) else f"{done} of {len(cells)}"]
    parts += [f"{failed} failed"] if failed else []
    return ", ".join([*parts, *([f"{missing} missing"] if missing else [])])


def _sizes(cells: pd.DataFrame) -> str:
    """Of the inverters, where there are several seeds those of the first."""
    known = cells["inverter_sizes"].dropna()
    return "" if known.empty else str(known.iloc[0])


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _volts(value: float) -> str:
    return quantity(value, "V")


def _volts_or_none(value: float) -> str:
    return "" if math.isnan(value) else _volts(value)
