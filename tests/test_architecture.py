"""The import rule of ARCHITECTURE.md holds, and the tool that says so would notice if it did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its rules, free to be broken."""
    shutil.copytree(ROOT / "spicetrain", tmp_path / "spicetrain", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_down() -> None:
    result = _lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "planted", "broken"),
    [
        ("errors.py", "import spicetrain.storage", "Imports point down"),
        ("spice/planted.py", "import torch", "The circuit side never imports torch"),
        (
            "surrogates/planted.py",
            "def f():\n    import subprocess",
            "The learning side never starts a process",
        ),
        ("training/planted.py", "import spicetrain.spice", "The learning side never starts a process"),
        ("newcomer.py", "", "Imports point down"),
    ],
)
def test_a_planted_violation_is_found(copy: Path, module: str, planted: str, broken: str) -> None:
    with open(copy / "spicetrain" / module, "a", encoding="utf-8") as stream:
        stream.write(f"\n{planted}\n")
    result = _lint_imports(copy)
    assert result.returncode != 0
    assert f"{broken} BROKEN" in result.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, spicetrain; print(*sorted({'torch', 'numpy', 'PySpice', 'rich'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
