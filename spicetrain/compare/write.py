"""Everything a comparison's folder holds so far: comparison.parquet, .csv, .md and .html, and what a system adds."""

from __future__ import annotations

from pathlib import Path

from spicetrain.compare.markdown import markdown
from spicetrain.compare.page import comparison_page
from spicetrain.compare.results import Results
from spicetrain.storage import write_atomic

STEM = "comparison"


def write_tables(folder: Path) -> Results:
    """comparison.parquet and .csv (a row a cell), comparison.md, further tables of the systems' own as .csv."""
    results = Results.read(folder)
    with write_atomic(folder / f"{STEM}.parquet") as temporary:
        results.frame.to_parquet(temporary)
    for name, frame in {STEM: results.frame, **results.frames()}.items():
        with write_atomic(folder / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    text = "\n".join([*map(markdown, results.tables()), *results.remarks(), ""])
    with write_atomic(folder / f"{STEM}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return results


def write_results(folder: Path) -> Path:
    """The tables, and the page, whose path is returned. Cells that are missing are shown as missing."""
    results = write_tables(folder)
    path = folder / f"{STEM}.html"
    with write_atomic(path) as temporary:
        temporary.write_text(comparison_page(results), encoding="utf-8")
    return path
