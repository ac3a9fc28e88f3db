"""SOURCES.toml: which files a dataset has, what they contain, and who offers them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImageFile:
    """One gzipped IDX file; `sha256` is of its decompressed content, the same in every mirror."""

    name: str
    count: int  # images or labels
    sha256: str


@dataclass(frozen=True)
class ImageSource:
    """One dataset of images; `files` has train_images, train_labels, test_images, test_labels."""

    name: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]  # URLs of folders
    files: dict[str, ImageFile]

    def missing_in(self, folder: Path) -> list[ImageFile]:
        """The files that `folder` lacks."""
        return [file for file in self.files.values() if not (folder / file.name).is_file()]


def read_sources(path: Path) -> dict[str, ImageSource]:
    """Every dataset that SOURCES.toml describes, by name."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: ImageSource(
            name=name,
            classes=tuple(table["classes"]),
            mirrors=tuple(table["mirrors"]),
            files={role: ImageFile(**file) for role, file in table["files"].items()},
        )
        for name, table in tables.items()
    }
