"""Measured and fitted once: what one cell's folder holds of it is copied into the others'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from spicetrain.errors import SpicetrainError
from spicetrain.experiment import Run, load_experiment
from spicetrain.experiment.definition import DEFINITION, FIT


def provide(run: Run, folders: Iterable[Path]) -> None:
    """Give `run` its characterization and surrogates: kept, copied from the first of `folders` that has the same, or
    made."""
    if (run.folder / FIT).exists():
        return
    for other in _of_the_same(run, folders):
        try:
            run.adopt(other)
        except SpicetrainError:  # damaged there, or measured with what has changed since
            continue
        return
    run.characterize()
    run.fit_surrogates()


def _of_the_same(run: Run, folders: Iterable[Path]) -> Iterator[Run]:
    for folder in folders:
        if folder != run.folder and (folder / FIT).exists() and (folder / DEFINITION).exists():
            other = Run(load_experiment(folder), folder)
            same = ("technology", "characterization", "surrogates")
            if all(getattr(other.experiment, name) == getattr(run.experiment, name) for name in same):
                yield other
