"""The built wheel, installed in a clean environment, works from an empty directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# One worker takes the whole file (pytest -n 2 --dist loadgroup): it is built and installed once.
pytestmark = pytest.mark.xdist_group("wheel")


@dataclass(frozen=True)
class Installed:
    bin: Path
    empty: Path  # the working directory

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "SPICETRAIN_DATA")}
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.empty,
            env={**kept, "SPICETRAIN_CACHE": str(self.empty.parent / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and with the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    _check_run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment with the wheel; its dependencies are borrowed from ours by a .pth line.

    A plain path line does not run the .pth files found there, so our own editable spicetrain stays out.
    """
    root = tmp_path_factory.mktemp("clean")
    venv, empty = root / "venv", root / "empty"
    empty.mkdir()
    _check_run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "--quiet"]
    _check_run(*pip, "install", "--no-deps", "--no-index", str(wheel))
    (site_packages,) = (venv / "lib").glob("python*/site-packages")
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "borrowed.pth").write_text("\n".join(ours))
    return Installed(venv / "bin", empty)


def _check_run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_the_wheel_carries(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "spicetrain/errors.py",
        "spicetrain/presets/mnist-kcl.toml",
        "spicetrain/comparisons/published.toml",
        "spicetrain/report/report.html.j2",
        "spicetrain/report/interactive.js",
        "spicetrain/report/uplot.min.js",
        "spicetrain/report/uplot.min.css",
        "spicetrain/_assets/data/SOURCES.toml",
        "spicetrain/_assets/netlists/technologies/ptm90.toml",
        "spicetrain/_assets/netlists/technologies/ptm90.lib",
        "spicetrain/_assets/netlists/devices/rram-wan.toml",
        "spicetrain/_assets/netlists/devices/rram-sky130.toml",
        "spicetrain/_assets/characterization/smoke.toml",
    } <= names
    assert [n for n in names if n.split("/")[0] not in ("spicetrain", "spicetrain-0.1.0.dist-info")] == []
    assert [n for n in names if n.endswith((".gz", ".pyc"))] == []
    assert any(n.endswith("licenses/LICENSE") for n in names)


def test_the_sdist_carries_the_project_without_the_images(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "scripts/setup", "tests/test_wheel.py", "data/SOURCES.toml"} <= names
    assert "data/devices/synthetic-iv.csv" in names
    assert [n for n in names if n.endswith((".gz", ".pyc"))] == []


def test_the_wheel_is_what_runs(installed: Installed) -> None:
    result = installed.run("python", "-c", "import spicetrain, numpy; print(spicetrain.__file__)")
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to(installed.bin.parent)


def test_doctor_from_an_empty_directory(installed: Installed) -> None:
    result = installed.run("spicetrain", "doctor")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ngspice" in result.stdout


def test_a_small_characterization_from_an_empty_directory(installed: Installed) -> None:
    command = ("characterize", "iris-kcl", "--out", "run", "--characterization.plan", "smoke")
    result = installed.run("spicetrain", *command)
    assert result.returncode == 0, result.stdout + result.stderr
    tables = {path.stem for path in (installed.empty / "run" / "characterization").glob("*.parquet")}
    assert tables == {"current_surface", "loaded_vtc", "effective_load", "memristor_iv"}
    manifest = json.loads((installed.empty / "run" / "manifest.json").read_text())
    assert manifest["git_revision"] is None
    assert [f.name for f in installed.empty.iterdir()] == ["run"]
