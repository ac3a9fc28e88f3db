"""Which tables of a plan are there already, found without asking an ngspice for its version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicetrain.characterization.characterize import table_key
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Subject
from spicetrain.errors import StorageError
from spicetrain.storage import cache_folder
from spicetrain.tables import METADATA, read_about


@dataclass(frozen=True)
class Stored:
    """A table that a plan asks for; ngspice_versions: of those that measured it, empty where nobody has."""

    name: str
    ngspice_versions: tuple[int, ...] = ()


def stored_tables(subject: Subject, plan: Plan, folder: Path) -> list[Stored]:
    """The tables of `plan` that `subject` has, as they are in `folder` and in the cache. Nothing is written."""
    found = []
    for name, section in plan.sections.items():
        kind = plan.kinds[name]
        if not kind.applies(subject):
            continue
        versions = {
            version
            for path in _candidates(name, folder)
            if (about := _provenance(path)) is not None
            and isinstance(version := about.get("ngspice_version"), int)
            and about.get("key") == table_key(name, kind, section, subject, version)
            and _is_whole(path)
        }
        found.append(Stored(name, tuple(sorted(versions))))
    return found


def _candidates(name: str, folder: Path) -> Iterator[Path]:
    yield folder / f"{name}.parquet"
    yield from (cache_folder() / "characterization").glob(f"*/{name}.parquet")


def _provenance(path: Path) -> dict[str, Any] | None:
    """From the file's schema alone; None when there is none to be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with suppress(OSError, ValueError, KeyError, pa.ArrowException):
        about = json.loads((pq.read_schema(path).metadata or {})[METADATA])
        return about if isinstance(about, dict) else None
    return None


def _is_whole(path: Path) -> bool:
    with suppress(StorageError):
        return bool(read_about(path))
    return False
