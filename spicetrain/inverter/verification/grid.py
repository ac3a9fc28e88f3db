"""The network under every condition of a grid, ngspice against a model that is fitted anew under each.

conditions.parquet  a row a condition: condition, corner, temperature_C, vdd_scale, vdd_V, vss_V, accuracy_model,
                    accuracy_spice, agreement, error_mean_V, error_rms_V, error_max_V, static_power_W (mean over images,
                    as in `energy`), solver_unconverged, seconds_ngspice; where energy is measured, hold_time_s and
                    energy_per_inference_J
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.inverter.definition import EnergySettings, VerificationSettings, own_settings
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.newton import EXACT
from spicetrain.inverter.training.voltages import named_voltages
from spicetrain.inverter.verification.energy import ENERGY, measure_energy
from spicetrain.inverter.verification.figures import compare
from spicetrain.inverter.verification.fitting import Fitting
from spicetrain.inverter.verification.near_model import simulate_near
from spicetrain.inverter.verification.summary import ConditionFigures, GridFigures
from spicetrain.keyed import Recipe, cached_json
from spicetrain.netlists.forms import form_of
from spicetrain.operating import Condition, conditions_in
from spicetrain.progress import track
from spicetrain.runfolder import RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import write_atomic, write_json
from spicetrain.technology import Technology

TABLE, ROW = "conditions.parquet", "verified.json"

_ROW = Recipe("condition", 1)


@dataclass(frozen=True)
class Grid:
    """A network that is verified under every condition of `settings.grid`, relative to `technology`, on `inputs`
    [images, rows] and `labels` of the test images of `dataset`."""

    network: Network
    technology: Technology
    fitting: Fitting
    dataset: Dataset
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    settings: VerificationSettings
    energy: EnergySettings

    @cached_property
    def conditions(self) -> list[Condition]:
        return conditions_in(self.technology, self.settings.grid)

    def key(self, simulator: Simulator) -> str:
        """Of all that its figures depend on."""
        return _ROW.key(rows=[self.row_key(one, simulator) for one in self.conditions])

    def row_key(self, condition: Condition, simulator: Simulator) -> str:
        """Of all that a row depends on."""
        return _ROW.key(
            network=self.network, condition=condition.facts(), technology=condition.technology, dataset=self.dataset,
            chosen=self.settings.model_dump(include={"images", "netlist"}), fitting=self.fitting.facts(),
            energy=[ENERGY.version, self.energy] if self.energy.images else None, ngspice=simulator.version,
        )  # fmt: skip


def verify_grid(grid: Grid, simulator: Simulator, files: RunFolder) -> GridFigures:
    """Fit, predict and simulate under every condition. `files` gets conditions.parquet; rows, fits and tables are kept
    in its conditions/<name>/ at once, and one that was made of the same is not made again.

    Raises SimulationError, StorageError, what `Fitting.under` raises.
    """
    rows = []
    with track("conditions", len(grid.conditions), "conditions") as bar:
        for condition in grid.conditions:
            path, key = grid.fitting.folder(condition) / ROW, grid.row_key(condition, simulator)
            row = cached_json(path, key)
            if row is None:
                row = _row(grid, condition, simulator) | {"key": key}
                write_json(path, row)
            rows.append(row)
            bar.advance(1, **{condition.name: f"{row['accuracy_spice']:.2%}"})
    frame = pd.DataFrame(rows).drop(columns="key")
    with write_atomic(files / TABLE) as temporary:
        frame.to_parquet(temporary, index=False)
    return figures_of(frame, len(grid.labels), [one.nominal for one in grid.conditions])


def forget_grid(files: RunFolder) -> None:
    """Without a grid, the table of an earlier verification goes."""
    (files / TABLE).unlink(missing_ok=True)


def _row(grid: Grid, condition: Condition, simulator: Simulator) -> dict[str, Any]:
    network, technology = grid.network, condition.technology
    surrogates = grid.fitting.under(condition, simulator)
    circuit = FittedCircuit(technology, surrogates, torch.float64, tolerance=EXACT)
    method, own = str(network.about["method"]), own_settings(network.about)
    model = predict(network, grid.inputs, circuit, method, own)
    spice = simulate_near(
        network, technology, grid.inputs, form_of(technology, grid.settings.netlist), simulator,
        model_V=named_voltages(model.layers), power=True,
    )  # fmt: skip
    assert spice.power_W is not None
    row = condition.facts() | compare(model.outputs.numpy(), spice.voltages, grid.labels)
    row |= {
        "static_power_W": float(spice.power_W.mean()),
        "solver_unconverged": model.convergence.unconverged,
        "seconds_ngspice": spice.seconds_ngspice,
    }
    if grid.energy.images:
        shown = grid.dataset.test_inputs[: grid.energy.images]
        energy = measure_energy(network, technology, shown, grid.energy, simulator).figures
        row |= {"hold_time_s": energy.hold_time_s, "energy_per_inference_J": energy.energy_per_inference_J}
        row["seconds_ngspice"] += energy.seconds_ngspice
    return row


def figures_of(frame: pd.DataFrame, images: int, nominal: list[bool]) -> GridFigures:
    """Of the rows of conditions.parquet; `nominal`: whether each is of the nominal circuit."""
    accuracy, at = frame["accuracy_spice"], np.flatnonzero(nominal)
    power = frame["static_power_W"]
    return GridFigures(
        count=len(frame),
        images=images,
        nominal=float(accuracy[at[0]]) if len(at) else None,
        accuracy_mean=float(accuracy.mean()),
        accuracy_min=float(accuracy.min()),
        worst=str(frame["condition"][accuracy.argmin()]),
        by_corner=_by(frame, "corner"),
        by_temperature_C=_by(frame, "temperature_C"),
        by_vdd_scale=_by(frame, "vdd_scale"),
        agreement_min=float(frame["agreement"].min()),
        error_mean_V=float(frame["error_mean_V"].mean()),
        error_mean_worst=float((frame["error_mean_V"] / (frame["vdd_V"] - frame["vss_V"])).max()),
        error_max_V=float(frame["error_max_V"].max()),
        solver_unconverged=int(frame["solver_unconverged"].sum()),
        static_power_min_W=float(power.min()),
        static_power_mean_W=float(power.mean()),
        static_power_max_W=float(power.max()),
        seconds_ngspice=float(frame["seconds_ngspice"].sum()),
    )


def _by(frame: pd.DataFrame, column: str) -> dict[str, ConditionFigures]:
    """Of the conditions that have a value in common, by that value as text."""
    groups = frame.groupby(column, sort=False)["accuracy_spice"]
    return {
        _text(value): ConditionFigures(count=len(of), accuracy_mean=float(of.mean()), accuracy_min=float(of.min()))
        for value, of in groups
    }


def _text(value: Hashable) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
