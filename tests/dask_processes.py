"""A scheduler and workers of dask.distributed, as processes of their own, and a work that they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator

TESTS = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Work:
    """A deck in ngspice; who begins it writes so into `folder`, and waits as long as it is held there.

    deadly  the worker that begins it dies
    """

    folder: Path
    name: str
    deck: Deck
    deadly: bool = False

    def __call__(self, simulator: Simulator) -> dict[str, NDArray]:
        with open(self.folder / "began", "a") as began:
            began.write(f"{self.name} {os.getpid()}\n")
        if self.deadly:
            os.kill(os.getpid(), 9)
        until(lambda: not (self.folder / f"hold-{self.name}").exists())
        return simulator.simulate(self.deck).values


def do(simulator: Simulator, work: Work) -> dict[str, Any]:
    return work(simulator)


def began(folder: Path) -> list[tuple[str, int]]:
    """(name of a work, process) of each that was begun."""
    path = folder / "began"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@dataclass
class Processes:
    """Whatever is started is killed by `end`. settings: environment variables of all; before: words in front of one."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(json.loads(self._file.read_text())["address"])

    @property
    def _file(self) -> Path:
        return self.folder / "scheduler.json"

    def scheduler(self, host: str = "127.0.0.1") -> subprocess.Popen[bytes]:
        found = self._start("scheduler", "--host", host, "--port", "0", "--scheduler-file", str(self._file))
        until(self._file.exists)
        return found

    def worker(self, *words: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        local = ("--local-directory", str(self.folder), "--nthreads", "1", "--no-nanny")
        return self._start("worker", self.address, *local, *words, before=before)

    def staff(self, count: int) -> None:
        """So many workers, whoever was killed before: others are started, or those too many killed."""
        alive = [process for process in self.running[1:] if process.poll() is None]
        for process in alive[count:]:
            process.kill()
            process.wait()
        for _ in range(count - len(alive)):
            self.worker()

    def _start(self, kind: str, *words: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(self.folder), **self.settings}
        command = [*before, sys.executable, "-m", f"distributed.cli.dask_{kind}", *words, "--no-dashboard"]
        with open(self.folder / f"{kind}-{len(self.running)}.log", "wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        self.running.append(process)
        return process

    def end(self) -> None:
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()
