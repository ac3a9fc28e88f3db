"""The results as tables of text, the same ones for the page, for Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from spicetrain.compare.cells import Cell
from spicetrain.compare.definition import label
from spicetrain.compare.frame import ALWAYS, COSTS, RIGHT
from spicetrain.report.blocks import Table
from spicetrain.report.units import percent, quantity, seconds, spread
from spicetrain.system import Column

Show = Callable[[float], str]
Told = Callable[[pd.DataFrame], str]

SHOWN: dict[str, Show] = {"percent": percent, "seconds": seconds, "number": lambda value: f"{value:,.0f}"}
"""How a column's values are shown; what is not here is a unit."""


def of_dataset(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    return frame[frame["dataset"] == dataset]


def names_in(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["cell"]))


def results(frame: pd.DataFrame, dataset: str) -> Table:
    """How right every cell name is: mean over its seeds, and the range when there are several."""
    ours = of_dataset(frame, dataset)
    shown = [column for column in RIGHT if column.key in ALWAYS or ours[column.key].notna().any()]
    images = ours["images"].dropna()
    of = f", {int(images.max()):,} test images in ngspice" if len(images) else ""
    caption = f"{dataset}{of}. Mean over seeds; the range in brackets where there are several."
    return _by_name(ours, shown, caption, ("seeds", _state))


def costs(frame: pd.DataFrame, dataset: str) -> Table:
    """What every cell name takes, in the circuit and to train."""
    ours = of_dataset(frame, dataset)
    shown = [column for column in COSTS if ours[column.key].notna().any()]
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
        rows.append((name, first[1](cells), *(spread(cells[column.key], shown_as(column)) for column in shown)))
    return Table(("cell", first[0], *(column.title for column in shown)), rows, caption)


def shown_as(column: Column) -> Show:
    """How the values of a column are shown."""
    return SHOWN.get(column.show) or (lambda value: quantity(value, column.show))


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
