"""A whole experiment that takes seconds: iris, a coarse plan, three epochs; and a finished run folder of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import shared

from spicetrain.run import Run
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.systems import load_experiment

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

# The real ngspice for as many runs as there are files in `left`, or for ever; then ACTION instead, as one process, as
# ngspice is one. Of two that want the same file only one can move it.
_WRAPPER = """#!/bin/sh
if [ "$1" = -b ]; then
    echo x >> "{folder}/runs"
    [ -e "{folder}/unlimited" ] && mine=yes
    for run in "{folder}/left/"*; do
        [ -n "$mine" ] && break
        mv "$run" "{folder}/used/" 2> /dev/null && mine=yes
    done
    [ -n "$mine" ] || {action}
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


def finished() -> Finished:
    """Once in a test run; tests work on copies."""
    base = shared.once("tiny", _finish)
    return Finished(base / "run", base / "cache")


def _finish(base: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(base / "cache"))
        Run(load_experiment(write_experiment(base)), base / "run", workers=1).all()


@dataclass(frozen=True)
class Wrapper:
    """An ngspice that counts its runs, and does something else after so many."""

    folder: Path
    executable: Path

    @classmethod
    def make(cls, folder: Path, action: str = "true", left: int | None = None) -> Wrapper:
        for inner in ("left", "used"):
            (folder / inner).mkdir(parents=True)
        wrapper = cls(folder, folder / "ngspice")
        real = find_ngspice().executable
        wrapper.executable.write_text(_WRAPPER.format(folder=folder, action=action, real=real))
        wrapper.executable.chmod(0o755)
        wrapper.allow(left)
        return wrapper

    def allow(self, left: int | None = None) -> None:
        """Begin to count again: so many runs are real ones, None: all."""
        (self.folder / "runs").write_text("")
        if left is None:
            (self.folder / "unlimited").touch()
        else:
            (self.folder / "unlimited").unlink(missing_ok=True)
            for number in range(left):
                (self.folder / "left" / str(number)).touch()

    @property
    def runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())
