"""Measured and fitted once: what one folder of a comparison holds of it is copied into the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spicetrain.errors import ConfigurationError, SpicetrainError
from spicetrain.run import Run
from spicetrain.runfolder import CONDITIONS, FIT, TABLES, RunFolder
from spicetrain.storage import copy_into


def provide(run: Run, root: Path) -> None:
    """Give `run` its characterization and surrogates: kept, copied from a folder of the comparison at `root` that has
    the same, or made; and what such folders have fitted under other operating conditions."""
    if not (run.folder / FIT).exists():
        _measured_and_fitted(run, root)
    for other in _of_the_same(run, root):
        _take_conditions(run, other)


def _measured_and_fitted(run: Run, root: Path) -> None:
    for other in _of_the_same(run, root):
        try:
            adopt(run, other)
        except SpicetrainError:  # damaged there, or measured with what has changed since
            continue
        return
    run.characterize()
    run.fit_surrogates()


def adopt(run: Run, other: Run) -> None:
    """Take the characterization and the surrogates of another folder, instead of making them again.

    ConfigurationError when that one is of another technology, plan or fit, StorageError when it holds none.
    """
    ours, theirs = run.experiment.measured_as(), other.experiment.measured_as()
    differing = [name for name, value in ours.items() if theirs.get(name) != value]
    if differing:
        raise ConfigurationError(f"{other.folder} was made with another {' and '.join(differing)} than this asks.")
    other.surrogates()
    known = ("plan", "ngspice that characterized")
    inputs = {name: value for name, value in other.files.manifest["inputs_sha256"].items() if name in known}
    with run.room("characterize", inputs, copied_from=str(other.folder)):
        copy_into(run.files / TABLES, (other.files / TABLES).iterdir())
    with run.room("fit-surrogates", seed=run.experiment.surrogates.seed, copied_from=str(other.folder)):
        fit = [path for path in other.folder.glob("surrogates*") if path.name != FIT]
        copy_into(run.folder, [*fit, other.files / FIT])  # the last, by which it is recognised


def _take_conditions(run: Run, other: Run) -> None:
    """Copy what is fitted there under conditions that this folder has nothing of; whoever needs one sees by its key
    whether it is the one."""
    for fit in sorted(other.folder.glob(f"{CONDITIONS}/*/{FIT}")):
        ours = run.files / CONDITIONS / fit.parent.name
        if not (ours / FIT).exists():
            copy_into(ours / TABLES, (fit.parent / TABLES).glob("*.parquet"))
            copy_into(ours, [*(path for path in fit.parent.glob("surrogates*") if path.name != FIT), fit])


def _of_the_same(run: Run, root: Path) -> Iterator[Run]:
    """Folders of cells, and of what was tried for them."""
    for kind in ("*/*/seed-*", "*/*/search/*"):
        for path in sorted(root.glob(f"{kind}/{FIT}")):
            if not RunFolder(path.parent).is_one:
                continue
            other = Run(path.parent, path.parent)
            if other.experiment.measured_as() == run.experiment.measured_as():
                yield other
