"""A comparison, cell by cell: each is searched if it has something to choose, trained, verified, cross-scored."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from spicetrain.compare.cells import STATE, Cell, chosen_cells
from spicetrain.compare.definition import COMPARISON, Comparison
from spicetrain.compare.ownership import require_own_folder
from spicetrain.compare.search import run_search, trial_experiment
from spicetrain.compare.surrogates import provide
from spicetrain.compare.write import write_results, write_tables
from spicetrain.errors import (
    ConfigurationError,
    NgspiceError,
    SimulationError,
    SpicetrainError,
    StorageError,
    VerificationError,
)
from spicetrain.experiment import Experiment
from spicetrain.keyed import Recipe
from spicetrain.lock import locked
from spicetrain.progress import is_quiet
from spicetrain.report.units import count, seconds
from spicetrain.run import Run
from spicetrain.runfolder import NETWORK, SUMMARY, VERIFICATION
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.storage import make_folder, sha256_of_file, write_json
from spicetrain.systems import system_of

FINISHED, FAILED = "finished", "failed"
_CELL = Recipe("cell", 2)

# A cell that ends so is noted, and the others go on; what else is wrong ends the comparison: no ngspice, a full disk.
_WORST_FIRST = (SimulationError, ConfigurationError, VerificationError)


@dataclass(frozen=True)
class Compare:
    """A comparison and its folder, which holds a run folder for every cell.

    datasets, seeds, cells      only these; none named: all
    ngspice, workers, executor  as a Run has them
    """

    comparison: Comparison
    folder: Path
    datasets: Sequence[str] = ()
    seeds: Sequence[int] = ()
    cells: Sequence[str] = ()
    ngspice: str | Path | None = None
    workers: int | None = None
    executor: Executor | None = None

    def run(self) -> list[Cell]:
        """`run_missing`, and afterwards raise the worst of the failures."""
        cells = self.run_missing()
        raise_worst(cells)
        return cells

    def run_missing(self) -> list[Cell]:
        """Do what is missing, and write the tables and the page; the cells that were asked for.

        A finished cell is kept; one that fails is noted in its cell.json, and the others go on. Raises before any work
        what the definition or the folder make impossible.
        """
        cells = chosen_cells(self.comparison, self.folder, self.datasets, self.seeds, self.cells)
        version = find_ngspice(self.ngspice).version
        require_own_folder(self.comparison, self.folder)
        self._require_fit(cells)
        with locked(make_folder(self.folder)):
            self.comparison.save(self.folder / COMPARISON)
            try:
                self._run_all(cells, version)
            finally:
                write_results(self.folder)
        return cells

    def _run_all(self, cells: list[Cell], version: int) -> None:
        console = Console(stderr=True, highlight=False, quiet=is_quiet())
        took_s: list[float] = []
        for number, cell in enumerate(cells, start=1):
            if not self._is_finished(cell, version):
                left = seconds(sum(took_s) / len(took_s) * (len(cells) - number + 1)) if took_s else ""
                console.print(f"[{number}/{len(cells)}] {cell}{f', about {left} left' if left else ''}", markup=False)
                started = time.monotonic()
                self._run_noted(cell, version)
                took_s.append(time.monotonic() - started)
                write_tables(self.folder)
        for cell in cells:  # a load chosen since, a method added: what is still right is kept
            if (cell.folder / SUMMARY).exists() and (cell.folder / NETWORK).exists():
                self._after(cell, self._open(cell.experiment(), cell.folder))

    def _open(self, experiment: Experiment, folder: Path) -> Run:
        return Run(experiment, folder, ngspice=self.ngspice, workers=self.workers, executor=self.executor)

    def _run_noted(self, cell: Cell, version: int) -> None:
        """Run a cell and write its cell.json."""
        state: dict[str, Any] = {"state": FINISHED, "message": "", "exit_code": 0, "initial": None, "key": None}
        try:
            self._run_cell(cell)
        except (StorageError, NgspiceError):
            raise
        except SpicetrainError as error:
            print(f"spicetrain: {cell} failed: {error}", file=sys.stderr)
            state |= {"state": FAILED, "message": str(error), "exit_code": error.exit_code}
        else:
            state["key"] = self._key(cell, version)
        if cell.initial is not None and cell.initial.exists():
            system = system_of(cell.experiment())
            state["initial"] = system.load_network(cell.initial).fingerprint
        write_json(make_folder(cell.folder) / STATE, state)

    def _run_cell(self, cell: Cell) -> None:
        search = self.comparison.methods[cell.name].search
        if search is not None:
            run_search(_of_first_seed(cell), search, self._open, partial(provide, root=self.folder))
        _require_initial(cell)
        run = self._open(cell.experiment(), cell.folder)
        provide(run, self.folder)
        run.train()
        try:
            run.verified()
        finally:
            if (run.folder / SUMMARY).exists():
                run.report()
                self._after(cell, run)

    def _after(self, cell: Cell, run: Run) -> None:
        if "calibration" in run.experiment.model_fields_set:  # asked for, not by default
            run.calibrate()
        run.system.after_cell(run, _others(cell))

    def _is_finished(self, cell: Cell, version: int) -> bool:
        state = cell.state()
        if state is None or state["state"] != FINISHED:
            return False
        files = [cell.folder / name for name in (NETWORK, SUMMARY, VERIFICATION)]
        return all(file.exists() for file in files) and state["key"] == self._key(cell, version)

    def _key(self, cell: Cell, version: int) -> str:
        """Of all that a finished cell was made from, and of what it is."""
        run = self._open(cell.experiment(), cell.folder)
        definition = run.experiment.model_dump(mode="json", exclude={"training": {"device", "threads", "initial"}})
        files = [sha256_of_file(cell.folder / name) for name in (NETWORK, SUMMARY)]
        return _CELL.key(
            definition=definition,
            technology=run.technology,
            inputs=run.system.inputs(run),
            ngspice=version,
            files=files,
        )

    def _require_fit(self, cells: list[Cell]) -> None:
        """What does not fit the images shows before the work."""
        for dataset in dict.fromkeys(cell.dataset for cell in cells):
            of_it = {cell.name: cell for cell in cells if cell.dataset == dataset}
            dataset_read = None
            for cell in of_it.values():
                search = self.comparison.methods[cell.name].search
                trials = [trial_experiment(cell, search, search.values[0])] if search else []
                for experiment in [cell.experiment(), *trials]:
                    run = self._open(experiment, cell.folder)
                    if dataset_read is not None:
                        run.dataset = dataset_read
                    run.system.require(run)
                    dataset_read = run.dataset


def _others(cell: Cell) -> Iterator[Experiment]:
    """The experiments of the cell's dataset with the first seed."""
    for name in cell.comparison.methods:
        yield replace(cell, name=name, seed=cell.comparison.seeds[0]).experiment()


def _of_first_seed(cell: Cell) -> Cell:
    return replace(cell, seed=cell.comparison.seeds[0])


def _require_initial(cell: Cell) -> None:
    if cell.initial is not None and not cell.initial.exists():
        raise ConfigurationError(
            f"{cell} starts from {cell.initial}, which is not there: that cell failed before it was trained."
        )


def raise_worst(cells: list[Cell]) -> None:
    """Raise one error for all cells that failed, of the worst one's kind."""
    failed = [(cell, state) for cell in cells if (state := cell.state()) and state["state"] == FAILED]
    for kind in _WORST_FIRST:
        if any(state["exit_code"] == kind.exit_code for _, state in failed):
            messages = "; ".join(f"{cell}: {state['message']}" for cell, state in failed)
            raise kind(f"{len(failed)} of {count(len(cells), 'cell')} failed. {messages}")
