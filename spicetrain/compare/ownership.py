"""Whose a comparison's folder is: what is in it already must be cells of this comparison, trained as it says now."""

from __future__ import annotations

from pathlib import Path

from spicetrain.compare.cells import Cell, all_cells
from spicetrain.compare.definition import Comparison, label
from spicetrain.compare.search import trial_experiment
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.runfolder import CHECKPOINT, RunFolder
from spicetrain.systems import require_same_training, system_of

_NEXT_STEP = "It is left as it is: choose another folder with --out, or remove this one to train it again."


def require_own_folder(comparison: Comparison, folder: Path) -> None:
    """ConfigurationError when the folder is a file or a single run's; ArchitectureMismatch when it holds cells of
    another comparison, or of this one trained otherwise. What it lacks is no matter: a comparison may grow."""
    if folder.is_file() or RunFolder(folder).is_one:
        what = "a file" if folder.is_file() else "the folder of a single run"
        raise ConfigurationError(f"{folder} is {what}: choose another folder for the comparison with --out.")
    known = {cell.folder: cell for cell in all_cells(comparison, folder)}
    for trained in sorted(folder.glob(f"*/*/seed-*/{CHECKPOINT}")):
        cell = known.get(trained.parent)
        if cell is None:
            raise ArchitectureMismatch(f"{trained.parent} is no cell of this comparison. {_NEXT_STEP}")
        search = comparison.methods[cell.name].search
        undecided = [search.setting] if search and cell.search() is None else []
        require_same_training(cell.folder, cell.experiment(), undecided=undecided)
        _require_same_start(cell)
    for cell in known.values():
        search = comparison.methods[cell.name].search
        if search is None or cell.seed != comparison.seeds[0]:
            continue
        for value in search.values:
            require_same_training(cell.group / "search" / label(value), trial_experiment(cell, search, value))


def _require_same_start(cell: Cell) -> None:
    """The network it started from is still that one."""
    state = cell.state()
    if cell.initial is None or state is None or state.get("initial") is None or not cell.initial.exists():
        return
    if system_of(cell.experiment()).load_network(cell.initial).fingerprint != state["initial"]:
        raise ArchitectureMismatch(f"{cell.folder} was trained from what {cell.initial} was before. {_NEXT_STEP}")
