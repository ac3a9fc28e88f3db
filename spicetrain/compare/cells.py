"""The cells of a comparison: which there are, where each has its run folder, what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicetrain.compare.definition import Comparison, nested
from spicetrain.errors import ConfigurationError, StorageError, nearest
from spicetrain.experiment import Experiment
from spicetrain.runfolder import NETWORK
from spicetrain.storage import read_json

STATE, SEARCH, CROSS = "cell.json", "search.json", "cross.json"


@dataclass(frozen=True)
class Cell:
    """One cell: OUT/<dataset>/<name>/seed-<n> is its run folder."""

    comparison: Comparison
    root: Path
    dataset: str
    name: str
    seed: int

    @property
    def group(self) -> Path:
        """Where the cells that differ in their seed lie, and their search."""
        return self.root / self.dataset / self.name

    @property
    def folder(self) -> Path:
        return self.group / f"seed-{self.seed}"

    @property
    def initial(self) -> Path | None:
        """The network file that training starts from, of the same dataset and seed."""
        start = self.comparison.methods[self.name].initial
        if start is None:
            return None
        return Cell(self.comparison, self.root.resolve(), self.dataset, start, self.seed).folder / NETWORK

    def experiment(self, *changes: dict[str, Any]) -> Experiment:
        """As it is run, with what the search chose, if it has; then `changes`."""
        start = [] if self.initial is None else [{"training": {"initial": str(self.initial)}}]
        return self.comparison.experiment(self.dataset, self.name, self.seed, *self._chosen(), *start, *changes)

    def _chosen(self) -> list[dict[str, Any]]:
        search, found = self.comparison.methods[self.name].search, self.search()
        return [] if search is None or found is None else [nested(search.setting, found["chosen"])]

    def search(self) -> dict[str, Any] | None:
        """search.json, when there is one."""
        return read_json_if_there(self.group / SEARCH, ("setting", "chosen", "trials", "key"))

    def state(self) -> dict[str, Any] | None:
        """cell.json, when there is one: finished or failed, and why."""
        return read_json_if_there(self.folder / STATE, ("state", "message", "exit_code", "key"))

    def __str__(self) -> str:
        return f"{self.dataset} {self.name} seed {self.seed}"


def read_json_if_there(path: Path, keys: Sequence[str]) -> dict[str, Any] | None:
    """What a JSON file holds; None when it is absent, StorageError when it is damaged or lacks one of `keys`."""
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or any(key not in content for key in keys):
        raise StorageError(f"{path} is not what a comparison writes. Remove it; the same command writes it again.")
    return content


def all_cells(comparison: Comparison, root: Path) -> list[Cell]:
    """Every cell: dataset by dataset, seed by seed, each behind the one it starts from."""
    order = comparison.in_order()
    return [
        Cell(comparison, root, dataset, name, seed)
        for dataset in comparison.datasets
        for seed in comparison.seeds
        for name in order
    ]


def chosen_cells(
    comparison: Comparison,
    root: Path,
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    names: Sequence[str] = (),
) -> list[Cell]:
    """Those of the named datasets, seeds and cells (none: all), with the cells that they start from.

    ConfigurationError when the comparison has no such dataset, seed or cell.
    """
    for kind, wanted, known in (
        ("dataset", datasets, comparison.datasets),
        ("seed", seeds, comparison.seeds),
        ("cell", names, comparison.methods),
    ):
        texts = [str(value) for value in known]
        for value in map(str, wanted):
            if value not in texts:
                raise ConfigurationError(f"The comparison has no {kind} {value!r}.{nearest(value, texts)}")
    needed = {start for name in names for start in _chain(comparison, name)} or set(comparison.methods)
    return [
        cell
        for cell in all_cells(comparison, root)
        if (not datasets or cell.dataset in datasets) and (not seeds or cell.seed in seeds) and cell.name in needed
    ]


def _chain(comparison: Comparison, name: str) -> list[str]:
    """A cell, the one it starts from, the one that starts from, ..."""
    start = comparison.methods[name].initial
    return [name] if start is None else [name, *_chain(comparison, start)]
