"""Every block of the README does what it says: shell lines are parsed to their end, and run where that takes seconds;
Python is run; a TOML is loaded as what it defines. A block that nobody knows how to run is an error."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny import finished

from spicetrain import cli
from spicetrain.arguments import VERBS
from spicetrain.array.wires import Wires
from spicetrain.cli import main
from spicetrain.compare.cells import Cell
from spicetrain.compare.definition import COMPARISON, load_comparison
from spicetrain.compare.run import Compare
from spicetrain.run import Run
from spicetrain.schema import parse
from spicetrain.systems import load_experiment
from spicetrain.technology import load_technology

pytestmark = pytest.mark.usefixtures("shared_cache")

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.language} in line {self.line}"


def split(text: str) -> tuple[list[Block], str]:
    """The fenced blocks of a page, and what is outside of them; code that is only indented is an error."""
    blocks: list[Block] = []
    inside: list[str] | None = None
    prose, start, language = [""], 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if inside is None and line.startswith("```"):
            inside, start, language = [], number, line[3:].strip()
        elif inside is not None and line == "```":
            blocks.append(Block(start, language, "\n".join(inside) + "\n"))
            inside = None
        elif inside is not None:
            inside.append(line)
        else:
            assert not (line.startswith("    ") and not prose[-1]), f"line {number}: code without a fence"
            prose.append(line)
    assert inside is None, f"the fence of line {start} is never closed"
    return blocks, "\n".join(prose)


BLOCKS, PROSE = split(README)


class Shell:
    """Runs the lines of a block in the working folder; what would take minutes is opened, and not done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for verb in ("run", "characterize", "fit-surrogates", "train", "verify", "calibrate", "placement"):
            monkeypatch.setitem(cli._ACTIONS, verb, self._open)
        monkeypatch.setattr(Compare, "run_missing", self._compare)
        self._made: set[Path] = set()

    def run(self, text: str) -> None:
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["spicetrain"]:
                self._spicetrain(words[1:])
            elif words:
                self._script(words)

    def _spicetrain(self, words: list[str]) -> None:
        verb, *rest = words
        assert verb in VERBS, verb
        done = ("report", "netlist", "export")
        if (verb in done or "--further" in words) and Path(rest[0]) in self._made:  # there must be something
            shutil.rmtree(rest[0])
            finished().copy(Path(rest[0]))
        assert main(words) == 0, " ".join(words)

    def _script(self, words: list[str]) -> None:
        name = " ".join(words)
        known = re.fullmatch(r"scripts/\w+", name) and os.access(ROOT / name, os.X_OK)
        assert known, f"nobody knows how to run {name}"
        for command in re.findall(r'\.venv/bin/(spicetrain [^"\n]*)"\$@"', (ROOT / name).read_text()):
            self.run(command)

    def _open(self, run: Run, options: Any) -> None:
        with run.files.defined(run.definition):
            self._made.add(run.folder)

    @staticmethod
    def _compare(compare: Compare) -> list[Cell]:
        compare.comparison.save(compare.folder / COMPARISON)
        return []


def run_python(text: str) -> None:
    """As a script of its own, in the working folder."""
    Path("block.py").write_text(text)
    done = subprocess.run([sys.executable, "block.py"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def load_toml(text: str) -> None:
    """As what its tables say that it is."""
    content, path = tomllib.loads(text), Path("block.toml")
    path.write_text(text)
    if "transistors" in content:
        library, sections = content["transistors"]["library"], content.get("corners", {}).values()
        Path(library).write_text("* a stand-in\n" + "".join(f".lib {name}\n.endl\n" for name in sections))
        for include in content["transistors"].get("includes", []):
            Path(include).write_text("* a stand-in\n")
        assert load_technology(path).library == Path(library).resolve()
    elif content.keys() == {"wires"}:  # of a technology
        parse(Wires, content["wires"], str(path))
    elif "methods" in content:
        load_comparison(path)
    elif {"dataset", "network", "training", "verification"} & content.keys():
        load_experiment(path)
    else:
        raise AssertionError(f"nobody knows what {', '.join(content)} define")


def check(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Callable[[str], object]] = {
        "sh": Shell(monkeypatch).run,
        "python": run_python,
        "toml": load_toml,
        "text": lambda text: None,  # to be read
    }
    assert block.language in known, f"nobody knows how to run {block}"
    known[block.language](block.text)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the measurements that ship, which a checkout has where the README says."""
    shutil.copytree(ROOT / "data" / "devices", tmp_path / "data" / "devices")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_blocks() -> None:
    assert {"sh", "python", "toml"} <= {block.language for block in BLOCKS}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language != "python"], ids=str)
def test_every_block_of_the_readme(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    check(block, monkeypatch)


@pytest.mark.slow
@pytest.mark.xdist_group("iris-kcl")  # measured and fitted once, for this and the tutorials
def test_the_python_of_the_readme(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    """In order and in one folder, as it is read: a later block finds what an earlier one made."""
    for block in BLOCKS:
        if block.language == "python":
            check(block, monkeypatch)
    assert list(own_folder.glob("runs/*/report.html"))


def test_every_command_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [" ".join(command.split()) for command in re.findall(r"`(spicetrain\s[^`]+)`", PROSE)]
    assert "spicetrain compare published" in commands
    for command in commands:
        words = command.split()
        assert words[1] in VERBS, command
        if len(words) > 2:
            Shell(monkeypatch).run(command)


WRONG = {
    "a command of somebody else": ("sh", "make install", "nobody knows how to run make install"),
    "a script that is not there": ("sh", "scripts/dem", "nobody knows how to run scripts/dem"),
    "an unknown verb": ("sh", "spicetrain runn iris-kcl", "runn"),
    "an unknown preset": ("sh", "spicetrain run iris-kc", "run iris-kc"),
    "a flag that is none": ("sh", "spicetrain run iris-kcl --epoch 3", "--epoch 3"),
    "a value that is none": ("sh", "spicetrain verify iris-kcl --images none", "--images none"),
    "a folder that nothing made": ("sh", "spicetrain run iris-kcl\nspicetrain train runs/iris", "train runs/iris"),
    "an image that is not there": ("sh", "spicetrain run iris-kcl\nspicetrain netlist runs/iris-kcl --image 30", "30"),
    "a comparison that is none": ("sh", "spicetrain compare publishd", "publishd"),
    "a report with more": ("sh", "spicetrain run iris-kcl\nspicetrain report runs/iris-kcl --images 3", "--images 3"),
    "a Python that fails": ("python", "from spicetrain import Runs", "ImportError"),
    "a technology with an unknown key": ("toml", "rail = 1\n[transistors]\nlibrary = 'a.lib'", "unknown key 'rail'"),
    "an experiment of a wrong type": ("toml", "training = { epochs = '3' }", "valid integer"),
    "a TOML of nothing known": ("toml", "colour = 1", "nobody knows what colour define"),
    "another language": ("rust", "fn main() {}", "nobody knows how to run rust"),
    "no language": ("", "spicetrain doctor", "nobody knows how to run"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_block_is_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    language, text, told = WRONG[case]
    with pytest.raises(Exception, match=told):
        check(Block(1, language, text + "\n"), monkeypatch)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text\n\n    spicetrain doctor\n", "line 3: code without a fence"),
        ("text\n\n```sh\nspicetrain doctor\n", "line 3 is never closed"),
    ],
)
def test_code_that_is_no_block_is_found(text: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        split(text)
