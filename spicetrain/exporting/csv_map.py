"""The programming map as text: a header, a line a device; numbers as short as they can be and still read back."""

from __future__ import annotations

from pathlib import Path

from spicetrain.exporting import Export, Format
from spicetrain.exporting.programming_map import map_of
from spicetrain.storage import write_atomic


def write(export: Export, path: Path) -> None:
    """A level_S that there is not is left empty."""
    import pandas as pd

    frame = pd.DataFrame(map_of(export))
    with write_atomic(path) as temporary:
        frame.to_csv(temporary, index=False)


FORMAT = Format("programming.csv", write)
