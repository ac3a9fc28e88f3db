"""What the cells' folders hold, as two tables: a row a cell, and a row a cell and predictor."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spicetrain.compare.cells import CROSS, Cell, read_json_if_there
from spicetrain.experiment import DEFINITION, NETWORK, SUMMARY
from spicetrain.inverter.network import Network
from spicetrain.report.artefacts import RunFolder

MISSING = "missing"

FIGURES = (
    "accuracy_model", "accuracy_spice", "agreement", "error_mean_V", "error_rms_V", "error_max_V", "solver_unconverged",
)  # fmt: skip
SPIKING = ("accuracy_circuit_model", "spike_agreement", "membrane_rms_V")
ENERGY = ("energy_per_inference_J", "static_power_W", "source_power_W", "hold_time_s")
COLUMNS = (
    "dataset", "cell", "method", "seed", "state", "message", "images", *FIGURES, *SPIKING, *ENERGY, "fingers",
    "inverter_sizes", "array", "threshold_share", "searched", "chosen", "trials", "training_seconds", "verify_seconds",
    "folder",
)  # fmt: skip
CROSS_FIGURES = ("error_mean_V", "error_rms_V", "error_max_V", "agreement", "accuracy_model", "solver_unconverged")
CROSS_COLUMNS = ("dataset", "cell", "method", "seed", "predictor", *CROSS_FIGURES)
"""accuracy_model is the predictor's."""


def cell_table(cells: list[Cell]) -> pd.DataFrame:
    """A row a cell, columns COLUMNS; what a cell does not have yet is NaN or None, its `state` says why.

    accuracies and agreement are shares, *_V, *_J, *_W, *_s SI units; energy is of one inference, fingers of all
    inverters. Raises StorageError for what is damaged.
    """
    frame = pd.DataFrame([_row(cell) for cell in cells], columns=list(COLUMNS))
    others = ("images", "fingers", "threshold_share", "training_seconds", "verify_seconds")
    return frame.astype(dict.fromkeys([*FIGURES, *SPIKING, *ENERGY, *others], float))


def cross_table(cells: list[Cell]) -> pd.DataFrame:
    """A row a cell and predictor: errors of `predictor` on the net that `method` trained; columns CROSS_COLUMNS."""
    rows = []
    for cell in cells:
        method = _experiment_method(cell)
        for predictor, scores in (read_json_if_there(cell.folder / CROSS, ()) or {}).items():
            if "missing" not in scores:
                identity = (cell.dataset, cell.name, method, cell.seed, predictor)
                rows.append((*identity, *(scores[name] for name in CROSS_FIGURES)))
    return pd.DataFrame(rows, columns=list(CROSS_COLUMNS))


def _row(cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {"dataset": cell.dataset, "cell": cell.name, "seed": cell.seed, "state": MISSING}
    row |= {"method": _experiment_method(cell), "message": "", "folder": str(cell.folder.relative_to(cell.root))}
    if (search := cell.search()) is not None:
        row |= {"searched": search["setting"], "chosen": str(search["chosen"])}
        row["trials"] = "; ".join(f"{trial['value']}: {trial['accuracy_circuit']}" for trial in search["trials"])
    if (state := cell.state()) is not None:
        row |= {"state": state["state"], "message": state["message"]}
    if not (cell.folder / DEFINITION).exists():
        return row
    run = RunFolder(cell.folder)
    if run.metrics is not None:
        row["training_seconds"] = sum(line["seconds"] for line in run.metrics)
    if cell.experiment().system == "inverter" and (cell.folder / NETWORK).exists():
        network = Network.load(cell.folder / NETWORK)
        row |= {"fingers": sum(float(sizes.sum()) for sizes in network.sizes), "inverter_sizes": sizes_text(network)}
    if (cell.folder / SUMMARY).exists() and (summary := run.summary) is not None:
        row |= {"images": summary["images"], "verify_seconds": summary["seconds_total"]}
        told = {**(summary.get("energy") or {}), **summary}
        row |= {name: told[name] for name in (*FIGURES, *SPIKING, *ENERGY, "array", "threshold_share") if name in told}
    return row


def sizes_text(network: Network) -> str:
    """Fingers of the inverters, layer by layer: "8, 1", or "1..6 (mean 2.4), 1" where they differ."""
    texts = []
    for sizes in network.sizes:
        low, high = sizes.min(), sizes.max()
        texts.append(f"{low:g}" if low == high else f"{low:g}..{high:g} (mean {sizes.mean():.3g})")
    return ", ".join(texts)


def _experiment_method(cell: Cell) -> str:
    return cell.experiment().training.method
