"""--json: what a verb prints as one JSON document, for another program, and nothing else on standard output."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tiny import finished

from spicetrain.cli import main
from spicetrain.compare.cells import Cell
from spicetrain.compare.definition import COMPARISON
from spicetrain.compare.run import Compare
from spicetrain.storage import json_text, read_json

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPICETRAIN_CACHE", str(finished().cache))
    return finished().copy(tmp_path / "run")


def printed(capsys: Capture, *words: str, exit_code: int = 0) -> Any:
    """What stands on standard output, all of it, as strict JSON."""
    capsys.readouterr()
    assert main([*words, "--json"]) == exit_code, capsys.readouterr().err

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(capsys.readouterr().out, parse_constant=refuse)


def test_the_rooms(run: Path, capsys: Capture) -> None:
    tables = printed(capsys, "characterize", "run")["tables"]
    assert all(Path(path).is_file() for path in tables.values())
    assert "current_surface" in printed(capsys, "fit-surrogates", "run")["surrogates"]
    trained = printed(capsys, "train", "run")
    assert trained["layers"] == [4, 3, 3] and trained["last_epoch"]["epoch"] == 3
    found = printed(capsys, "run", "run", "--workers", "1")
    assert found["within_tolerance"] is True and found["summary"] == read_json(run / "summary.json")
    assert found["folder"] == "run" and found["summary"]["area"]["layers"][0]["memristors"] == 2 * 3 * 5


def test_outside_the_tolerance_it_says_so(run: Path, capsys: Capture) -> None:
    words = "verify", "run", "--images", "10", "--flat-images", "0", "--verification.error-mean-max", "1e-12"
    found = printed(capsys, *words, "--workers", "1", exit_code=5)
    assert found["within_tolerance"] is False and found["summary"]["images"] == 10


def test_a_further_training_that_is_finished(run: Path, capsys: Capture) -> None:
    words = "train", "run", "--further", "1"
    assert printed(capsys, *words) == printed(capsys, *words)
    assert printed(capsys, *words)["last_epoch"]["epoch"] == 4


def test_a_comparison_and_what_lists(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_run(compare: Compare) -> list[Cell]:
        compare.comparison.save(compare.folder / COMPARISON)
        return []

    monkeypatch.setattr(Compare, "run_missing", not_run)
    found = printed(capsys, "compare", "smoke", "--out", "smoke")
    assert {cell["cell"]: cell["state"] for cell in found["cells"]} == dict.fromkeys(
        ("ideal", "phax", "kcl"), "missing"
    )
    assert {one["state"] for one in printed(capsys, "doctor")["findings"]} <= {"ok", "warn"}
    assert {one["name"] for one in printed(capsys, "presets")["presets"]} >= {"iris-kcl"}
    assert printed(capsys, "show", "iris-kcl")


def test_an_error_leaves_standard_output_empty(capsys: Capture) -> None:
    assert main(["verify", "iris-kcl", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "spicetrain train" in err


def test_what_is_no_number_is_null() -> None:
    assert json.loads(json_text({"a": [math.nan, (1.5, -math.inf)], "b": Path("x")})) == {
        "a": [None, [1.5, None]],
        "b": "x",
    }
