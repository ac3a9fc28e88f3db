from __future__ import annotations

import builtins
import importlib.util
import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from spicetrain.doctor import Finding, _gpu, _simulation, _torch, charged_V, examine, exit_code_of, print_findings
from spicetrain.errors import SimulationError
from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.spice.simulate import Simulation
from spicetrain.technology import load_technology


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SPICETRAIN_DATA", raising=False)
    return tmp_path


def pretend(monkeypatch: pytest.MonkeyPatch, **abilities: bool) -> None:
    found = Ngspice(Path("/opt/ngspice"), 44, **{"klu": True, "code_models": True, **abilities})
    monkeypatch.setattr("spicetrain.doctor.find_ngspice", lambda executable: found)
    monkeypatch.setattr("spicetrain.doctor._simulation", lambda found: Finding("ngspice simulates", "ok", "pretended"))


def test_this_machine_can_run_the_tests(own_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings = examine()
    found = by_name(findings)
    assert [name for name, finding in found.items() if finding.state == "lack"] == []
    assert f"version {find_ngspice().version} " in found["ngspice"].value
    assert found["PySpice"].value == metadata.version("PySpice")
    assert found["torch"].value.split("+")[0] == metadata.version("torch").split("+")[0]
    assert found["cache folder"].value == str(own_folders / "cache")
    assert found["--cluster"].state == "ok"
    assert print_findings(findings) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in found)


def test_missing_ngspice_is_told_with_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    findings = examine("/nowhere/ngspice")
    assert by_name(findings)["ngspice"].state == "lack"
    assert print_findings(findings) == 3
    assert "apt-get" in capsys.readouterr().out


def test_lack_of_klu_is_a_warning_and_of_code_models_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, klu=False)
    found = by_name(findings := examine())
    assert found["ngspice KLU solver"].state == "warn"
    advice = found["ngspice KLU solver"].advice
    assert "bookworm-backports" in advice and "126 x 126 cells with wires takes 2 minutes" in advice
    assert print_findings(findings) == 0
    pretend(monkeypatch, code_models=False)
    found = by_name(findings := examine())
    assert found["ngspice KLU solver"].state == "ok" and found["ngspice KLU solver"].value.startswith("yes")
    assert found["ngspice code models"].state == "lack"
    assert print_findings(findings) == 3


def test_a_simulation_is_held_to_its_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _simulation(find_ngspice())
    assert found.state == "ok" and found.value.startswith("an RC circuit to ")
    # The closed form itself: C dv/dt = (v_in - v) / R, integrated by scipy.
    t = np.linspace(0, 5e-9, 60)
    solved = solve_ivp(lambda t, v: (min(t / 2e-10, 1) - v) / 1e-9, (0, t[-1]), [0.0], t_eval=t, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(charged_V(t), solved.y[0], atol=2e-5)

    def answered(values: dict[str, np.ndarray] | None) -> Finding:
        def simulate(*_: object) -> Simulation:
            if values is None:
                raise SimulationError("it crashed", None)
            return Simulation(values, 0.0, "")

        monkeypatch.setattr("spicetrain.doctor.simulate", simulate)
        return _simulation(Ngspice(Path("/opt/ngspice"), 44, klu=True, code_models=True))

    wrong = answered({"time": t, "v(out)": charged_V(t * 2)})
    assert wrong.state == "lack" and "off its closed form" in wrong.value and "install another" in wrong.advice
    assert answered({"time": t, "v(out)": np.full(60, np.nan)}).state == "lack"
    assert answered(None).advice == "it crashed" and exit_code_of([answered(None)]) == 3


def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1.5 * 2**30))
    found = by_name(examine())
    assert found["disk space for cache"].state == "ok" and "1.5 GiB free" in found["disk space for cache"].value
    assert found["disk space for runs"].state == "warn" and "--out" in found["disk space for runs"].advice


def test_lack_of_osdi_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, osdi=False)
    found = by_name(findings := examine())["ngspice OSDI"]
    assert found.state == "warn" and "Verilog-A" in found.advice
    assert print_findings(findings) == 0
    pretend(monkeypatch, osdi=True)
    assert by_name(examine())["ngspice OSDI"] == Finding("ngspice OSDI", "ok", "yes")


def test_technologies_and_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_name(examine())
    assert found["technology ptm90"] == Finding("technology ptm90", "ok", str(load_technology("ptm90").library))
    assert found["technology gf180mcu"].value.endswith("sm141064.ngspice")
    assert "pcm" in found["devices by name"].value and "rram-wan" in found["devices by name"].value
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: find(name) if name == "torch" else None)
    findings = examine()
    foundry = by_name(findings)["technology gf180mcu"]
    assert foundry.state == "warn" and "pip install 'spicetrain[pdk]'" in foundry.advice
    assert print_findings(findings) == 0


def test_cache_folder_that_cannot_be_made(own_folders: Path) -> None:
    (own_folders / "cache").write_text("a file")
    finding = by_name(findings := examine())["cache folder"]
    assert finding.state == "lack"
    assert finding.advice.count("$SPICETRAIN_CACHE") == 1
    assert print_findings(findings) == 2


def test_packages_that_are_missing_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "torch", None)  # an import of it now fails
    monkeypatch.setattr(metadata, "version", missing)
    found = by_name(findings := examine())
    assert found["torch"].state == found["PySpice"].state == "lack"
    assert print_findings(findings) == 2
    assert print_findings([found["torch"]]) == print_findings([found["PySpice"]]) == 2
    assert print_findings([found["torch"], Finding("ngspice", "lack", "not usable")]) == 3
    assert "pip install torch" in found["torch"].advice
    assert "GPU" not in found
    assert found["--cluster"].state == "ok" and "spicetrain[cluster]" in found["--cluster"].value


def test_data_are_looked_for_where_they_would_be_read(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICETRAIN_DATA", str(own_folders))
    assert by_name(examine())["dataset mnist"].state == "warn"
    (own_folders / "mnist").mkdir()
    for kind in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (own_folders / f"mnist/{kind}-ubyte.gz").touch()
    found = by_name(examine())
    assert found["dataset mnist"] == Finding("dataset mnist", "ok", str(own_folders / "mnist"))
    assert "$SPICETRAIN_DATA" in found["dataset fashion-mnist"].advice


def test_torch_is_not_imported_to_be_looked_at() -> None:
    """Not even where it is built for a GPU, on a machine without one: an import of it takes seconds."""
    code = (
        "import sys, spicetrain.doctor as doctor; doctor._CUDA_DRIVER = 'libabsent.so'; doctor._torch();"
        "said = doctor._gpu('12.6'); sys.exit('torch' in sys.modules or not said.startswith('none found'))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_torch_whose_libraries_do_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(path: str) -> None:
        loaded.append(path)
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", load)
    found = _torch()[0]
    assert found == Finding("torch", "ok", torch.__version__)  # an import found them elsewhere, and has the last word
    (path,) = loaded
    assert Path(path).is_file()
    monkeypatch.setattr("builtins.__import__", partial(_without_torch, builtins.__import__))
    (found,) = _torch()
    assert found.state == "lack" and found.value == "cannot be imported: libgomp.so.1: no such file"


def _without_torch(real: Any, name: str, *arguments: Any, **named: Any) -> Any:
    if name == "torch":
        raise OSError("libgomp.so.1: no such file")
    return real(name, *arguments, **named)


def test_a_gpu_is_what_torch_sees_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda path: None)  # there is a driver
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert _gpu("12.6").startswith("none found")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    assert _gpu("12.6") == "a GPU (CUDA 12.6)"
    assert _gpu(None).startswith("not used")
