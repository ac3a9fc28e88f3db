"""Every error spicetrain raises on purpose. The command line prints the text and exits with `exit_code`.

    SpicetrainError                 1
    |-- ConfigurationError          2   what the user wrote or gave: TOML, flags, files, folders
    |   |-- TechnologyError             technology file, rails, models
    |   |-- DatasetError                images missing, damaged or not the published ones
    |   |-- ArchitectureMismatch        checkpoint or surrogates made for another network
    |   |-- DomainError                 a surrogate asked outside the range it was measured in
    |   `-- StorageError                disk full, folder not writable, damaged artefact
    |-- NgspiceError                3   ngspice is missing, too old, or does not start
    |-- SimulationError             4   ngspice ran and its answer cannot be used
    `-- VerificationError           5   the verified network misses what was asked of it

A KeyboardInterrupt is left alone; the command line turns it into 130.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SpicetrainError(Exception):
    """Root of the tree. The text says what happened, the likely causes and the next step."""

    exit_code = 1


class ConfigurationError(SpicetrainError):
    """Something the user wrote or gave cannot be used."""

    exit_code = 2


class TechnologyError(ConfigurationError):
    """A technology file is wrong: rails, models, unit sizes."""


class DatasetError(ConfigurationError):
    """A dataset is missing, damaged, or not the published one."""


class ArchitectureMismatch(ConfigurationError):
    """An artefact was made for a network of another shape."""


class DomainError(ConfigurationError):
    """A surrogate was asked outside the domain it was measured in."""


class StorageError(ConfigurationError):
    """A file cannot be written or read: full disk, permissions, damaged content."""


class NgspiceError(SpicetrainError):
    """ngspice is missing, too old, or does not start."""

    exit_code = 3


class SimulationError(SpicetrainError):
    """ngspice ran, but its answer cannot be used. `folder` holds the kept deck and log, if any."""

    exit_code = 4

    def __init__(self, message: str, folder: Path | None = None) -> None:
        super().__init__(message)
        self.folder = folder


class VerificationError(SpicetrainError):
    """The verification found the network worse than what was asked of it."""

    exit_code = 5


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an "unknown name" message: " Did you mean 'x'?", or " Known: a, b." when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
