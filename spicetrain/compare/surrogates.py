"""Measured and fitted once: what one folder of a comparison holds of it is copied into the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spicetrain.errors import SpicetrainError
from spicetrain.run import Run
from spicetrain.runfolder import FIT, RunFolder


def provide(run: Run, root: Path) -> None:
    """Give `run` its characterization and surrogates: kept, copied from a folder of the comparison at `root` that has
    the same, or made."""
    if (run.folder / FIT).exists():
        return
    for other in _of_the_same(run, root):
        try:
            run.adopt(other)
        except SpicetrainError:  # damaged there, or measured with what has changed since
            continue
        return
    run.characterize()
    run.fit_surrogates()


def _of_the_same(run: Run, root: Path) -> Iterator[Run]:
    """Folders of cells, and of what was tried for them."""
    for kind in ("*/*/seed-*", "*/*/search/*"):
        for path in sorted(root.glob(f"{kind}/{FIT}")):
            if not RunFolder(path.parent).is_one:
                continue
            other = Run(path.parent, path.parent)
            if other.experiment.measured_as() == run.experiment.measured_as():
                yield other
