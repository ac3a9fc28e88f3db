"""Which processes are still there."""

from __future__ import annotations

from pathlib import Path


def processes_in(folder: Path) -> list[int]:
    """Processes that work in `folder` or below it."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(folder):
                found.append(int(link.parent.name))
        except OSError:  # ended meanwhile, or not ours
            continue
    return found
