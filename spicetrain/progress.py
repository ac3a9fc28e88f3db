"""One progress bar on stderr, silent when stderr is not a terminal; and remarks."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Track:
    """A bar of `total` steps; fields such as loss=0.12 are shown behind it."""

    def __init__(self, progress: Progress | None, description: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="") if progress else None
        self._fields: dict[str, object] = {}

    def advance(self, n: int = 1, **fields: object) -> None:
        """n more steps are done."""
        self._show(n, fields)

    def update(self, **fields: object) -> None:
        """Show new values without a step."""
        self._show(0, fields)

    def _show(self, steps: int, fields: dict[str, object]) -> None:
        if self._progress is None or self._task is None:
            return
        self._fields.update(fields)
        note = "  ".join(f"{name} {_short(value)}" for name, value in self._fields.items())
        self._progress.update(self._task, advance=steps, note=note)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def track(description: str, total: int, unit: str = "") -> Track:
    """A progress bar as a context manager: `with track("train", 235) as bar: bar.advance(loss=...)`."""
    if not sys.stderr.isatty():
        return Track(None, description, total)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn(unit, markup=False),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    return Track(Progress(*columns, console=Console(stderr=True)), description, total)


def say(text: str) -> None:
    """A line for the user, beside what is asked for."""
    print(f"spicetrain: {text}", file=sys.stderr)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
