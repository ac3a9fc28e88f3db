"""A measured table as a parquet file; what it was measured with stands in the file's own metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.storage import write_atomic
from spicetrain.technology import Technology

if TYPE_CHECKING:
    import pandas as pd

METADATA = b"spicetrain"
_NEXT_STEP = "measure it again (spicetrain characterize), or name another file."


def write_table(path: Path, frame: pd.DataFrame, about: dict[str, Any]) -> None:
    """Write `frame` atomically, `about` (JSON) as its provenance. StorageError when it cannot be written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA: json.dumps(about).encode()})
    with write_atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(path: Path) -> pd.DataFrame:
    """A table, units in its column names. StorageError when it is missing, damaged, or not one of ours."""
    return read_with_about(path)[0]


def read_about(path: Path) -> dict[str, Any]:
    """A table's provenance: technology and its fingerprint, plan, ngspice version, seconds. StorageError as above."""
    return read_with_about(path)[1]


def read_measured(path: Path, technology: Technology) -> pd.DataFrame:
    """A table of this technology. StorageError as above; ConfigurationError when it was measured of another one."""
    table, about = read_with_about(path)
    if about.get("technology_fingerprint") != technology.fingerprint:
        raise ConfigurationError(
            f"{path} was measured of another technology than {technology.name!r} as it is now: its file or its model "
            "library has changed since, or another one is named. Characterize again, or name the technology it is of."
        )
    return table


def read_with_about(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table and its provenance. StorageError as above."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True)
        about = json.loads((table.schema.metadata or {})[METADATA])
    except FileNotFoundError as error:
        raise StorageError(f"There is no table {path}: {_NEXT_STEP}") from error
    except KeyError as error:
        raise StorageError(f"{path} was not written by spicetrain, it has no provenance: {_NEXT_STEP}") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StorageError(f"Cannot read the table {path} ({error}). It is damaged: {_NEXT_STEP}") from error
    return table.to_pandas(), about
