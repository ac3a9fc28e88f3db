"""What is made once in a test run, by whichever worker needs it first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest


class _Root:
    folder: Path | None = None


def begin(factory: pytest.TempPathFactory) -> None:
    """Before the first test: pytest's own folder of this run, that of all workers where there are some."""
    own = factory.getbasetemp()
    _Root.folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def root() -> Path:
    assert _Root.folder is not None
    return _Root.folder


@cache
def once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` has filled; other workers wait. Tests work on copies."""
    folder, finished = root() / name, root() / f"{name}.finished"
    with (root() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that failed
            folder.mkdir()
            make(folder)
            finished.touch()
    return folder
