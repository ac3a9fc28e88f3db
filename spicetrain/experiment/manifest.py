"""What a run folder was made with: versions, revision, checksums."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spicetrain
from spicetrain.storage import content_hash, sha256_of_file

if TYPE_CHECKING:
    from spicetrain.characterization.plan import Plan
    from spicetrain.datasets import Dataset
    from spicetrain.technology import Technology

_PACKAGES = ("numpy", "scipy", "torch", "PySpice", "scikit-learn", "snntorch")


def origin() -> dict[str, Any]:
    """Versions and the machine."""
    return {
        "spicetrain": spicetrain.__version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "cores": os.cpu_count(),
    }


def technology_entry(technology: Technology) -> dict[str, str]:
    return {
        "name": technology.name,
        "fingerprint": technology.fingerprint,
        "library_sha256": sha256_of_file(technology.library),
    }


def plan_sha256(plan: Plan) -> str:
    """Of what the plan says, wherever its file lies and however it is commented."""
    return content_hash(plan.model_dump(mode="json", exclude={"folder", "description"}))


def dataset_sha256(dataset: Dataset) -> dict[str, str]:
    """Of every image file's decompressed content, which is checked when it is read; of iris, which has none, of the
    arrays."""
    from spicetrain.assets import dataset_sources
    from spicetrain.datasets.sources import read_sources

    source = read_sources(dataset_sources()).get(dataset.name)
    if source is not None:
        return {f"{dataset.name}/{file.name}": file.sha256 for file in source.files.values()}
    arrays = (dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels)
    return {dataset.name: content_hash(*(array.tobytes() for array in arrays))}


def _git_revision() -> str | None:
    """The checkout's revision; None in an installed wheel, which may lie within a checkout of something else."""
    root = Path(spicetrain.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
