"""What is taken of dask.distributed, which is an extra and is slow to import."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import Any

from spicetrain.errors import ConfigurationError

_END_S, _CLOSE_S = 0.2, 5.0


def distributed() -> Any:
    """The package. ConfigurationError when it is not installed."""
    try:
        return import_module("distributed")
    except ImportError as error:
        raise ConfigurationError(
            f"--cluster needs the package distributed, which cannot be imported ({error}). It is an extra: pip install "
            "'spicetrain[cluster]' (in a checkout: pip install '.[cluster]')."
        ) from error


def local_cluster(workers: int, stack: ExitStack) -> Any:
    """Processes of this machine, with a folder for what they write; both are gone when `stack` is closed."""
    folder = tempfile.mkdtemp(prefix="spicetrain-cluster-")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    stack.enter_context(import_module("dask").config.set({"temporary-directory": folder}))
    made = distributed().LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=None,
        dashboard_address="127.0.0.1:0",  # else it would take port 8787, and say so when it cannot
        local_directory=folder,
        env={"TMPDIR": folder},
        silence_logs=logging.CRITICAL,
    )
    stack.callback(end, made)
    stack.callback(end, made, _end_workers)
    return made


def end(made: Any, how: Callable[[Any], Any] | None = None) -> None:
    """A client or cluster, within seconds: what does not end so is left to the end of this process."""
    with suppress(Exception):
        if how is None:
            made.close(timeout=_CLOSE_S)
        else:
            made.sync(how, made, callback_timeout=_CLOSE_S)


async def _end_workers(local: Any) -> None:
    """At once, also those that are busy."""
    await asyncio.gather(*(one.close(timeout=_END_S) for one in local.workers.values()), return_exceptions=True)


def silence(stack: ExitStack) -> None:
    """What its log says of workers that die and schedulers that are gone, our errors say."""
    logger = logging.getLogger("distributed")
    stack.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.CRITICAL)
