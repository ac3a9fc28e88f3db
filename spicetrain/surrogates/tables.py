"""A measured table, checked to be of the technology in hand."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.technology import Technology

_PROVENANCE = b"spicetrain"


def read_measured(path: Path, technology: Technology) -> pd.DataFrame:
    """The table; StorageError: damaged or without provenance; ConfigurationError: measured of another technology."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        fingerprint = json.loads((table.schema.metadata or {})[_PROVENANCE])["technology_fingerprint"]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise StorageError(
            f"Cannot read the table {path}: {error}. It is damaged or was not measured by spicetrain: measure it "
            "again (spicetrain characterize)."
        ) from error
    if fingerprint != technology.fingerprint:
        raise ConfigurationError(
            f"{path} was measured of another technology than {technology.name!r} as it is now: its file or its model "
            "library has changed since, or another one is named. Characterize again, or name the technology it is of."
        )
    return table.to_pandas()
