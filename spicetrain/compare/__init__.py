"""Methods x datasets x seeds in one table and on one page, every cell a run folder."""

from spicetrain.compare.definition import (
    Comparison,
    comparisons,
    default_folder,
    is_comparison_folder,
    load_comparison,
)
from spicetrain.compare.run import Compare
from spicetrain.compare.write import Results, write_results

__all__ = [
    "Compare",
    "Comparison",
    "Results",
    "comparisons",
    "default_folder",
    "is_comparison_folder",
    "load_comparison",
    "write_results",
]
