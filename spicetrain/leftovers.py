"""Temporaries beside the files that they become: their names say who writes them, so that nobody's can be removed."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import re
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from weakref import WeakValueDictionary

# .NAME.MACHINE-PROCESS-ITS START-NUMBER.tmp.SUFFIX: who writes it can be asked for.
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})-(\d{1,9})-(\d+)-\d+\.tmp(?:\.[^.]+)?")

# Of this process: while somebody holds the value, for an interrupt may fall between any two lines.
_under_way: WeakValueDictionary[str, Writing] = WeakValueDictionary()
_numbers = itertools.count()


def remove_leftovers(folder: Path, *, below: bool = True) -> None:
    """Remove temporaries whose writer was killed, in `folder` and (unless `below` is false) its folders.

    Those of a living process stay, and of another machine those of the last day. What cannot be removed stays.
    """
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):
                if _is_left_over(path):
                    path.unlink()
        if not below:
            folders.clear()


class Writing:
    """A write under way, and the name of its temporary."""

    def __init__(self, path: Path) -> None:
        writer = f"{_machine()}-{os.getpid()}-{_start_of(os.getpid())}-{next(_numbers)}"
        self.temporary = path.with_name(f".{path.name}.{writer}.tmp{path.suffix}")
        _under_way[self.temporary.name] = self


def _is_left_over(temporary: Path) -> bool:
    if (found := _TEMPORARY.fullmatch(temporary.name)) is None:
        return False
    machine, process, started = found.groups()
    if machine != _machine():  # its processes cannot be asked for
        return time.time() - temporary.stat().st_mtime > 24 * 3600
    if int(process) == os.getpid():
        return temporary.name not in _under_way
    return not _is_alive(int(process), started)


def _is_alive(process: int, started: str) -> bool:
    """Whether it runs, and is not another one that got its number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    now = _start_of(process)
    return now == started or "0" in (now, started)


def _start_of(process: int) -> str:
    """When it was started, in ticks since boot (proc(5), field 22); "0" where there is no /proc."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


@cache
def _machine() -> str:
    """Where the numbers of processes mean the same: this host since its start, or this container on it."""
    parts = [platform.node()]
    with suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
