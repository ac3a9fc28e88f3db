"""Finding an ngspice, and what it can do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spicetrain.errors import NgspiceError
from spicetrain.spice.process import DECK, RAW, run_in

OLDEST = 39
VARIABLE = "SPICETRAIN_NGSPICE"
_PROBE_S = 30.0

_INSTALL = (
    "Install it (Debian, Ubuntu: sudo apt-get install ngspice; in a checkout: scripts/setup), "
    f"or name an executable in ${VARIABLE}."
)

NEEDS_OSDI = (
    "which a technology with compiled Verilog-A models (transistors.osdi) needs. Debian 12: apt-get install -t "
    f"bookworm-backports ngspice has it (version 46). Or name an ngspice that was built with it in ${VARIABLE}."
)
# What one without it answers to the command; one that has it asks for a file.
_ASKS_OSDI, _NO_OSDI = "osdi\n", "osdi: no such command"

# One A element, which needs the code models, under `.options klu`, which names its solver in the log if
# built.
_PROBE_DECK = """* spicetrain probe
.options klu
v1 in 0 0.0
a1 in out table
.model table pwl(x_array=[0.0 1.0 2.0] y_array=[0.0 3.0 -1.0] input_domain=1e-9 fraction=false)
r1 out 0 1000.0
.dc v1 0.0 2.0 1.0
.save v(out)
.end
"""


@dataclass(frozen=True)
class Ngspice:
    """An ngspice that answered. `klu`: built with the KLU solver; `code_models`: XSPICE's A elements work; `osdi`: it
    loads compiled Verilog-A models."""

    executable: Path
    version: int
    klu: bool
    code_models: bool
    osdi: bool = False

    def require_osdi(self) -> None:
        """NgspiceError when it has none."""
        if not self.osdi:
            raise NgspiceError(f"ngspice {self.version} ({self.executable}) has no OSDI, {NEEDS_OSDI}")


def find_ngspice(executable: str | Path | None = None) -> Ngspice:
    """The ngspice named by the argument, else by $SPICETRAIN_NGSPICE, else the one on the PATH.

    Probed once per process and path. NgspiceError when it is missing, does not start, is not an ngspice, or
    is older than version 39.
    """
    wanted = str(executable or os.environ.get(VARIABLE) or "ngspice")
    found = shutil.which(os.path.expanduser(wanted))  # a Path would lose the ./ that keeps it off the PATH
    if found is None:
        raise NgspiceError(f"No executable {wanted!r} {_looked_in(wanted)}. {_INSTALL}")
    return _probe(Path(found).absolute())


def _looked_in(wanted: str) -> str:
    return "is there" if os.sep in wanted else "on the PATH"


@lru_cache
def _probe(executable: Path) -> Ngspice:
    text = _version_text(executable)
    version = _version(executable, text)
    log, has_output = _probe_run(executable)
    klu = "Compiled with KLU" in text or "Using KLU" in log
    osdi = has_output and _NO_OSDI not in log
    return Ngspice(executable, version, klu, code_models=has_output, osdi=osdi)


def _version_text(executable: Path) -> str:
    try:
        answer = subprocess.run(
            [executable, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_S,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NgspiceError(f"{executable} does not start: {error}. {_INSTALL}") from error
    if answer.returncode != 0:
        text = (answer.stderr or answer.stdout).strip()[-500:]
        raise NgspiceError(
            f"{executable} --version ended with exit code {answer.returncode}: {text or 'no text'}. "
            f"Likely: a broken installation, or not an ngspice. {_INSTALL}"
        )
    return answer.stdout


def _version(executable: Path, text: str) -> int:
    match = re.search(r"\bngspice-(\d+)", text)
    if match is None:
        raise NgspiceError(f"{executable} is not an ngspice: its --version says {text.strip()[:80]!r}. {_INSTALL}")
    version = int(match[1])
    if version < OLDEST:
        raise NgspiceError(f"{executable} is ngspice {version}; version {OLDEST} or newer is needed. {_INSTALL}")
    return version


def _probe_run(executable: Path) -> tuple[str, bool]:
    """The log of the probe deck, and whether it gave its three points."""
    with tempfile.TemporaryDirectory(prefix="spicetrain-probe-") as name:
        folder = Path(name)
        (folder / DECK).write_text(_PROBE_DECK)
        outcome = run_in(folder, executable, timeout_s=_PROBE_S, setup=_ASKS_OSDI)
        raw = (folder / RAW).read_bytes() if (folder / RAW).is_file() else b""
    return outcome.log, re.search(rb"No\. Points:\s*3\s", raw) is not None
