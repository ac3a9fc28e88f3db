"""Every test of this folder that asks for `ngspice` runs with each one there is: required, never skipped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import processes_in

from spicetrain.spice.ngspice import Ngspice, find_ngspice

OTHERS = [name for name in os.environ.get("SPICETRAIN_NGSPICE_OTHERS", "").split(os.pathsep) if name]


@pytest.fixture(params=[None, *OTHERS], ids=lambda name: Path(name).name if name else "found", scope="session")
def ngspice(request: pytest.FixtureRequest) -> Ngspice:
    """The one that spicetrain finds, and those named in $SPICETRAIN_NGSPICE_OTHERS (separated like PATH)."""
    return find_ngspice(request.param)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that run folders go to, in this process and in those it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield tmp_path
    assert eventually(lambda: not processes_in(tmp_path)), "a process was left behind"


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether `condition` comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
