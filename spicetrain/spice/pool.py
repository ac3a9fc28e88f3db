"""The same function over many items, in parallel processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import Any, TypeVar

from spicetrain.errors import ConfigurationError, SimulationError
from spicetrain.spice.process import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[tuple[int, Any]]]


class Lost(BrokenExecutor):
    """What an executor cannot do any more: what happened, and what is likely and to be done."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice


_KILLED = Lost(
    "A worker process was killed",
    "Likely: the machine ran out of memory, or somebody killed it. Run it again, with fewer workers if memory was "
    "short.",
)


def map_unordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> Generator[tuple[int, Result], None, None]:
    """Yield (index of the item, function(item)) as they finish.

    workers   processes of our own pool; None: one a core. One worker or one item runs in this process.
    executor  any concurrent.futures executor instead; it is the caller's, so it is not shut down here. What
              it already runs when we are interrupted, it finishes.

    When `function` raises, or the consumer stops or is interrupted, our workers and their simulations are
    killed; results that had finished were yielded before. SimulationError when a worker is killed.
    """
    listed = list(items)
    if executor is not None:
        yield from _results(executor, function, listed, cancel=True)
        return
    count = min(workers or available_cores(), len(listed))
    if count <= 1:
        yield from ((index, function(item)) for index, item in enumerate(listed))
        return
    with _own_pool(count) as own:
        # A killed pool ends its futures itself, and trips over a cancelled one.
        yield from _results(own, function, listed, cancel=False)


def executor_named(name: str) -> Executor:
    """What "module:callable" gives when it is called, the module also looked for in the working folder.

    ConfigurationError when that is no executor.
    """
    module, _, attribute = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        executor = getattr(import_module(module), attribute)()
    except Exception as error:  # whatever somebody's module may raise
        raise ConfigurationError(
            f"--executor {name}: {type(error).__name__}: {error}. Give module:callable, which, called without "
            "arguments, returns a concurrent.futures executor."
        ) from error
    if not isinstance(executor, Executor):
        raise ConfigurationError(f"--executor {name}: it gave a {type(executor).__name__}, not an executor.")
    return executor


@contextmanager
def persistent_workers(workers: int | None = None) -> Iterator[Map]:
    """map_unordered for many small maps: (function, items) -> its results, by worker processes that stay.

    They start with the first map and are killed, with their simulations, at the end of the context, however that comes.
    After an error of a map nothing more can be asked of it. One worker: this process.
    """
    count = workers or available_cores()
    if count <= 1:
        yield lambda function, items: map_unordered(function, items, workers=1)
        return
    with _own_pool(count) as own:
        yield lambda function, items: _results(own, function, list(items), cancel=False)


def available_cores() -> int:
    """Cores this process may use: its affinity and its container's limit count."""
    import loky

    return int(loky.cpu_count())


def _results(
    executor: Executor, function: Callable[[Item], Result], items: list[Item], *, cancel: bool
) -> Iterator[tuple[int, Result]]:
    pending: dict[Future[Result], int] = {}
    try:
        with interrupts_held():  # workers start here and inherit it: Ctrl-C is the parent's alone
            pending = {executor.submit(function, item): index for index, item in enumerate(items)}
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=_failed):  # what has finished is handed out before anything is raised
                index = pending.pop(future)
                yield index, future.result()
    except BrokenExecutor as error:
        lost = error if isinstance(error, Lost) else _KILLED
        finished = f"{len(items) - len(pending) - 1} of {len(items)} pieces had finished and are kept"
        raise SimulationError(f"{lost.what}; {finished}. {lost.advice}") from error
    finally:
        for future in pending if cancel else ():
            future.cancel()


def _failed(future: Future[Result]) -> bool:
    return future.cancelled() or future.exception() is not None


@contextmanager
def _own_pool(workers: int) -> Iterator[Executor]:
    """Worker processes and their temporary folder, both gone at the end; what the error names as kept, stays."""
    import loky

    ensure_running()  # before Ctrl-C is held back: its start ends with letting Ctrl-C through
    folder = Path(tempfile.mkdtemp(prefix="spicetrain-pool-"))
    pool = loky.ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(os.getpid(), str(folder)))
    kept: Path | None = None
    try:
        yield pool
    except SimulationError as error:
        kept = error.folder
        raise
    finally:
        pool.shutdown(wait=True, kill_workers=True)
        for run in folder.iterdir():
            if run != kept:
                shutil.rmtree(run, ignore_errors=True)
        with suppress(OSError):  # not empty: a failed run is kept in it
            folder.rmdir()


def _start_worker(parent: int, folder: str) -> None:
    """In the worker: do not outlive the parent, and keep run folders where it will look for them."""
    die_with_parent(parent)
    tempfile.tempdir = folder


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C in this thread; processes started meanwhile hold it back for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
