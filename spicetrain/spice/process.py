"""One ngspice process in one folder: started, waited for, and never left behind."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DECK, LOG, RAW = "deck.cir", "ngspice.log", "out.raw"

# A local .spiceinit replaces the user's own, so a run depends on nothing outside its folder; the system's
# spinit, which loads the XSPICE code models, is read all the same. One thread: the pool works in parallel,
# and newer versions lose a factor 4..6 to threads and memory checks on small circuits. An older version
# ignores what it does not know.
_SPICEINIT = "set num_threads=1\nset no_mem_check\n"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Outcome:
    """How a process ended; `exit_code` None: stopped at the time limit, -N: killed by signal N."""

    exit_code: int | None
    seconds: float
    log: str


def die_with_parent(parent: int) -> None:
    """Have the kernel SIGKILL this process when its parent does (Linux; elsewhere nothing happens)."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before we had asked
        os.kill(os.getpid(), signal.SIGKILL)


def run_in(folder: Path, executable: Path, *, timeout_s: float, setup: str = "") -> Outcome:
    """Run `ngspice -b -r out.raw deck.cir` in `folder`, with the lines of `setup` in its .spiceinit; OSError when the
    program cannot be started.

    The process has a session of its own, so a Ctrl-C reaches only us; we kill it on any exception.
    """
    (folder / ".spiceinit").write_text(_SPICEINIT + setup)
    command = [str(executable), "-b", "-r", RAW, DECK]
    start = time.perf_counter()
    with open(folder / LOG, "wb") as log:
        exit_code = _wait(_Process(command, folder, log.fileno()), timeout_s)
    seconds = time.perf_counter() - start
    return Outcome(exit_code, seconds, (folder / LOG).read_text(errors="replace"))


class _Process(subprocess.Popen[bytes]):
    """ngspice; killed even when the exception falls between its start and the end of this constructor."""

    def __init__(self, command: list[str], folder: Path, log: int) -> None:
        try:
            super().__init__(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_death_wish(os.getpid()),
            )
        except BaseException:
            if getattr(self, "pid", None):
                self.end()
            raise

    def end(self) -> None:
        """Kill the whole session: the executable may be a script that started ngspice as its child."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _await_end(process: _Process, timeout_s: float) -> None:
    """Return as soon as the process has ended, or when the time is up. Popen.wait looks only every 50 ms."""
    if not hasattr(os, "pidfd_open"):
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
        return
    handle = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(timeout_s * 1000)
    finally:
        os.close(handle)


def _death_wish(parent: int) -> Callable[[], None]:
    return lambda: die_with_parent(parent)


def _wait(process: _Process, timeout_s: float) -> int | None:
    try:
        _await_end(process, timeout_s)
        return process.poll()
    finally:
        if process.returncode is None:
            process.end()
            process.wait()
