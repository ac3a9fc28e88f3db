"""The model files of a technology copied beside a deck, which reads them by relative paths."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spicetrain import include_tree
from spicetrain.errors import ConfigurationError, TechnologyError
from spicetrain.netlists.cells import model_lines, setup_lines
from spicetrain.spice.deck import setup_of
from spicetrain.storage import write_atomic
from spicetrain.technology import Technology

_SETUP = ".spiceinit"


@dataclass(frozen=True)
class ModelsBeside:
    """The model files of `technology`, to be copied into `folder` as they lie to each other, for decks beside it."""

    technology: Technology
    folder: Path

    @cached_property
    def _parts(self) -> list[tuple[Path, str | None]]:
        section = self.technology.transistors.section
        return [*((path, None) for path in self.technology.includes), (self.technology.library, section)]

    @cached_property
    def _files(self) -> list[Path]:
        return sorted({file for part in self._parts for file in include_tree.files(*part)})

    @cached_property
    def _root(self) -> Path:
        return Path(os.path.commonpath([file.parent for file in self._files]))

    def _copy_of(self, file: Path) -> Path:
        return self.folder / file.relative_to(self._root)

    @property
    def lines(self) -> list[str]:
        """Of a deck beside the folder."""
        return model_lines(self.technology, lambda path: f"{self.folder.name}/{path.relative_to(self._root)}")

    @property
    def setup(self) -> str:
        """What ngspice is told before it reads anything: of a .spiceinit beside the folder; empty: nothing."""
        return setup_of("\n".join(setup_lines(self.technology)))

    def write(self) -> None:
        """Copy the files, and write .spiceinit where the library asks for one.

        StorageError; ConfigurationError when another .spiceinit is there; TechnologyError when files name others by
        paths that lead elsewhere from the copies.
        """
        path = self.folder.parent / _SETUP
        if self.setup and path.exists() and path.read_text(encoding="utf-8") != self.setup:
            raise ConfigurationError(
                f"{path} is there and says something else than the library of {self.technology.name!r} asks for: "
                "name a file in a folder of its own by --out."
            )
        for file in self._files:
            with write_atomic(self._copy_of(file)) as temporary:
                shutil.copyfile(file, temporary)
        for part, section in self._parts:
            if include_tree.checksums(self._copy_of(part), section) != include_tree.checksums(part, section):
                raise TechnologyError(
                    f"{part} names files in a way that does not lead to the same ones from its copy {self.folder}: "
                    "absolute paths, or links. Write relative paths in it."
                )
        if self.setup:
            with write_atomic(path) as temporary:
                temporary.write_text(self.setup, encoding="utf-8")
