"""The import rule of ARCHITECTURE.md holds, and the tool that says so would notice if it did not."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

DOWN, ROOMS = "Imports point down", "Each system's rooms, from the last to the first"
NO_TORCH, NO_PROCESS = "The circuit side never imports torch", "The learning side never starts a process"


def for_types(line: str) -> str:
    """The import for type checking only."""
    return f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    {line}"


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
        ("errors.py", "import spicetrain.storage", DOWN),
        ("newcomer.py", "", DOWN),
        ("spiking/newcomer.py", "", ROOMS),
        ("inverter/network.py", "import spicetrain.spiking.network", DOWN),
        ("spiking/network.py", "import spicetrain.inverter.network", DOWN),
        ("inverter/training/planted.py", "from spicetrain.spiking.training import membrane", DOWN),
        ("spiking/report/planted.py", "def f():\n    from spicetrain.inverter.report import result", DOWN),
        ("inverter/verification/planted.py", for_types("import spicetrain.spiking.verification.verify"), DOWN),
        ("spiking/comparison/planted.py", for_types("import spicetrain.inverter.comparison.cross"), DOWN),
        ("array/crossbar.py", "import spicetrain.inverter.network", DOWN),
        ("array/crossbar.py", for_types("import spicetrain.technology"), DOWN),
        ("report/planted.py", for_types("import spicetrain.inverter.verification.summary"), DOWN),
        ("training/planted.py", "import spicetrain.spiking.training.loop", DOWN),
        ("verification/planted.py", "import spicetrain.training.loop", DOWN),
        ("system.py", for_types("import spicetrain.systems"), DOWN),
        ("run.py", "import spicetrain.nn", DOWN),
        ("pages.py", for_types("import spicetrain.run"), DOWN),
        ("run.py", for_types("import spicetrain.compare.run"), DOWN),
        ("inverter/training/planted.py", "import spicetrain.inverter.verification.verify", ROOMS),
        ("inverter/definition.py", for_types("import spicetrain.inverter.training.loop"), ROOMS),
        ("spiking/surrogates/planted.py", "import spicetrain.spiking.netlists.cells", ROOMS),
        ("spiking/network.py", "import spicetrain.spiking.definition", ROOMS),
        ("spiking/report/planted.py", "import spicetrain.spiking.comparison.severity", ROOMS),
        ("spice/planted.py", "import torch", NO_TORCH),
        ("characterization/planted.py", for_types("import torch"), NO_TORCH),
        ("inverter/netlists/planted.py", "import torch", NO_TORCH),
        ("spiking/characterization/planted.py", "def f():\n    import torch", NO_TORCH),
        ("surrogates/planted.py", "def f():\n    import subprocess", NO_PROCESS),
        ("training/planted.py", "import spicetrain.spice", NO_PROCESS),
        ("inverter/training/planted.py", for_types("import spicetrain.spice.simulator"), NO_PROCESS),
        ("spiking/training/planted.py", "import multiprocessing", NO_PROCESS),
        ("inverter/surrogates/planted.py", "import loky", NO_PROCESS),
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


def _normal(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared() -> dict[str, str]:
    """The bounds in pyproject.toml, by distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    parted = [re.split(r"(?=[<>=!~ ])", requirement, maxsplit=1) for requirement in project["dependencies"]]
    return {_normal(name): "".join(bound) for name, *bound in parted}


def _imported() -> dict[str, Path]:
    """What is imported from outside, by its top-level name, with a file that does."""
    found: dict[str, Path] = {}
    for path in (ROOT / "spicetrain").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module.split(".")[0]] = path
    return {name: path for name, path in found.items() if name not in (*sys.stdlib_module_names, "spicetrain")}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    """Not only brought along by another dependency, which may part with it."""
    of, declared = packages_distributions(), _declared()
    needed = {_normal(of[name][0]): f"{name} in {path}" for name, path in _imported().items()}
    assert {name: where for name, where in needed.items() if name not in declared} == {}
    assert declared.keys() - needed.keys() == set()


def test_every_dependency_has_a_lower_bound() -> None:
    assert {name: bound for name, bound in _declared().items() if not re.fullmatch(r">=\d+(\.\d+)*", bound)} == {}
