"""What the cells of a comparison hold so far, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from spicetrain.compare import tables
from spicetrain.compare.cells import Cell, all_cells
from spicetrain.compare.definition import load_comparison
from spicetrain.compare.frame import cell_table
from spicetrain.report.blocks import Block, Table
from spicetrain.systems import SYSTEMS


@dataclass(frozen=True)
class Results:
    """A comparison's cells, and what their folders hold as `cell_table`."""

    folder: Path
    cells: list[Cell]
    frame: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Self:
        """ConfigurationError when `folder` is no comparison's, StorageError when something in it is damaged."""
        cells = all_cells(load_comparison(folder), folder)
        return cls(folder, cells, cell_table(cells))

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(cell.dataset for cell in self.cells))

    def tables(self) -> list[Table]:
        """Those of text, dataset by dataset."""
        found = []
        for dataset in self.datasets:
            of_all = (
                tables.results(self.frame, dataset),
                tables.costs(self.frame, dataset),
                tables.searches(self.cells, dataset),
            )
            found += [table for table in of_all if table is not None]
            for name in self._systems(dataset):
                found += SYSTEMS[name].comparison_tables(self._of(name), self.folder, dataset)
        return found

    def blocks(self, dataset: str) -> list[Block]:
        """Of the systems on the page."""
        return [
            block
            for name in self._systems(dataset)
            for block in SYSTEMS[name].comparison_blocks(self._of(name), self.folder, dataset)
        ]

    def remarks(self) -> list[str]:
        """What must stand beside the tables."""
        return [text for name in SYSTEMS for text in SYSTEMS[name].comparison_remarks(self._of(name))]

    def frames(self) -> dict[str, pd.DataFrame]:
        """Further tables, by the name of their file."""
        found: dict[str, pd.DataFrame] = {}
        for name in dict.fromkeys(self.frame["system"]):
            found |= SYSTEMS[name].comparison_frames(self._of(name), self.folder)
        return found

    def _systems(self, dataset: str) -> list[str]:
        return list(dict.fromkeys(self.frame[self.frame["dataset"] == dataset]["system"]))

    def _of(self, system: str) -> pd.DataFrame:
        return self.frame[self.frame["system"] == system]
