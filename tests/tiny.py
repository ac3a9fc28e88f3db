"""A whole experiment that takes seconds: iris, a coarse plan, three epochs; and a finished run folder of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from spicetrain.experiment import Run, load_experiment
from spicetrain.spice.ngspice import find_ngspice

TOML = """
[dataset]
name = "iris"

[characterization]
plan = "plan.toml"

[surrogates]
hidden = [6]
points = 400
iterations = 30
load_iterations = 5
starts = 1

[network]
layers = [4, 3, 3]
inverter_sizes = [8.0, 1.0]
encoding = "bipolar"

[training]
epochs = 3
batch_size = 40

[verification]
images = 30
flat_images = 2
"""
PLAN = """
[current_surface]
points = 31
"""

# The real ngspice until it has run as often as the file `left` says; then ACTION instead, in one process, as ngspice is.
_WRAPPER = """#!/bin/sh
if [ "$1" = -b ]; then
    echo x >> "{folder}/runs"
    [ $(wc -l < "{folder}/runs") -le $(cat "{folder}/left") ] || {action}
fi
exec "{real}" "$@"
"""


def write_experiment(folder: Path, *, plan: str = PLAN) -> Path:
    """tiny.toml and its plan in `folder`; the path of the first."""
    (folder / "plan.toml").write_text(plan)
    (folder / "tiny.toml").write_text(TOML)
    return folder / "tiny.toml"


@dataclass(frozen=True)
class Finished:
    """A run folder with everything in it, and the cache that its tables are in."""

    folder: Path
    cache: Path

    def copy(self, to: Path) -> Path:
        return shutil.copytree(self.folder, to)


@cache
def finished() -> Finished:
    """Once a process; tests work on copies."""
    root = tempfile.TemporaryDirectory(prefix="spicetrain-tiny-")
    _kept.append(root)  # until Python exits
    base = Path(root.name)
    toml = write_experiment(base)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(base / "cache"))
        Run(load_experiment(toml), base / "run", workers=1).all()
    return Finished(base / "run", base / "cache")


_kept: list[tempfile.TemporaryDirectory] = []


@dataclass(frozen=True)
class Wrapper:
    """An ngspice that counts its runs, and does something else after so many."""

    folder: Path
    executable: Path

    @classmethod
    def make(cls, folder: Path, action: str, left: int = 1000) -> Wrapper:
        folder.mkdir()
        wrapper = cls(folder, folder / "ngspice")
        real = find_ngspice().executable
        wrapper.executable.write_text(_WRAPPER.format(folder=folder, action=action, real=real))
        wrapper.executable.chmod(0o755)
        wrapper.allow(left)
        return wrapper

    def allow(self, left: int) -> None:
        """Begin to count again: so many runs are real ones."""
        (self.folder / "left").write_text(str(left))
        (self.folder / "runs").write_text("")

    @property
    def runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())
