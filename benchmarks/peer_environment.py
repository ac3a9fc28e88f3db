"""An environment for peers that are no dependencies of the project: it sees what is installed here, so torch is not
fetched twice, and what is installed into it changes nothing here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
MARK = "made-by-spicetrain-peers"
PIP_S = 600.0


class NotInstalled(Exception):
    """A peer that cannot be timed here; its text is the reason."""


def pinned(names: Sequence[str]) -> list[str]:
    """Of pyproject's extra [peers], the requirements that have one of these names, in the versions of constraints.txt:
    that file handed to pip would hide why one is not found."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    exact = {line.split("==")[0]: line for line in lines if "==" in line}
    extra: list[str] = project["optional-dependencies"]["peers"]
    named = {re.split(r"[<>=!~ ;\[]", of, maxsplit=1)[0]: of for of in extra}
    return [exact.get(name, of) for name, of in named.items() if name in names]


def environment(folder: Path) -> Path:
    """The Python of the environment in `folder`, made when there is none yet; NotInstalled with the reason it is not.

    A folder that holds something else is left alone.
    """
    python, mark, text = folder / "bin" / "python", folder / MARK, f"{sys.version}\n{sys.prefix}\n"
    if mark.is_file() and mark.read_text() == text and python.exists():
        return python
    if folder.exists() and not mark.is_file() and any(folder.iterdir()):
        raise NotInstalled(f"{folder} is there and is not an environment of this script")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.write_text("")  # also in one whose making is interrupted
    _called([sys.executable, "-m", "venv", str(folder)])
    where = _called([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    here = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    Path(where, "spicetrain-peers.pth").write_text("\n".join([*here, ""]))
    mark.write_text(text)
    return python


def install(folder: Path, requirements: Sequence[str]) -> Path:
    """The Python of the environment, with these and nothing that they draw in: a peer's own plots and downloads need
    compilers and a second torch. Wheels only. NotInstalled with pip's reason."""
    python = environment(folder)
    flags = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:"]
    _called([str(python), "-m", "pip", "install", *flags, *requirements])
    return python


def _called(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PIP_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        raise NotInstalled(reason_in(done.stderr or done.stdout))
    return done.stdout


def reason_in(log: str) -> str:
    """What pip's log says last about an error, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return [*(lines[-1:] or ["no text"]), *errors][-1]
