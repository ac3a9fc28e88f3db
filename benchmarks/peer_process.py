"""A peer in a process of its own, which answers a turn at a time: both sides of a ratio see the same machine.

A question is a line with the number of calls, an answer a line of JSON: {"seconds": of one call, ...}; the first,
before any question, is {"versions": {...}}; {"failed": "why"} is the last.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peer_environment import REPOSITORY, NotInstalled, install, pinned

NEEDED = {"aihwkit": ("aihwkit",), "badcrossbar": ("badcrossbar", "pathvalidate")}
WORKER = Path(__file__).with_name("peer_worker.py")


class PeerFailed(Exception):
    """A peer that runs no further; its text is the reason."""


class PeerProcess:
    """`command`, as a context; what it said of itself stands in `versions`. PeerFailed when it does not start."""

    def __init__(self, command: Sequence[str], threads: int = 1, timeout_s: float = 600.0) -> None:
        paths = os.pathsep.join([str(REPOSITORY), str(WORKER.parent)])
        one = {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        self.timeout_s, self.log = timeout_s, tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | one,
        )
        try:
            self.versions: dict[str, str] = self._answer()["versions"]
        except PeerFailed:
            self.close()
            raise

    def seconds(self, calls: int = 1) -> dict[str, Any]:
        """Its answer to a turn of so many calls. PeerFailed."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{calls}\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerFailed(self._last_words()) from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        late = Timer(self.timeout_s, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        in_time = not late.finished.is_set()
        late.cancel()
        if not line and not in_time:
            raise PeerFailed(f"no answer in {self.timeout_s:g} s")
        return answer_of(line) if line else self._ended()

    def _ended(self) -> dict[str, Any]:
        self.process.wait()
        raise PeerFailed(self._last_words())

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = [line.strip() for line in self.log.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"ended with exit code {self.process.wait()}"

    def close(self) -> None:
        """It ends when nothing more is asked."""
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                with suppress(BrokenPipeError):  # it ended, and the last question is still in the pipe
                    end.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def answer_of(line: str) -> dict[str, Any]:
    """PeerFailed with the peer's own reason, or of what is no answer."""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise PeerFailed(f"said {line.strip()[:80]!r}, which is no answer")
    if "failed" in answer:
        raise PeerFailed(str(answer["failed"]))
    if "versions" not in answer and not _positive(answer.get("seconds")):
        raise PeerFailed(f"said {line.strip()[:80]!r}, in which no time stands")
    return answer


def _positive(value: object) -> bool:
    return isinstance(value, float) and 0 < value < float("inf")


class Peers:
    """Those of a part that can be asked, as a context; why the others cannot stands in `absent`."""

    def __init__(
        self, titles: Mapping[str, str], given: Mapping[str, NDArray], folder: Path, threads: int, timeout_s: float
    ) -> None:
        """titles: by the names of peer_worker.py; given: the problem; folder: of their environment."""
        self.titles, self.given, self.folder, self.threads, self.timeout_s = titles, given, folder, threads, timeout_s
        self.running, self.absent, self.versions = dict[str, PeerProcess](), dict[str, str](), dict[str, str]()

    def __enter__(self) -> Peers:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="spicetrain-peers-")))
        np.savez(folder / "problem.npz", **self.given)  # type: ignore[arg-type]
        for name, title in self.titles.items():
            package = name.split("-")[0]
            try:
                python = install(self.folder, pinned(NEEDED[package]))
                command = [str(python), str(WORKER), name, str(folder / "problem.npz"), str(self.threads)]
                process = PeerProcess(command, self.threads, self.timeout_s)
                self.running[title] = self.stack.enter_context(process)
                self.versions |= {of: number for of, number in process.versions.items() if of == package}
            except NotInstalled as error:
                self.absent[title] = f"not installed: {error}"
            except PeerFailed as error:
                self.absent[title] = f"installed, does not run: {error}"
        return self

    def __exit__(self, *of: object) -> None:
        self.stack.close()

    def turn(self, calls: int) -> dict[str, dict[str, Any]]:
        """An answer of each; one that fails is asked no more."""
        answers = {}
        for name, process in list(self.running.items()):
            try:
                answers[name] = process.seconds(calls)
            except PeerFailed as error:
                self.absent[name] = f"installed, does not run: {error}"
                del self.running[name]
        return answers
