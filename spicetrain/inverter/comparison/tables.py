"""Ratios, energies and cross-scores as tables of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spicetrain.inverter.comparison.published import LATIM_ENERGY_SAVED, LATIM_ERROR_RATIOS
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.report.blocks import Table
from spicetrain.report.units import percent, quantity
from spicetrain.runfolder import SUMMARY, RunFolder
from spicetrain.verification.chips import SourceFigures

REFERENCE = "kcl"


def ratios(frame: pd.DataFrame, cross: pd.DataFrame, dataset: str) -> Table | None:
    """How many times larger a method's mean output error is than kcl's; None without a verified kcl cell."""
    ours, crossed = (table[table["dataset"] == dataset] for table in (frame, cross))
    reference = reference_cell(ours)
    if reference is None:
        return None
    kcl_V = ours[ours["cell"] == reference]["error_mean_V"].mean()
    rows = []
    for name in list(dict.fromkeys(ours["cell"])):
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
    ours = cross[cross["dataset"] == dataset]
    cells, predictors = list(dict.fromkeys(ours["cell"])), list(dict.fromkeys(ours["predictor"]))
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
    ours = frame[frame["dataset"] == dataset]
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
    names = list(dict.fromkeys(verified["cell"]))
    return REFERENCE if REFERENCE in names else next(iter(names), None)


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


def _volts_or_none(value: float) -> str:
    return "" if math.isnan(value) else quantity(value, "V")


def sizes_text(sizes: Sequence[NDArray]) -> str:
    """Fingers of the inverters, layer by layer: "8, 1", or "1..6 (mean 2.4), 1" where they differ."""
    texts = []
    for fingers in sizes:
        low, high = fingers.min(), fingers.max()
        texts.append(f"{low:g}" if low == high else f"{low:g}..{high:g} (mean {fingers.mean():.3g})")
    return ", ".join(texts)


def conditions(ours: pd.DataFrame, root: Path, dataset: str) -> Table | None:
    """Accuracy of the chips of every cell under each further variation, mean and worst; None when there is none."""
    found: dict[str, dict[str, SourceFigures]] = {}
    for _, cell in ours[ours["dataset"] == dataset].iterrows():
        summary = InverterSummary.of(RunFolder(root / str(cell.folder)).json(SUMMARY, (), "verify"))
        if summary is not None and summary.chips is not None and summary.chips.by_condition:
            found[f"{cell.cell}, seed {cell.seed}"] = summary.chips.by_condition
    names = list(dict.fromkeys(name for of_cell in found.values() for name in of_cell))
    if not names:
        return None
    rows = [
        (cell, *(_mean_and_worst(of_cell[name]) if name in of_cell else "" for name in names))
        for cell, of_cell in found.items()
    ]
    caption = f"{dataset}: accuracy of the chips in the model under further variations, mean / worst."
    return Table(("cell", *names), rows, caption)


def _mean_and_worst(figures: SourceFigures) -> str:
    return f"{percent(figures.accuracy_mean)} / {percent(figures.accuracy_min)}"
