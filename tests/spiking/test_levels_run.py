"""Levels and integrators through the command line, with laws that ngspice gave; and what is refused at the door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spicetrain.cli import main
from spicetrain.spiking.verification.spikes_file import read_spikes
from spicetrain.storage import read_json
from spiking.test_run import TOML, Capture, circuit_toml, refused

pytestmark = pytest.mark.usefixtures("shared_cache")

__all__ = ["refused"]

DIRECT, INTEGRATOR = ["--network.encoder", "direct"], ["--network.readout", "integrator"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


@pytest.mark.parametrize(("array", "more"), [("1r", [*DIRECT, *INTEGRATOR]), ("1t1r", INTEGRATOR)])
def test_all_rooms_in_order(array: str, more: list[str], own_folder: Path, capsys: Capture) -> None:
    circuit_toml(own_folder, array)
    words = ["run", "tiny.toml", "--workers", "1", "--out", "run", *more]
    assert main(words) == 0, capsys.readouterr()
    summary, kept = read_json(Path("run/summary.json")), read_spikes(Path("run/spikes.npz"), (4, 5, 3))
    assert summary["readout"] == "integrator" and summary["agreement"] == 1.0
    assert summary["before_mismatch"]["membrane_rms_V"] < 3e-4
    assert summary["flat"]["membrane_difference_max_V"] < (1e-4 if array == "1r" else 2e-3)
    outputs = kept.spice[1][1]
    assert np.abs(kept.model[1][1] - outputs).max() < 2e-3 < 0.1 * np.abs(outputs).max()
    page = Path("run/report.html").read_text()
    assert "comparators" in page and ("Inputs are levels" in page) == ("direct" in more)


def test_levels_are_refused_before_the_work(own_folder: Path, refused: Callable[..., str]) -> None:
    circuit_toml(own_folder, "1t1r")
    assert "word lines are gates" in refused(2, "run", "tiny.toml", "--out", "run", *DIRECT)
    circuit_toml(own_folder, "1r", {"inputs": "driven"})
    said = refused(2, "run", "tiny.toml", "--out", "run", *DIRECT, "--netlist", "flat")
    assert "inputs = 'driven'" in said
    assert not list(Path("run").glob("*.parquet"))
