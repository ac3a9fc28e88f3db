"""Everything a comparison's folder holds so far: comparison.parquet, .csv, .md, .html and cross.csv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from spicetrain.compare import tables
from spicetrain.compare.cells import Cell, all_cells
from spicetrain.compare.definition import load_comparison
from spicetrain.compare.markdown import markdown
from spicetrain.compare.published import CAVEAT
from spicetrain.compare.severity import severity
from spicetrain.compare.table import cell_table, cross_table
from spicetrain.report.blocks import Table
from spicetrain.storage import write_atomic

STEM = "comparison"


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


def write_tables(folder: Path) -> Results:
    """comparison.parquet and .csv (a row a cell), cross.csv (a row a cell and predictor), comparison.md."""
    results = Results.read(folder)
    with write_atomic(folder / f"{STEM}.parquet") as temporary:
        results.frame.to_parquet(temporary)
    for name, frame in ((STEM, results.frame), ("cross", results.cross)):
        with write_atomic(folder / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    caveat = [CAVEAT] if results.frame["error_mean_V"].notna().any() else []  # of the literature's inverter methods
    text = "\n".join([*map(markdown, results.tables()), *caveat, ""])
    with write_atomic(folder / f"{STEM}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return results


def write_results(folder: Path) -> Path:
    """The tables, and the page, whose path is returned. Cells that are missing are shown as missing."""
    results = write_tables(folder)
    from spicetrain.compare.page import comparison_page

    path = folder / f"{STEM}.html"
    with write_atomic(path) as temporary:
        temporary.write_text(comparison_page(results), encoding="utf-8")
    return path
