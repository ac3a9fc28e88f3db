"""A folder to oneself."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import FileIO
from pathlib import Path
from weakref import WeakValueDictionary

from spicetrain.errors import StorageError
from spicetrain.leftovers import remove_leftovers
from spicetrain.storage import storage_errors

try:
    import fcntl
except ImportError:  # no Unix
    fcntl = None  # type: ignore[assignment]

_locks: WeakValueDictionary[tuple[Path, int, int], FileIO] = WeakValueDictionary()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have an existing folder to ourselves; StorageError when another process, or thread, has it.

    Who has it may ask again. The kernel takes it back when the process ends, however that comes. Where there are no
    locks to be had, it goes on without and says so once. What killed writers left is removed (see remove_leftovers).
    """
    key = folder.resolve(), threading.get_ident(), os.getpid()
    if key in _locks:
        yield
        return
    path = folder / ".lock"
    stream = _locks[key] = _locked_file(path)
    try:
        _sign(stream)
        remove_leftovers(folder)
        yield
    finally:
        _locks.pop(key, None)
        with suppress(OSError), stream:  # removed while ours: who has opened it already sees that, and begins anew
            path.unlink(missing_ok=True)


def _locked_file(path: Path) -> FileIO:
    """The open and locked file; not locked where that is not to be had."""
    while True:
        with storage_errors(path):
            stream = FileIO(path, "a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with stream:
                raise StorageError(_in_use(path.parent, stream)) from None
        except (OSError, AttributeError) as error:
            _say_unlocked(getattr(error, "strerror", "this system has no flock"))
            return stream
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        stream.close()  # who had it has removed it meanwhile


def _sign(stream: FileIO) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    who = {"process": os.getpid(), "host": platform.node(), "since": since, "command": shlex.join(sys.argv)}
    with suppress(OSError):  # a full disk: it is locked all the same
        stream.truncate(0)
        stream.write(json.dumps(who).encode())


def _in_use(folder: Path, stream: FileIO) -> str:
    who = "another process"  # which has only just taken it, or found the disk full
    with suppress(OSError, ValueError, TypeError, KeyError):
        stream.seek(0)
        who = "process {process} ({host}, since {since}, `{command}`)".format(**json.loads(stream.read()))
    return f"{folder} is in use by {who}: wait for it or choose another folder with --out."


@cache
def _say_unlocked(why: str) -> None:
    print(f"spicetrain: folders cannot be locked ({why}): let no two commands work in one.", file=sys.stderr)
