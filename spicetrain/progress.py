"""Progress on stderr: a bar on a terminal; where there is none, of the command line, lines; and remarks.

As a library spicetrain has no lines. A bar and lines are silenced by $SPICETRAIN_QUIET, or by `speaking(quiet=True)`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

QUIET = "SPICETRAIN_QUIET"
INTERVAL_S = 60.0


class _Voice:
    """Lines on stderr. What is only said now and then waits until `INTERVAL_S` after the line before."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._said_s = time.monotonic()

    def line(self, text: str) -> None:
        self._said_s = time.monotonic()
        say(text)
        sys.stderr.flush()

    def is_due(self) -> bool:
        return time.monotonic() - self._said_s >= INTERVAL_S


_voice: ContextVar[_Voice | None] = ContextVar("voice", default=None)


@contextmanager
def speaking(*, quiet: bool = False) -> Iterator[None]:
    """Within it rooms and tracks speak in lines where stderr is no terminal; quiet: there is no progress at all."""
    token = _voice.set(_Voice(quiet))
    try:
        yield
    finally:
        _voice.reset(token)


def is_quiet() -> bool:
    """Whether progress is unwanted."""
    voice = _voice.get()
    return bool(os.environ.get(QUIET)) or (voice is not None and voice.quiet)


def _listened_to() -> _Voice | None:
    return None if is_quiet() or sys.stderr.isatty() else _voice.get()


@contextmanager
def room(name: str, folder: Path) -> Iterator[None]:
    """The work of a room, with a line before it and one behind it."""
    voice, started_s = _listened_to(), time.monotonic()
    if voice is None:
        yield
        return
    voice.line(f"{name} begins, in {folder}")
    try:
        yield
    finally:
        voice.line(f"{name} ended after {time.monotonic() - started_s:.1f} s")


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

    @property
    def _note(self) -> str:
        return "  ".join(f"{name} {_short(value)}" for name, value in self._fields.items())

    def _show(self, steps: int, fields: dict[str, object]) -> None:
        if self._progress is None or self._task is None:
            return
        self._fields.update(fields)
        self._progress.update(self._task, advance=steps, note=self._note)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


class _Lines(Track):
    """The same, now and then as a line."""

    def __init__(self, voice: _Voice, description: str, total: int, unit: str) -> None:
        super().__init__(None, description, total)
        self._voice, self._done = voice, 0
        self._form = f"{description}: {{}} of {total} {unit}"

    def _show(self, steps: int, fields: dict[str, object]) -> None:
        self._done += steps
        self._fields.update(fields)
        if self._voice.is_due():
            self._voice.line(f"{self._form.format(self._done).rstrip()}  {self._note}".rstrip())


def track(description: str, total: int, unit: str = "") -> Track:
    """A progress bar as a context manager: `with track("train", 235) as bar: bar.advance(loss=...)`."""
    if (voice := _listened_to()) is not None:
        return _Lines(voice, description, total, unit)
    if is_quiet() or not sys.stderr.isatty():
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
