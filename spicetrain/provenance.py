"""With what something was made: versions, revision, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spicetrain.version import __version__

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("numpy", "scipy", "torch", "PySpice", "scikit-learn", "snntorch")


def origin() -> dict[str, Any]:
    """Versions and the machine."""
    return {
        "spicetrain": __version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "cores": os.cpu_count(),
    }


def _git_revision() -> str | None:
    """The checkout's revision; None in an installed wheel, which may lie within a checkout of something else."""
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
