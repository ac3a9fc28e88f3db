"""Trainings that are interrupted, and what they wrote."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def interrupt_at(patch: pytest.MonkeyPatch, loop: ModuleType, steps: int) -> None:
    """Ctrl-C in the progress bar of a training loop's module, at the given step of this call."""

    class Bar:
        def __enter__(self) -> Bar:
            self.left = steps
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def advance(self, n: int = 1, **fields: object) -> None:
            self.left -= bool(fields)
            if self.left == 0:
                raise KeyboardInterrupt

        def update(self, **fields: object) -> None:
            pass

    patch.setattr(loop, "track", lambda *_: Bar())
