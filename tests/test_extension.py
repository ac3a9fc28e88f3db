"""What the house is built for: a method, a device, a dataset, a system, each one file and one registration, and it goes
through all verbs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import TOML, write_experiment

from spicetrain.array.devices import DEVICES
from spicetrain.cli import main
from spicetrain.datasets import DATASETS
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.registry import Registry
from spicetrain.run import Run
from spicetrain.systems import SYSTEMS
from spicetrain.technology import load_technology

pytestmark = pytest.mark.usefixtures("shared_cache")


@pytest.fixture
def register() -> Iterator[Any]:
    done: list[tuple[Registry[Any], str]] = []

    def add(registry: Registry[Any], name: str, thing: Any) -> None:
        registry.register(name, thing)
        done.append((registry, name))

    yield add
    for registry, name in done:
        registry.remove(name)


def run(folder: Path, text: str, **options: Any) -> Run:
    (folder / "tiny.toml").write_text(text)
    return Run(folder / "tiny.toml", folder / "run", workers=1, **options)


def test_a_method(register: Any, tmp_path: Path, own_cache: Path) -> None:
    register(METHODS, "linear", "extension.method:LINEAR")
    write_experiment(tmp_path)
    text = TOML.replace("[training]", '[training]\nmethod = "linear"').replace(
        "[verification]", "[training.linear]\ngain = 7.0\n\n[verification]"
    )
    summary = run(tmp_path, text).all()
    assert isinstance(summary, InverterSummary)
    assert summary.method == "linear"
    assert summary.error_max_V > 1e-3  # it knows nothing of the load, and nothing is claimed
    network = Run.open(tmp_path / "run").network()
    assert network.about["linear"] == {"gain": 7.0}
    assert "linear" in (tmp_path / "run" / "report.html").read_text()
    # The gain that it predicts with is the one it was trained with.
    other = run(tmp_path, text.replace("gain = 7.0", "gain = 9.0")).verify_network(network)
    assert (other.accuracy_model, other.agreement) == (summary.accuracy_model, summary.agreement)
    with pytest.raises(ConfigurationError, match=r"training.linear.*gain"):
        run(tmp_path, text.replace("gain = 7.0", "gain = 0.5"))
    assert main(["run", str(tmp_path / "run"), "--training.linear.gain", "0.5"]) == 2


def test_a_device(register: Any, tmp_path: Path, own_cache: Path) -> None:
    register(DEVICES, "cubic", "extension.device:Cubic")
    write_experiment(tmp_path, plan="[current_surface]\npoints = 31\n[memristor_iv]\n")
    shipped = load_technology("ptm90")
    description = (shipped.folder / "ptm90.toml").read_text()
    head, _, tail = description.partition("[memristor]")
    library = str(shipped.library)
    head = head.replace(f'library = "{shipped.transistors.library}"', f'library = "{library}"')
    rest = "\n".join(line for line in tail.splitlines() if line.startswith("g_"))
    made = f'{head}[memristor]\nform = "cubic"\nc_per_V2 = 2.0\n{rest}\n'
    (tmp_path / "cubic.toml").write_text(made)
    text = 'technology = "cubic.toml"\n' + TOML
    one = run(tmp_path, text)
    summary = one.all()
    assert isinstance(summary, InverterSummary)
    assert summary.error_max_V < 5e-3  # of the coarse surrogate
    assert summary.flat is not None and summary.flat.difference_max_V < 1e-6
    deck = one.netlist(0).read_text()
    assert "*v(x0_p,c0_0)*v(x0_p,c0_0)" in deck.replace(" ", "").lower()
    table = one.files.table("memristor_iv", ("g_S", "v_V", "i_A"))
    assert table is not None
    g, v = table["g_S"].to_numpy(), table["v_V"].to_numpy()
    np.testing.assert_allclose(table["i_A"], g * (v + 2.0 * v**3), rtol=1e-5, atol=1e-15)


def test_a_dataset(register: Any, tmp_path: Path, own_cache: Path) -> None:
    register(DATASETS, "diagonal", "extension.dataset:load")
    write_experiment(tmp_path)
    text = TOML.replace('"iris"', '"diagonal"').replace("[4, 3, 3]", "[2, 6, 2]")
    text = text.replace("epochs = 3", "epochs = 40\nlearning_rate = 0.1")
    summary = run(tmp_path, text).all()
    assert (summary.dataset, summary.images) == ("diagonal", 30)
    assert summary.accuracy_spice is not None and summary.accuracy_spice > 0.9


def test_a_system(register: Any, tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register(SYSTEMS, "open-columns", "extension.system:SYSTEM")
    (tmp_path / "plan.toml").write_text("[memristor_iv]\n")
    text = """
system = "open-columns"
[dataset]
name = "iris"
[characterization]
plan = "plan.toml"
[network]
layers = [4, 3]
[training]
epochs = 30
batch_size = 20
learning_rate = 0.1
[verification]
images = 30
accuracy_min = 0.7
"""
    (tmp_path / "tiny.toml").write_text(text)
    assert main(["run", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "run"), "--workers", "1"]) == 0
    assert "open columns" in capsys.readouterr().out
    again = Run.open(tmp_path / "run", workers=1)
    summary = again.all()
    assert summary.accuracy_spice is not None and summary.accuracy_spice > 0.8
    assert summary.error_max_V < 2e-6  # type: ignore[attr-defined]
    html = (tmp_path / "run" / "report.html").read_text()
    assert "by open columns" in html and "The crossbars" in html
    warm = ["--verification.conditions.vdd-scale", "0.5", "--verification.conditions.temperature-C", "60"]
    assert main(["verify", str(tmp_path / "run"), *warm]) == 0
    other = Run.open(tmp_path / "run").all()
    assert other.simulated_in is not None and other.simulated_in["vdd_V"] == pytest.approx(0.125)
    assert main(["verify", str(tmp_path / "run"), "--verification.accuracy-min", "0.999"]) == 5
