"""A small network end to end: its netlist in ngspice, its figures, and what happens when that is interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bent import with_sinh
from counted import Counted
from PySpice.Spice.Netlist import Circuit

from inverter.training.circuits import random_network
from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, VerificationError
from spicetrain.inverter.definition import EnergySettings, VerificationSettings
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.verification import simulate_network as module
from spicetrain.inverter.verification.simulate_network import simulate_network
from spicetrain.inverter.verification.verify import kept_verification, verify
from spicetrain.spice.ngspice import Ngspice
from spicetrain.technology import Technology

SETTINGS: dict[str, Any] = {"images": 30, "flat_images": 4, "hidden": True}
WriteNetwork = Callable[..., Path]


class Verifier:
    def __init__(self, technology: Technology, surface: CurrentSurface, ngspice: Ngspice, folder: Path) -> None:
        self.technology, self.surface, self.ngspice, self.folder = technology, surface, ngspice, folder
        self.iris = load_dataset("iris")

    def __call__(
        self, file: Path, technology: Technology | None = None, energy: EnergySettings | None = None, **changes: Any
    ) -> dict[str, Any]:
        settings = VerificationSettings(**(SETTINGS | changes))
        return verify(
            file,
            technology or self.technology,
            Surrogates(self.surface),
            self.iris,
            settings,
            self.ngspice,
            self.folder,
            energy,
            workers=1,
        )

    def kept(self, file: Path, energy: EnergySettings | None = None) -> dict[str, Any] | None:
        settings, surrogates = VerificationSettings(**SETTINGS), Surrogates(self.surface)
        return kept_verification(
            file, self.technology, surrogates, self.iris, settings, self.ngspice, self.folder, energy
        )

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")


@pytest.fixture
def verifier(ptm90: Technology, surface: CurrentSurface, ngspice: Ngspice, tmp_path: Path) -> Verifier:
    return Verifier(ptm90, surface, ngspice, tmp_path / "run")


def outputs(table: pd.DataFrame, side: str) -> np.ndarray:
    return np.stack([table[f"{side}_o_{j}_V"] for j in range(3)], axis=1)


def test_the_summary_is_what_the_table_says(verifier: Verifier, network_file: WriteNetwork) -> None:
    summary = verifier(network_file(4, 5, 3))
    table = verifier.table("verification")
    assert table["image"].tolist() == list(range(30))
    assert table["label"].tolist() == verifier.iris.test_labels.tolist()
    model, spice = outputs(table, "model"), outputs(table, "spice")
    classes = {"model": np.argmax(model, 1), "spice": np.argmax(spice, 1)}
    for side, found in classes.items():
        assert summary[f"accuracy_{side}"] == pytest.approx(sum(found == table["label"]) / 30)
    assert summary["agreement"] == pytest.approx(sum(classes["model"] == classes["spice"]) / 30)
    errors = [abs(a - b) for a, b in zip(model.ravel(), spice.ravel(), strict=True)]
    assert summary["error_mean_V"] == pytest.approx(sum(errors) / 90)
    assert summary["error_max_V"] == pytest.approx(max(errors))
    assert summary["error_rms_V"] == pytest.approx((sum(e * e for e in errors) / 90) ** 0.5)
    assert 0 < summary["error_max_V"] < 1e-3
    assert np.ptp(spice, axis=0).max() > 0.05
    assert summary == json.loads((verifier.folder / "summary.json").read_text())
    wanted = {"system": "inverter", "method": "kcl", "dataset": "iris", "layers": [4, 5, 3], "netlist": "reduced"}
    assert wanted.items() <= summary.items()
    assert summary["images"] == 30
    assert summary["solver_unconverged"] == 0
    assert summary["ngspice_version"] == verifier.ngspice.version
    assert 0 < summary["seconds_ngspice"] < summary["seconds_total"]
    assert not (verifier.folder / ".verification").exists()


def test_every_inner_node_of_the_model_is_where_ngspice_has_it(verifier: Verifier, network_file: WriteNetwork) -> None:
    file = network_file(4, 5, 4, 3)
    verifier(file)
    hidden = verifier.table("hidden")
    nodes = {f"{kind}{layer}_{j}" for layer, width in ((0, 5), (1, 4)) for kind in "cnp" for j in range(width)}
    nodes |= {f"c2_{j}" for j in range(3)}
    assert set(hidden) == {"image", "label"} | {f"{side}_{node}_V" for node in nodes for side in ("model", "spice")}
    for node in nodes:
        assert np.abs(hidden[f"model_{node}_V"] - hidden[f"spice_{node}_V"]).max() < 5e-4, node
    network, rails = Network.load(file), verifier.technology.rails
    v_pos, v_neg = encode(verifier.iris.test_inputs, "bipolar", rails)
    columns = network.crossbars[0].open_column_voltage(v_pos, v_neg, rails)
    for j in range(5):
        np.testing.assert_allclose(hidden[f"spice_c0_{j}_V"], columns[:, j], rtol=0, atol=5e-6)


def test_phax_is_scored_with_the_load_it_was_trained_for(verifier: Verifier, network_file: WriteNetwork) -> None:
    network = Network.load(network_file(4, 3, 3, method="phax"))
    for load_S in (0.0, 3e-5):
        about = network.about | ({"phax_load_S": load_S} if load_S else {})  # networks of old have no such entry
        file = verifier.folder.with_suffix(".safetensors")
        replace(network, about=about).save(file)
        verifier(file, images=5, flat_images=0)
        circuit = Circuit(verifier.technology, Surrogates(verifier.surface), torch.float64, phax_load_S=load_S)
        expected = predict(network, verifier.iris.test_inputs[:5], circuit, "phax")[-1].v_n
        np.testing.assert_allclose(outputs(verifier.table("verification"), "model"), expected, rtol=0, atol=1e-9)


def test_inner_nodes_are_kept_only_on_request(verifier: Verifier, network_file: WriteNetwork) -> None:
    file = network_file(4, 3, 3)
    verifier(file, images=3)
    verifier(file, images=3, hidden=False)
    assert not (verifier.folder / "hidden.parquet").exists()  # of the first call, which knew other nodes


def test_flat_agrees_with_reduced(verifier: Verifier, network_file: WriteNetwork) -> None:
    file = network_file(4, 5, 3)
    reduced = verifier(file, images=6)
    in_reduced = outputs(verifier.table("verification"), "spice")
    assert reduced["flat"]["images"] == 4
    assert 0 <= reduced["flat"]["difference_max_V"] < 1e-6
    flat = verifier(file, images=6, netlist="flat")
    assert (flat["netlist"], "flat" in flat) == ("flat", False)
    in_flat = outputs(verifier.table("verification"), "spice")
    np.testing.assert_allclose(in_flat, in_reduced, rtol=0, atol=1e-6)
    assert reduced["flat"]["difference_max_V"] == pytest.approx(np.abs(in_flat - in_reduced)[:4].max(), abs=1e-12)
    assert "flat" not in verifier(file, images=6, flat_images=0)


def test_a_figure_outside_its_tolerance_fails_after_all_is_written(
    verifier: Verifier, network_file: WriteNetwork
) -> None:
    with pytest.raises(VerificationError, match=r"error_max_V = .*, asked at most 1e-12") as caught:
        verifier(network_file(4, 3, 3), images=5, error_max_max_V=1e-12)
    assert caught.value.exit_code == 5
    assert json.loads((verifier.folder / "summary.json").read_text())["images"] == 5
    assert len(verifier.table("verification")) == 5


@pytest.mark.parametrize("images", [1, 2])
def test_one_image_is_enough(images: int, verifier: Verifier, network_file: WriteNetwork) -> None:
    assert verifier(network_file(4, 3, 3), images=images)["images"] == images


def test_what_does_not_fit_is_refused(
    verifier: Verifier, network_file: WriteNetwork, made_up: Technology, ptm90: Technology
) -> None:
    file = network_file(4, 3, 3)
    with pytest.raises(ConfigurationError, match=r"images = 31, but iris has 30 test images"):
        verifier(file, images=31)
    warmer = Technology(**(ptm90.model_dump() | {"temperature_C": 28.0}))
    for technology in (warmer, made_up):
        with pytest.raises(ConfigurationError, match="was trained for technology 'ptm90'"):
            verifier(file, technology)
    with pytest.raises(ArchitectureMismatch, match="5-3-3"):
        verifier(network_file(5, 3, 3))
    assert not verifier.folder.exists()


def test_energy_is_in_the_summary_and_its_tables(verifier: Verifier, network_file: WriteNetwork) -> None:
    file, asked = network_file(4, 3, 3), EnergySettings(images=4, column_capacitance_F=1e-14)
    summary = verifier(file, energy=asked)
    energy, by_image, waves = summary["energy"], verifier.table("transient"), verifier.table("waveforms")
    assert by_image["image"].tolist() == [0, 1, 2, 3]
    assert by_image["label"].tolist() == verifier.iris.test_labels[:4].tolist()
    for figure, column in (("energy_per_inference_J", "energy_J"), ("static_power_W", "static_power_W")):
        assert energy[figure] == pytest.approx(by_image[column].mean(), abs=0) and energy[figure] > 0
    assert energy["hold_time_s"] == by_image["hold_time_s"].max() > by_image["hold_time_s"].median() > 0
    assert energy["hold_time_median_s"] == pytest.approx(by_image["hold_time_s"].median(), abs=0)
    assert set(waves) == {"image", "time_s", "power_W", "o_0_V", "o_1_V", "o_2_V"}
    last = waves[waves["image"] == 2].iloc[-1]
    at_dc = outputs(verifier.table("verification"), "spice")[2]
    np.testing.assert_allclose([last[f"o_{j}_V"] for j in range(3)], at_dc, rtol=0, atol=1e-4)
    assert verifier.kept(file, asked) == summary == json.loads((verifier.folder / "summary.json").read_text())
    others = [EnergySettings(), EnergySettings(images=5, column_capacitance_F=1e-14), EnergySettings(images=4)]
    assert [verifier.kept(file, other) for other in others] == [None] * 3
    (verifier.folder / "waveforms.parquet").unlink()
    assert verifier.kept(file, asked) is None


def test_without_energy_nothing_of_it_is_left(verifier: Verifier, network_file: WriteNetwork) -> None:
    file = network_file(4, 3, 3)
    verifier(file, energy=EnergySettings(images=2))
    assert "energy" not in verifier(file, energy=EnergySettings(images=0, column_capacitance_F=1e-14))
    assert not [path.name for path in verifier.folder.glob("*.parquet") if path.stem in ("transient", "waveforms")]
    assert verifier.kept(file) is not None


def test_energy_that_cannot_be_measured_is_refused_before_the_work(
    verifier: Verifier, network_file: WriteNetwork, ptm90: Technology
) -> None:
    with pytest.raises(ConfigurationError, match="energy.images = 31, but iris has 30 test images"):
        verifier(network_file(4, 3, 3), energy=EnergySettings(images=31))
    bent = with_sinh(ptm90, 4.0)
    file = network_file(4, 3, 3, technology_fingerprint=bent.fingerprint)
    with pytest.raises(ConfigurationError, match="only ohmic devices have"):
        verifier(file, bent, EnergySettings(images=2), netlist="flat")
    assert not verifier.folder.exists()


def test_an_interrupted_verification_goes_on_with_what_is_missing(
    verifier: Verifier, network_file: WriteNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REDUCED_PIECE", 10)  # three pieces, then one flat
    file = network_file(4, 3, 3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Counted(patch, module, interrupt_at=3)
        verifier(file)
    with monkeypatch.context() as patch:
        counted = Counted(patch, module)
        resumed = verifier(file)
        assert counted.calls == 2
    resumed_table = verifier.table("verification")
    with monkeypatch.context() as patch:
        counted = Counted(patch, module)
        assert verifier(file)["error_max_V"] == resumed["error_max_V"]
        assert counted.calls == 4  # what was finished and told is not kept
    pd.testing.assert_frame_equal(verifier.table("verification"), resumed_table)


def test_kept_pieces_of_other_inputs_or_damaged_ones_are_not_used(
    ptm90: Technology, ngspice: Ngspice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, scratch = tmp_path / "n.safetensors", tmp_path / "scratch"
    random_network(ptm90, 4, 3, 3).save(file)
    inputs = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    first = simulate_network(file, ptm90, inputs, "reduced", ngspice, scratch, workers=1)
    counted = Counted(monkeypatch, module)
    again = simulate_network(file, ptm90, inputs, "reduced", ngspice, scratch, workers=1)
    assert (counted.calls, np.array_equal(again.voltages, first.voltages)) == (0, True)
    assert again.seconds_ngspice == first.seconds_ngspice > 0
    for changed in ({"inputs": 1 - inputs}, {"form": "flat"}, {"hidden": True}):
        before = counted.calls
        arguments: dict[str, Any] = {"inputs": inputs, "form": "reduced", "hidden": False} | changed
        simulate_network(file, ptm90, ngspice=ngspice, scratch=scratch, workers=1, **arguments)
        assert counted.calls == before + 1, changed
    for piece in scratch.glob("*.npz"):
        piece.write_bytes(piece.read_bytes()[:50])
    before = counted.calls
    repaired = simulate_network(file, ptm90, inputs, "reduced", ngspice, scratch, workers=1)
    assert (counted.calls, np.array_equal(repaired.voltages, first.voltages)) == (before + 1, True)


def test_pieces_in_two_processes_come_back_in_order(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    file = tmp_path / "n.safetensors"
    random_network(ptm90, 4, 3, 3).save(file)
    inputs = np.random.default_rng(0).random((11, 4)).astype(np.float32)
    one, two = (
        simulate_network(file, ptm90, inputs, "reduced", ngspice, tmp_path / str(workers), workers=workers)
        for workers in (1, 2)
    )
    assert one.nodes == two.nodes == ("o_0", "o_1", "o_2")
    np.testing.assert_allclose(two.voltages, one.voltages, rtol=0, atol=1e-7)
    assert np.abs(np.diff(one.voltages, axis=0)).min() > 1e-6  # no two images look alike
