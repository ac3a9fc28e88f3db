"""What the cells of a comparison hold so far, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from spicetrain.compare import tables
from spicetrain.compare.cells import Cell, all_cells
from spicetrain.compare.definition import load_comparison
from spicetrain.compare.severity import severity
from spicetrain.compare.table import cell_table, cross_table
from spicetrain.report.blocks import Table


@dataclass(frozen=True)
class Results:
    """A comparison's cells, and what their folders hold as `cell_table` and `cross_table`."""

    folder: Path
    cells: list[Cell]
    frame: pd.DataFrame
    cross: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Self:
        """ConfigurationError when `folder` is no comparison's, StorageError when something in it is damaged."""
        cells = all_cells(load_comparison(folder), folder)
        return cls(folder, cells, cell_table(cells), cross_table(cells))

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(cell.dataset for cell in self.cells))

    def tables(self) -> list[Table]:
        """Those of text, dataset by dataset."""
        found = [
            table
            for dataset in self.datasets
            for table in (
                tables.results(self.frame, dataset),
                severity(self.frame, dataset),
                tables.costs(self.frame, dataset),
                tables.searches(self.cells, dataset),
                tables.ratios(self.frame, self.cross, dataset),
                tables.energies(self.frame, dataset),
                tables.cross_scores(self.cross, dataset),
            )
        ]
        return [table for table in found if table is not None]
