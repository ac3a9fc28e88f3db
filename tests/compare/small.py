"""A comparison that takes seconds: iris, a coarse plan, three epochs; and its finished folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import shared
from tiny import PLAN

from spicetrain.compare.definition import load_comparison
from spicetrain.compare.run import Compare
from spicetrain.run import Run

TOML = """
datasets = ["iris"]
seeds = [0, 1]

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
flat_images = 0

[energy]
images = 2

[methods.kcl-tuned]
initial = "phax"
training.method = "kcl"

[methods.phax]
training.method = "phax"
search = { setting = "training.phax.load_S", values = [1e-4, 2e-6, 0.0], epochs = 2, validation = 30 }

[methods.kcl]
network.inverter_sizes = [4.0, 1.0]
"""


def write_comparison(folder: Path, text: str = TOML) -> Path:
    """small.toml and its plan in `folder`; the path of the first."""
    (folder / "plan.toml").write_text(PLAN)
    (folder / "small.toml").write_text(text)
    return folder / "small.toml"


def without_reports(patch: pytest.MonkeyPatch) -> None:
    """Of cells, and of runs whose page is not looked at: they are most of the time, and tested elsewhere."""

    def report(run: Run) -> Path:
        path = run.folder / "report.html"
        path.write_text("a page")
        return path

    patch.setattr(Run, "report", report)


@dataclass(frozen=True)
class Finished:
    """A comparison's folder with everything in it, its TOML, and the cache that its tables are in."""

    folder: Path
    toml: Path
    cache: Path

    def copy(self, to: Path) -> Path:
        return shutil.copytree(self.folder, to)


def finished() -> Finished:
    """Once in a test run; tests work on copies."""
    base = shared.once("small", _finish)
    return Finished(base / "out", base / "small.toml", base / "cache")


def _finish(base: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(base / "cache"))
        without_reports(patch)
        Compare(load_comparison(write_comparison(base)), base / "out", workers=1).run()
