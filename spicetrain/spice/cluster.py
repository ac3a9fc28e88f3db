"""Workers of dask.distributed, here or on other machines, as an executor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
from hashlib import sha256
from importlib import import_module
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from spicetrain.errors import ConfigurationError
from spicetrain.include_tree import ModelFiles
from spicetrain.progress import say
from spicetrain.spice.carried import carried
from spicetrain.spice.dask_parts import distributed, end, local_cluster, silence
from spicetrain.spice.installed import installed, require_same
from spicetrain.spice.jobs import Jobs, load_jobs
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.parcel import kept_here, pack, run_piece
from spicetrain.spice.pool import Lost, available_cores, interrupts_held

LOCAL = "local"
_SCHEMES = ("tcp://", "tls://")
_CONNECT_S, _LOOK_S = 5.0, 2.0
_SETTINGS = {
    "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
    "distributed.admin.large-graph-warning-threshold": "1TB",  # a network and its images are
    "distributed.worker.profile.enabled": False,  # nobody looks at it, and it wakes a hundred times a second
    "distributed.worker.daemon": True,  # of a local cluster: gone with this process
}


class Cluster(Executor):
    """Between `with` and its end, pieces of work are done by the workers.

    asked       "local": processes of this machine; tcp://HOST:PORT, tls://HOST:PORT: a scheduler that runs; the path of
                a TOML: jobs of a batch system
    workers     of a local one; None: one a core
    ngspice     the executable that simulates here; what workers have must be the same
    patience_s  for how long there may be no worker at all, before it is given up; jobs may wait in their queue

    A piece whose worker dies is done again by another, as often as the scheduler allows it (three times, if nobody
    changed it). When it cannot be done, or the scheduler is gone, its future raises `Lost`.
    """

    def __init__(
        self, asked: str, *, workers: int | None = None, ngspice: str | Path | None = None, patience_s: float = 60.0
    ) -> None:
        self._asked, self._patience_s = asked, patience_s
        self._jobs: Jobs | None = None
        if asked.endswith(".toml"):
            self._jobs = load_jobs(Path(asked).expanduser())
        elif asked != LOCAL and not asked.startswith(_SCHEMES):
            raise ConfigurationError(
                f"--cluster {asked}: give {LOCAL}, the address of a scheduler (tcp://HOST:8786), or a TOML of jobs."
            )
        self._workers = self._jobs.workers if workers is None and self._jobs else workers
        self._wanted = installed(find_ngspice(ngspice))
        self._dask, self._stack = distributed(), ExitStack()
        self._client: Any = None
        self._function: tuple[Any, Any, Set[ModelFiles]] = (None, None, frozenset())
        self._models: dict[str, Any] = {}
        self._turn, self._begun, self.present, self._seen_s = asyncio.Condition(), 0, 0, 0.0

    @property
    def workers(self) -> int:
        """How many pieces at a time work is cut for; it does not depend on who has come by now."""
        return available_cores() if self._workers is None else self._workers

    def __enter__(self) -> Self:
        """ConfigurationError: no scheduler answers, no worker comes, or one has other versions."""
        with ExitStack() as stack:
            stack.enter_context(import_module("dask").config.set(_SETTINGS))
            silence(stack)
            ensure_running()  # before that, see `pool`
            with interrupts_held():  # processes and threads that start here inherit it: Ctrl-C is the main thread's
                made = self._made(stack)
                try:
                    self._client = self._dask.Client(made, timeout=_CONNECT_S, set_as_default=False)
                except (OSError, ValueError) as error:
                    raise ConfigurationError(
                        f"No scheduler answers at {self._asked} ({error}). Likely: another address, none was started "
                        "(dask scheduler), or a firewall."
                    ) from error
            stack.callback(end, self._client)
            self._await_worker()
            self._require_workers()
            self._seen_s = time.monotonic()
            stack.callback(self._in_loop(self._watch()).cancel)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing more is done; a local cluster and jobs end."""
        self._stack.close()
        self._client = None

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """function(item), by a worker. TechnologyError when model files changed meanwhile."""
        if self._client is None or len(args) != 1 or kwargs:
            raise TypeError("a cluster does function(item), between `with` and its end")
        if self._function[0] is not function:
            packed, read = pack(function)
            self._function = function, self._kept(packed), read
        item, read = pack(args[0])
        models = carried(read | self._function[2])
        name = sha256(models).hexdigest()
        if name not in self._models:
            self._models[name] = self._kept(models)
        return self._in_loop(self._answer(self._function[1], item, self._models[name]))

    def _kept(self, content: bytes) -> Any:
        """On a worker, from where others fetch it; the scheduler knows it, should that worker die."""
        return self._client.submit(bytes, content, key=f"spicetrain-{uuid4().hex}", pure=False)

    def _in_loop(self, coroutine: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._client.loop.asyncio_loop)

    async def _answer(self, function: Any, item: bytes, models: Any) -> Any:
        """A piece at a time for each worker, in the order in which they were asked for: what a scheduler has given to a
        worker counts as begun when that one dies."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._begun < self.present or self._is_deserted)
            if self._is_deserted:
                raise self._deserted()
            self._begun += 1
        try:
            return await self._result(function, item, models)
        finally:
            self._begun -= 1
            async with self._turn:
                self._turn.notify()

    async def _result(self, function: Any, item: bytes, models: Any) -> Any:
        if self._client.status != "running":
            raise self._cut_off()
        key = f"spicetrain-piece-{uuid4().hex}"
        asked = self._client.submit(run_piece, function, item, models, self._wanted, key=key, pure=False)
        answer = asyncio.ensure_future(asked)
        try:
            while not (await asyncio.wait({answer}, timeout=_LOOK_S))[0]:
                if self._is_deserted:
                    raise self._deserted()
            return answer.result()
        except self._dask.CancelledError as error:
            raise self._cut_off() from error
        except self._dask.KilledWorker as error:
            raise Lost(
                f"A piece was begun {error.allowed_failures + 1} times, and every time its worker died",
                "Likely: too little memory for a worker. Their logs say more.",
            ) from error
        except Exception as error:
            raise kept_here(error) from error.__cause__
        finally:
            if not answer.done():
                answer.cancel()
                with suppress(Exception):
                    await asyncio.wait_for(self._client.cancel([asked], force=True), _CONNECT_S)
            asked.release()

    def _cut_off(self) -> Lost:
        what = f"The scheduler at {self._asked} is gone, or was cut off"
        return Lost(what, "Start it again if it is not there, then the same command.")

    def _deserted(self) -> Lost:
        return Lost(f"No worker is left at {self._asked}", "Start some, and run it again.")

    async def _watch(self) -> None:
        """Look how many workers there are, and when there was one."""
        while True:
            with suppress(Exception):  # a scheduler that is gone ends its futures itself
                self.present = len(await asyncio.wait_for(self._client.nthreads(), _CONNECT_S))
                self._seen_s = time.monotonic() if self.present else self._seen_s
            async with self._turn:
                self._turn.notify_all()
            await asyncio.sleep(_LOOK_S)

    @property
    def _is_deserted(self) -> bool:
        return self._jobs is None and time.monotonic() - self._seen_s > self._patience_s

    def _made(self, stack: ExitStack) -> Any:
        """What a client connects to."""
        if self._jobs is not None:
            made = self._jobs.submit()
            stack.callback(end, made)
            return made
        return local_cluster(self.workers, stack) if self._asked == LOCAL else self._asked

    def _await_worker(self) -> None:
        began_s, told = time.monotonic(), False
        while not self._client.nthreads():
            waited_s = time.monotonic() - began_s
            if self._jobs is None and waited_s > self._patience_s:
                raise ConfigurationError(
                    f"The scheduler at {self._asked} has had no worker for {waited_s:.0f} s. Start some: dask worker "
                    f"{self._asked} --nthreads 1 --nworkers N."
                )
            if not told and waited_s > _LOOK_S:
                say(f"waiting for a worker at {self._asked}")
                told = True
            time.sleep(0.1)

    def _require_workers(self) -> None:
        threads = self._client.nthreads()
        for worker, count in threads.items():
            if count != 1:
                raise ConfigurationError(
                    f"The worker {worker} has {count} threads. Start one with a thread for every core: dask worker "
                    f"{self._asked} --nthreads 1 --nworkers {count}."
                )
        for worker, answer in self._client.run(require_same, self._wanted, on_error="return").items():
            if isinstance(answer, ConfigurationError):
                raise answer
            if isinstance(answer, Exception):
                raise ConfigurationError(
                    f"The worker {worker} cannot simulate ({type(answer).__name__}: {answer}). Likely: spicetrain is "
                    "not installed there, or another version."
                ) from answer
        if len(threads) > self.workers:
            say(f"{len(threads)} workers, and work is cut for {self.workers} at a time: --workers {len(threads)}")
