"""The pages do what they say, as the README does; their links lead somewhere; tutorials run; the site is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pages_of_docs import DOCS, PAGES, ROOT, SOURCES, TUTORIALS, anchors, dead, included, links, text_of
from test_readme import (  # noqa: F401  # own_folder: a fixture, of every test here too
    Block,
    Shell,
    check,
    own_folder,
    split,
)

from spicetrain.arguments import VERBS
from spicetrain.array.devices import DEVICES
from spicetrain.schema import parse
from spicetrain.spiking.circuit import Neuron

pytestmark = pytest.mark.usefixtures("shared_cache")

# A page's directives stand between colons: fences are code.
BLOCKS = [(page, block) for page in PAGES for block in split(page.read_text(encoding="utf-8"))[0]]
SITE = ("sphinx", "furo", "myst_nb", "jupytext")


class ShellOfDocs(Shell):
    """Scripts of this folder have tests of their own; measurements that a line names are made up."""

    def _script(self, words: list[str]) -> None:
        if words[0] == "python" and len(words) == 2:
            assert (ROOT / words[1]).is_relative_to(DOCS) and (ROOT / words[1]).is_file(), words[1]
        else:
            super()._script(words)

    def _spicetrain(self, words: list[str]) -> None:
        for name, ends_A in (("set.csv", (1e-6, 5e-6)), ("reset.csv", (5e-6, 1e-6))):
            if name in words:  # currents of two trains of 20 pulses, as CrossSim has them
                pulses = [f"{i_A:.6g},{1.1 * i_A:.6g}" for i_A in np.linspace(*ends_A, 20)]
                Path(name).write_text("\n".join(["a,b", *pulses]) + "\n")
        super()._spicetrain(words)


def check_page(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README has too is checked as there."""
    content = tomllib.loads(block.text) if block.language == "toml" else {}
    if block.language in ("sh", "bash"):
        ShellOfDocs(monkeypatch).run(block.text)
    elif content.keys() == {"neuron"}:  # of a circuit
        shutil.copy(ROOT / "netlists" / "spiking" / "ota.cir", "mine.cir")
        parse(Neuron, content["neuron"], str(block))
    elif content.keys() == {"memristor"}:  # of a technology
        parse(DEVICES[content["memristor"]["form"]], content["memristor"], str(block))
    else:
        check(block, monkeypatch)


@pytest.mark.parametrize(
    ("page", "block"),
    [
        pytest.param(
            page,
            block,
            id=f"{page.name}, {block}",
            marks=pytest.mark.xdist_group("iris-kcl") if block.language == "python" else (),
        )
        for page, block in BLOCKS
    ],
)
def test_every_block_of_the_pages(page: Path, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    check_page(block, monkeypatch)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "paper.md"], ids=lambda path: path.name)
def test_every_command_in_the_text(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, as they are read; with a word in capitals they are not meant to be typed."""
    shell = ShellOfDocs(monkeypatch)
    for command in re.findall(r"`(spicetrain\s[^`]+)`", text_of(page)):
        words = command.split()
        if not any(word.isupper() for word in words):
            assert words[1] in VERBS, command
            if len(words) > 2:
                shell.run(" ".join(words))


WRONG = {
    "a script that is not there": ("bash", "python docs/devizes.py", "devizes"),
    "a script of another folder": ("bash", "python benchmarks/mesh.py", "mesh"),
    "a flag that is none": ("bash", "spicetrain import-device set.csv --read-volts 0.1", "--read-volts"),
    "a neuron's unknown key": ("toml", "[neuron]\nsubcircuit = 'mine.cir'\ncapacity_F = [1.0]", "capacity_F"),
    "a device's range": ("toml", "[memristor]\nform = 'ohmic'\ng_min_S = 2.0\ng_max_S = 1.0", "g_min_S"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_block_is_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    language, text, told = WRONG[case]
    with pytest.raises(Exception, match=told):
        check_page(Block(1, language, text + "\n"), monkeypatch)


@pytest.mark.slow
@pytest.mark.xdist_group("iris-kcl")
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_a_script(tutorial: Path) -> None:
    """Run as it stands, in an empty folder: numbers on stdout, a picture at least."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, str(tutorial)], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+\.\d%", done.stdout)
    assert [path for path in Path().glob("*.png") if path.stat().st_size > 5000]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_links_lead_somewhere(source: Path) -> None:
    assert not dead(links(text_of(source)), source)


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n## What is *new*, and `old`\n\n```sh\n# no heading\n```\n")
    text = "[a](page.md) [b](page.md#what-is-new-and-old) [c](#a-page) [d](https://x.org/y) "
    text += "![e](gone.svg) [f](page.md#no-heading)"
    assert dead(links(text), page) == ["gone.svg", "page.md#no-heading"]
    assert anchors(page.read_text()) >= {"a-page", "what-is-new-and-old"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_takes_in_is_there(page: Path) -> None:
    for file, options in included(page.read_text(encoding="utf-8")):
        text = (page.parent / file).read_text(encoding="utf-8")
        for mark in (options.get("start-after"), options.get("end-before")):
            if mark is not None:
                assert mark in text, f"{file} has no {mark!r}"
                text = text.split(mark, 1)[1] if mark == options.get("start-after") else text


def test_every_page_is_in_the_contents() -> None:
    listed = {f"{name}" for name in re.findall(r"^([\w/-]+)$", (DOCS / "index.md").read_text(), flags=re.MULTILINE)}
    pages = {path.stem for path in DOCS.glob("*.md")} | {path.stem for path in DOCS.glob("*.rst")}
    assert listed == pages - {"index"} | {f"tutorials/{path.stem}" for path in TUTORIALS}


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, SITE)), reason="scripts/setup docs installs what builds the site")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """As scripts/docs does, but for the tutorials, which ran above."""
    words = [
        "-n",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-D",
        "nb_execution_mode=off",
        "-d",
        str(tmp_path / "trees"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(DOCS), str(tmp_path / "site")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    api = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert "spicetrain.nn.InverterCrossbar" in api and "spicetrain.errors.SimulationError" in api
    assert "<math" in (tmp_path / "site" / "how-it-works.html").read_text(encoding="utf-8")
    assert "_downloads/" in (tmp_path / "site" / "devices.html").read_text(encoding="utf-8")
