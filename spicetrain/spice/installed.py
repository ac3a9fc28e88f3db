"""What must be the same on all machines that work together, or results of different programs would be mixed."""

from __future__ import annotations

import platform
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

from spicetrain.errors import ConfigurationError, NgspiceError
from spicetrain.spice.ngspice import VARIABLE, Ngspice, find_ngspice
from spicetrain.version import __version__


@dataclass(frozen=True)
class Installed:
    """code: the hash of spicetrain's own modules; python: without its patch level."""

    spicetrain: str
    code: str
    python: str
    ngspice: Ngspice


def installed(ngspice: Ngspice) -> Installed:
    """On this machine, with this ngspice."""
    return Installed(__version__, _code(), ".".join(platform.python_version_tuple()[:2]), ngspice)


@cache
def require_same(wanted: Installed) -> None:
    """Once a process. ConfigurationError, with the difference, when this machine has something else."""
    here = installed(wanted.ngspice)
    different = [name for name in ("spicetrain", "python") if getattr(here, name) != getattr(wanted, name)]
    told = [f"{name} {getattr(here, name)}, and not {getattr(wanted, name)}" for name in different]
    if not told and here.code != wanted.code:
        told = [f"a spicetrain {__version__} whose modules are others"]
    if told:
        raise ConfigurationError(
            f"The worker on {socket.gethostname()} has {'; '.join(told)}. Results of two versions would be mixed: "
            "install the same on all machines, and start the workers again."
        )
    ngspice_here(wanted.ngspice)


@cache
def ngspice_here(wanted: Ngspice) -> Ngspice:
    """One of the same version and abilities: the one at the same path, else the one that this machine would take.
    ConfigurationError when there is none."""
    found = []
    for executable in (wanted.executable, None):
        with suppress(NgspiceError):
            found.append(find_ngspice(executable))
            if replace(found[-1], executable=wanted.executable) == wanted:
                return found[-1]
    has = " and ".join(dict.fromkeys(_described(one) for one in found)) or "no ngspice"
    raise ConfigurationError(
        f"The worker on {socket.gethostname()} has {has}, and the simulation was begun with {_described(wanted)}. "
        "Results of two would be mixed: install the same one there, or name it in "
        f"${VARIABLE} where the worker is started."
    )


def _described(ngspice: Ngspice) -> str:
    abilities = {"KLU": ngspice.klu, "OSDI": ngspice.osdi, "code models": ngspice.code_models}
    having = ", ".join(f"{'with' if has else 'without'} {name}" for name, has in abilities.items())
    return f"ngspice {ngspice.version} ({having}; {ngspice.executable})"


@cache
def _code() -> str:
    root, found = Path(__file__).resolve().parents[1], sha256()
    for file in sorted(root.rglob("*.py")):
        if "_assets" in file.parts:  # of a wheel; a checkout has them elsewhere
            continue
        found.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()
