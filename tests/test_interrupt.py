"""Ctrl-C while Python imports, before there is any work: one line, 130, nothing left. Later ones: test_bad_input.py."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spicetrain import cli, interrupt

# The command line as `python -m` starts it, which sends itself Ctrl-C at the so-many-th import behind argparse's.
PROGRAM = """
import os, runpy, signal, sys

def at_import(event, arguments):
    global seen
    if event == "import" and (seen >= 0 or arguments[0] == "argparse"):
        seen += 1
        if seen == when:
            os.kill(os.getpid(), signal.SIGINT)

seen, when = -1, int(sys.argv[1])
sys.addaudithook(at_import)
sys.argv = ["-m", *sys.argv[2:]]
try:
    runpy.run_module("spicetrain", run_name="__main__", alter_sys=True)
finally:
    print("imports:", seen)
"""
LINE = "spicetrain: interrupted. What is finished is kept; the same command resumes.\n"
# The same, which sends Ctrl-C to a copy of itself at the first imports and then at every fifteenth of those so far; on
# stdout, in the end: how many there were, and of every copy (import, exit code, stderr).
COPIES = """
import json, os, runpy, signal, sys

def at_import(event, arguments):
    global seen, last
    if event == "import" and (seen >= 0 or arguments[0] == "argparse"):
        seen += 1
        if seen < 3 or seen > last + last // 15:
            last = seen
            interrupt_a_copy()

def interrupt_a_copy():
    global last
    reading, writing = os.pipe()
    if copy := os.fork():
        os.close(writing)
        with open(reading) as stream:
            said = stream.read()
        ended.append((seen, os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]), said))
    else:
        last = sys.maxsize
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(writing, 2)
        os.kill(os.getpid(), signal.SIGINT)

ended, seen, last, original = [], -1, 0, os.getpid()
sys.addaudithook(at_import)
sys.argv = ["-m", *sys.argv[2:]]
try:
    runpy.run_module("spicetrain", run_name="__main__", alter_sys=True)
finally:
    if os.getpid() == original:
        print(json.dumps([seen, ended]))
"""
COMMANDS = {"version": "--version", "help": "train iris-kcl --help", "an error": "train iris-kcl --epochs 3"}


def started(when: int, words: str, folder: Path, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(when), *words.split()]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_ctrl_c_at_any_import(words: str, tmp_path: Path) -> None:
    imports, ended = json.loads(started(-2, words, tmp_path, COPIES).stdout.splitlines()[-1])
    assert imports > 20 and len(ended) > 12
    last = started(imports, words, tmp_path)
    for when, *found in [*ended, (imports, last.returncode, last.stderr)]:
        assert found == [130, LINE], (when, found)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_as_soon_as_python_looks_for_us(tmp_path: Path) -> None:
    """The package is the first of ours that runs; the first import behind it is the command line's, of __future__."""
    done = started(0, "--version", tmp_path, PROGRAM.replace('"argparse"', '"__future__"'))
    assert (done.returncode, done.stderr) == (130, LINE)


def test_ctrl_c_when_all_is_done(tmp_path: Path) -> None:
    program = PROGRAM.replace("try:", "import atexit; atexit.register(os.kill, os.getpid(), signal.SIGINT)\ntry:")
    done = started(-2, "netlist iris-kcl", tmp_path, program)
    assert done.returncode == 130 and done.stderr.splitlines()[1:] == LINE.splitlines()


def test_the_installed_command_begins_where_ctrl_c_is_answered() -> None:
    root = Path(__file__).resolve().parents[1]
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"spicetrain": "spicetrain.__main__:main"}


def test_importing_the_package_leaves_ctrl_c_alone() -> None:
    program = "import signal, spicetrain.cli, spicetrain.__main__\nfrom spicetrain import Run\n"
    program += "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("before", [signal.SIG_IGN, lambda *_: None], ids=["ignored", "somebody's"])
def test_another_ctrl_c_is_left_alone(before: Any) -> None:
    kept = signal.signal(signal.SIGINT, before)
    try:
        interrupt.end_at_ctrl_c()
        interrupt.raise_at_ctrl_c()
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, kept)


def test_what_python_makes_of_ctrl_c_in_the_midst_of_a_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def imports(arguments: Sequence[str]) -> int:
        type("Made", (), {"attribute": Interrupting()})
        return 0

    monkeypatch.setattr(cli, "_dispatch", imports)
    assert cli.main([]) == 130
    assert capsys.readouterr().err == LINE


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: vars(interrupt)["no such"])
    with pytest.raises(KeyError):
        cli.main([])
