"""The benchmarks start, and one of each kind runs in a tiny setting. Their figures are not looked at here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("characterization_share", "surrogate_fit", "training_step", "verification_speed")


def run(name: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


def result_of(name: str, folder: Path, *arguments: str) -> dict[str, Any]:
    text = run(name, *arguments, "--out", str(folder / "result.json"))
    assert "target" in text
    result = json.loads((folder / "result.json").read_text())
    assert result["machine"]["cores"] >= 1
    return result


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_explains_itself(name: str) -> None:
    text = run(name, "--help")
    assert "--out" in text
    assert "arget" in text  # what it is measured against


def test_characterization_share(tmp_path: Path) -> None:
    result = result_of("characterization_share", tmp_path, "--plan", "smoke", "--workers", "1")
    assert 0 < result["ngspice_s"] <= result["wall_s"]
    assert result["ngspice_share"] == pytest.approx(result["ngspice_s"] / result["wall_s"])


def test_altering_and_sweeping_give_the_same_voltages(tmp_path: Path) -> None:
    tiny = ("--images", "6", "--altered", "3", "--flat-images", "4", "--flat-altered", "3", "--rounds", "1")
    result = result_of("verification_speed", tmp_path, "--layers", "6", "5", "3", *tiny)
    for form in ("reduced", "flat"):
        assert 0 < result[form]["difference_V"] < 1e-6
        assert result[form]["ratio"] > 0
