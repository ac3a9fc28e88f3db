"""benchmarks/peers.py: what stands in for a peer that cannot be installed, and what a peer's process may say."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SAYS_VERSION = """import sys
print('{"versions": {"fake": "1.0"}}', flush=True)
for line in sys.stdin:
"""


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("peer_process")


def fake(folder: Path, turn: str) -> list[str]:
    """The command of a peer that does this at every turn."""
    script = folder / "fake.py"
    script.write_text(SAYS_VERSION + f"    {turn}\n")
    return [sys.executable, str(script)]


def test_a_peer_that_cannot_be_installed_is_a_row(tmp_path: Path) -> None:
    no_index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    environment = os.environ | no_index | {"PYTHONPATH": str(FOLDER.parent), "COLUMNS": "200"}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, str(FOLDER / "peers.py"), "--parts", "mesh", "--sizes", "5", "--rounds", "2"]
    command += ["--environment", str(tmp_path / "peers"), "--out", str(tmp_path / "peers.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "peers.json").read_text())
    (reason,) = result["parts"]["mesh"]["absent"].values()
    assert reason.startswith("not installed: No matching distribution found for badcrossbar")
    assert "not installed" in done.stdout and result["parts"]["mesh"]["ratios"] == {}
    assert result["parts"]["mesh"]["seconds"]["spicetrain with gradient, 5 x 5"] > 0
    seen = subprocess.run(  # it sees what is installed here, and nothing is installed here
        [tmp_path / "peers/bin/python", "-c", "import torch, importlib.util as of; print(of.find_spec('badcrossbar'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.strip() == "None"


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, process: ModuleType) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(process.NotInstalled, match="is not an environment of this script"):
        process.install(tmp_path, ["nothing"])
    assert [of.name for of in tmp_path.iterdir()] == ["thesis.txt"]


def test_pins_are_those_of_the_extra(process: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [of.split("==")[0] for of in process.pinned(process.NEEDED["badcrossbar"])] == [
        "badcrossbar",
        "pathvalidate",
    ]
    extra = '[project.optional-dependencies]\npeers = ["one>=1.1", "other[more]>=2", "unpinned~=3"]\n'
    (tmp_path / "pyproject.toml").write_text(extra)
    (tmp_path / "constraints.txt").write_text("# all\none==1.2\nother==2.3\n")
    monkeypatch.setattr(importlib.import_module("peer_environment"), "REPOSITORY", tmp_path)
    assert process.pinned(("one", "other", "unpinned", "absent")) == ["one==1.2", "other==2.3", "unpinned~=3"]


def test_what_pip_says_of_a_failure(process: ModuleType) -> None:
    reason = importlib.import_module("peer_environment").reason_in
    log = "Looking in indexes\nERROR: Could not find a version (none)\nERROR: No matching distribution\n\nhint: none\n"
    assert reason(log) == "No matching distribution" and reason("\nno network\n") == "no network"
    assert reason("") == "no text"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"failed": "RuntimeError: weights must be"}', "RuntimeError: weights must be"),
        ("2026 (INFO): solved", "which is no answer"),
        ("[1.0]", "which is no answer"),
        ('{"seconds": "fast"}', "in which no time stands"),
        ('{"seconds": 0.0}', "in which no time stands"),
        ('{"seconds": NaN}', "in which no time stands"),
    ],
)
def test_what_is_no_answer(process: ModuleType, line: str, reason: str) -> None:
    with pytest.raises(process.PeerFailed, match=reason):
        process.answer_of(line)


def test_a_peer_answers_turn_by_turn(tmp_path: Path, process: ModuleType) -> None:
    command = fake(tmp_path, 'print(\'{"seconds": %g, "loss": 2}\' % (0.5 * int(line)), flush=True)')
    with process.PeerProcess(command) as peer:
        assert peer.versions == {"fake": "1.0"}
        assert peer.seconds(1) == {"seconds": 0.5, "loss": 2} and peer.seconds(5)["seconds"] == 2.5
    assert peer.process.returncode == 0


def test_a_peer_that_ends_or_hangs(tmp_path: Path, process: ModuleType) -> None:
    with process.PeerProcess(fake(tmp_path, "raise OSError('no such tile')")) as peer:
        for _ in range(2):
            with pytest.raises(process.PeerFailed, match="OSError: no such tile"):
                peer.seconds()
    hanging = fake(tmp_path, "import time; time.sleep(60)")
    with process.PeerProcess(hanging, timeout_s=0.5) as peer, pytest.raises(process.PeerFailed, match="no answer in"):
        peer.seconds()
    with pytest.raises(process.PeerFailed, match="No such file|can't open file"):
        process.PeerProcess([sys.executable, str(tmp_path / "absent.py")])


def test_a_peer_that_is_not_there_says_so_itself(tmp_path: Path, process: ModuleType) -> None:
    process.np.savez(tmp_path / "problem.npz", layers=[6, 5, 3])
    pytest.importorskip("torch")
    if importlib.util.find_spec("aihwkit"):
        pytest.skip("aihwkit is installed here")
    command = [sys.executable, str(process.WORKER), "aihwkit", str(tmp_path / "problem.npz"), "1"]
    with pytest.raises(process.PeerFailed, match="ModuleNotFoundError: No module named 'aihwkit'"):
        process.PeerProcess(command)
