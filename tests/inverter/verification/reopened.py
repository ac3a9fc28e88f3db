"""The tiny run opened again with other settings of its verification, and what it wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny

from spicetrain.run import Run
from spicetrain.systems import load_experiment


def reopened(folder: Path, run: dict[str, Any] | None = None, **asked: Any) -> Run:
    """The run in a folder, `asked` of its verification."""
    experiment = load_experiment(folder)
    verification = experiment.verification.model_validate(experiment.verification.model_dump() | asked)
    return Run(experiment.model_copy(update={"verification": verification}), folder, **(run or {"workers": 1}))


def verified_in(folder: Path, **asked: Any) -> Path:
    """`folder` as a copy of the tiny run, verified once more."""
    tiny.finished().copy(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(tiny.finished().cache))
        reopened(folder, **asked).verify()
    return folder


def copied(verified: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Such a folder to work in, with its cache."""
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tiny.finished().cache))
    return Path(shutil.copytree(verified, folder))


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found
