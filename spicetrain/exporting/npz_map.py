"""The programming map as numpy arrays, one a column, of equal length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spicetrain.exporting import Export, Format
from spicetrain.exporting.programming_map import map_of
from spicetrain.storage import write_atomic


def write(export: Export, path: Path) -> None:
    columns: dict[str, Any] = {**map_of(export)}
    with write_atomic(path) as temporary, open(temporary, "wb") as stream:  # of a name, numpy would add .npz to it
        np.savez_compressed(stream, **columns)


FORMAT = Format("programming.npz", write)
