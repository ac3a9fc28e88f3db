"""Any number of chips calibrated, in parallel and resumable: a network file a chip, a row a chip."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.calibration.calibrate import Calibration, calibrated, judged
from spicetrain.inverter.chip import Chip
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.inverter.verification.spice_forward import measured_voltages
from spicetrain.keyed import Recipe
from spicetrain.netlists.forms import plain_form
from spicetrain.runfolder import CALIBRATED, CALIBRATION, RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import write_atomic
from spicetrain.training.common import at_most_threads
from spicetrain.verification.pieces import Piece, run_pieces

_RECIPE = Recipe("calibration", 1)
_FIGURES = ("accuracy_nominal", "accuracy_before", "accuracy_wanted", "accuracy_model")
_SIMULATED = ("accuracy_spice", "agreement", "error_mean_V", "error_max_V")


def calibrate_chips(asked: Calibration, simulator: Simulator, files: RunFolder) -> pd.DataFrame:
    """Calibrate the chips of the settings; a row each: chip, trains, errors, steps, accuracy_nominal, accuracy_before,
    accuracy_wanted (were it exactly what it is programmed to be), accuracy_model (programmed once more); of those that
    are simulated accuracy_spice, agreement, error_mean_V, error_max_V of that chip.

    files  gets calibration/chip-<number>-<trains>-<errors>.safetensors, the network to be programmed, and
           calibration/chips.parquet, to which the rows are added

    Raises SimulationError, StorageError; ConfigurationError when the shifted surface is not fitted.
    """
    settings = asked.settings
    numbers = range(settings.first, settings.first + settings.chips)
    pieces = [Piece(number, _key(asked, number, simulator)) for number in numbers]
    done = run_pieces(simulator, partial(_one, asked), pieces, "calibrate", unit="chips")
    rows = []
    for number, arrays in zip(numbers, done, strict=True):
        network = _network(asked, arrays, number)
        network.save(_file(files, asked, number))
        row: dict[str, Any] = {"chip": number, "trains": settings.trains, "errors": settings.errors}
        row |= {"steps": settings.steps} | {name: float(arrays[name]) for name in _FIGURES}
        if number - settings.first < settings.simulated:
            row |= _in_ngspice(asked, number, network, simulator)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=["chip", "trains", "errors", "steps", *_FIGURES, *_SIMULATED])
    _add_rows(files / CALIBRATED, frame)
    return frame


def _one(asked: Calibration, simulator: Simulator, number: int) -> dict[str, ArrayLike]:
    """The conductances of one chip, [...] siemens by <layer>.<name>, and its accuracies; for a worker."""
    with at_most_threads(simulator.cores):
        measure = partial(_measure, asked, simulator) if asked.settings.errors == "unknown" else None
        network = calibrated(asked, number, measure)
        arrays = {f"{i}.{name}": g for i, box in enumerate(network.crossbars) for name, g in vars(box).items()}
        return arrays | judged(asked, number, network)


def _measure(asked: Calibration, simulator: Simulator, chip: Chip, inputs: NDArray) -> list[LayerVoltages]:
    return measured_voltages(chip.network, asked.population.technology, inputs, simulator, chip.mismatch)


def _network(asked: Calibration, arrays: dict[str, NDArray], number: int) -> Network:
    boxes = tuple(
        replace(box, **{name: arrays[f"{i}.{name}"] for name in vars(box)})
        for i, box in enumerate(asked.network.crossbars)
    )
    settings = asked.settings
    how = {"chip": number, **settings.model_dump(mode="json", exclude={"first", "chips", "simulated", "images"})}
    about = {**asked.network.about, "calibrated": how, "calibrated_from": asked.network.fingerprint}
    return replace(asked.network, crossbars=boxes, about=about)


def _in_ngspice(asked: Calibration, number: int, network: Network, simulator: Simulator) -> dict[str, Any]:
    """The chip as it is after that writing, model and ngspice image for image."""
    population = asked.population
    chip = asked.written(population.chip(number), network, number, asked.settings.steps + 1)
    figures = population.simulated(chip, plain_form(population.conditions.simulated), simulator)
    return {name: figures[name] for name in _SIMULATED}


def _key(asked: Calibration, number: int, simulator: Simulator) -> str:
    measured = {"ngspice": simulator.version} if asked.settings.errors == "unknown" else {}
    settings = asked.settings.model_dump(exclude={"first", "chips", "simulated", "variation"})
    return _RECIPE.key(
        population=asked.population, settings=settings, inputs=asked.inputs, labels=asked.labels,
        logit_V=asked.logit_V, number=number, **measured,
    )  # fmt: skip


def _file(files: RunFolder, asked: Calibration, number: int) -> Path:
    folder = files / CALIBRATION
    folder.mkdir(exist_ok=True)
    return folder / f"chip-{number}-{asked.settings.trains}-{asked.settings.errors}.safetensors"


def _add_rows(path: Path, frame: pd.DataFrame) -> None:
    """The table with these rows in place of those of the same chips, calibrated alike."""
    same = ["chip", "trains", "errors"]
    if path.is_file():
        frame = pd.concat([pd.read_parquet(path), frame]).drop_duplicates(same, keep="last")
    with write_atomic(path) as temporary:
        frame.sort_values(same).to_parquet(temporary, index=False)
