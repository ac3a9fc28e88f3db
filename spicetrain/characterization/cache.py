"""Tables and their finished parts, kept by what they were measured from: asked again, they are read."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spicetrain.errors import StorageError
from spicetrain.storage import cache_folder, write_atomic
from spicetrain.tables import read_with_about, write_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CacheEntry:
    """Where one table is kept; `key` is the content hash of all that its values depend on."""

    name: str
    key: str

    @property
    def folder(self) -> Path:
        return cache_folder() / "characterization" / self.key

    @property
    def table(self) -> Path:
        return self.folder / f"{self.name}.parquet"

    def has_table(self) -> bool:
        """Whether the whole table is there and undamaged."""
        return self._read(self.table) is not None

    def adopt(self, path: Path) -> bool:
        """Take over a table from elsewhere, a run folder moved here, when it is this very one and undamaged."""
        if self._read(path) is None:
            return False
        with write_atomic(self.table) as temporary:
            shutil.copyfile(path, temporary)
        return True

    def read_part(self, part: int, parts: int) -> pd.DataFrame | None:
        """A finished part of a table that is not; None when it is missing or damaged."""
        return self._read(self._part(part, parts))

    def write_part(self, part: int, parts: int, frame: pd.DataFrame) -> None:
        write_table(self._part(part, parts), frame, {"key": self.key})

    def write_table(self, frame: pd.DataFrame, about: dict[str, Any]) -> None:
        """Keep the whole table; its parts are not needed any more."""
        write_table(self.table, frame, about | {"key": self.key})
        for path in self.folder.glob("part-*.parquet"):
            with suppress(OSError):
                path.unlink()

    def copy_to(self, path: Path) -> None:
        with write_atomic(path) as temporary:
            shutil.copyfile(self.table, temporary)

    def _part(self, part: int, parts: int) -> Path:
        return self.folder / f"part-{part + 1}-of-{parts}.parquet"

    def _read(self, path: Path) -> pd.DataFrame | None:
        with suppress(StorageError):
            frame, about = read_with_about(path)
            return frame if about.get("key") == self.key else None
        return None
