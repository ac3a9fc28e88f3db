"""What the cells' folders hold, as one table: a row a cell."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spicetrain.compare.cells import Cell
from spicetrain.runfolder import CALIBRATED, NETWORK, RunFolder
from spicetrain.system import Column
from spicetrain.systems import SYSTEMS, read_summary, system_of

MISSING = "missing"
ALWAYS = ("accuracy_model", "accuracy_spice")

_OF_ALL = (
    Column("accuracy, model", "accuracy_model", "percent"),
    Column("accuracy, SPICE", "accuracy_spice", "percent"),
    Column("agreement", "agreement", "percent"),
    Column("chips, mean", "chips_mean", "percent"),
    Column("chips, worst", "chips_min", "percent"),
    Column("conditions, mean", "conditions_mean", "percent"),
    Column("conditions, worst", "conditions_min", "percent"),
    Column("calibrated, mean", "calibrated_mean", "percent"),
    Column("calibrated, worst", "calibrated_min", "percent"),
    Column("energy per inference", "energy_per_inference_J", "J", cost=True),
)
_OF_THE_MACHINE = (
    Column("training", "training_seconds", "seconds", cost=True),
    Column("verification", "verify_seconds", "seconds", cost=True),
)
_OF_SYSTEMS = tuple(column for name in SYSTEMS for column in SYSTEMS[name].columns)
_FIGURES = (*_OF_ALL, *_OF_SYSTEMS, *_OF_THE_MACHINE)
RIGHT = [column for column in _FIGURES if not column.cost]
COSTS = [column for column in _FIGURES if column.cost]

_TEXTS = ("dataset", "cell", "system", "method", "seed", "state", "message", "folder", "searched", "chosen", "trials")
_FURTHER = ("inverter_sizes", "array", "threshold_share", "trained")
COLUMNS = (*_TEXTS, "images", *(column.key for column in _FIGURES), *_FURTHER)


def cell_table(cells: list[Cell]) -> pd.DataFrame:
    """A row a cell, columns COLUMNS; what a cell does not have yet is NaN or None, its `state` says why.

    accuracies and agreement are shares, *_V, *_J, *_W, *_s SI units; energy is of one inference, fingers of all
    inverters. Raises StorageError for what is damaged.
    """
    frame = pd.DataFrame([_row(cell) for cell in cells], columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(["images", *(column.key for column in _FIGURES), "threshold_share"], float))


def _row(cell: Cell) -> dict[str, Any]:
    experiment = cell.experiment()
    row: dict[str, Any] = {"dataset": cell.dataset, "cell": cell.name, "seed": cell.seed, "state": MISSING}
    row |= {"system": experiment.system, "method": experiment.training.method, "message": ""}
    row["folder"] = str(cell.folder.relative_to(cell.root))
    if (search := cell.search()) is not None:
        row |= {"searched": search["setting"], "chosen": str(search["chosen"])}
        row["trials"] = "; ".join(f"{trial['value']}: {trial['accuracy_circuit']}" for trial in search["trials"])
    if (state := cell.state()) is not None:
        row |= {"state": state["state"], "message": state["message"]}
    files = RunFolder(cell.folder)
    if not files.is_one:
        return row
    system = system_of(experiment)
    if (metrics := files.metrics(system.metrics, experiment.training.last_epoch)) is not None:
        row["training_seconds"] = sum(line["seconds"] for line in metrics)
    network = None if files.path(NETWORK) is None else system.load_network(files / NETWORK)
    summary: Any = read_summary(files)
    if summary is not None:
        row |= {"images": summary.images, "verify_seconds": summary.seconds_total}
        row |= {column.key: getattr(summary, column.key, None) for column in _FIGURES if column not in _OF_THE_MACHINE}
        if (chips := getattr(summary, "chips", None)) is not None:
            row |= {"chips_mean": chips.accuracy_mean, "chips_min": chips.accuracy_min}
        if (grid := getattr(summary, "grid", None)) is not None:
            row |= {"conditions_mean": grid.accuracy_mean, "conditions_min": grid.accuracy_min}
    calibrated = files.frame(CALIBRATED, ("accuracy_model",))
    if calibrated is not None:
        accuracy = calibrated["accuracy_model"]
        row |= {"calibrated_mean": accuracy.mean(), "calibrated_min": accuracy.min()}
    return row | {key: value for key, value in system.cell(network, summary).items() if value is not None}
