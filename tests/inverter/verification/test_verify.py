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
from bench import Counted, simulator
from bent import bending

from inverter.training.circuits import random_network
from spicetrain.array.wires import Wires
from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.inverter.definition import EnergySettings, VerificationSettings
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.phax import PhaxSettings
from spicetrain.inverter.verification import simulate_network as module
from spicetrain.inverter.verification.figures import summary_rows
from spicetrain.inverter.verification.simulate_network import simulate_network
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.inverter.verification.verify import Verification, cached_verification, verify
from spicetrain.runfolder import RunFolder
from spicetrain.technology import Technology
from spicetrain.verification.conditions import Conditions

SETTINGS: dict[str, Any] = {"images": 30, "flat_images": 4, "hidden": True}
Trained = Callable[..., Network]


class Verifier:
    def __init__(self, technology: Technology, surface: CurrentSurface, folder: Path) -> None:
        self.technology, self.surface, self.folder = technology, surface, folder
        self.iris, self.simulator = load_dataset("iris"), simulator(scratch=folder / ".verification")

    def asked(
        self,
        network: Network,
        technology: Technology | None = None,
        energy: EnergySettings | None = None,
        **changes: Any,
    ) -> Verification:
        used = technology or self.technology
        settings = VerificationSettings(**(SETTINGS | changes))
        surrogates = Surrogates(self.surface)
        return Verification(
            network, Conditions(used, used), surrogates, self.iris, settings, energy or EnergySettings()
        )

    def __call__(self, network: Network, *arguments: Any, **changes: Any) -> InverterSummary:
        return verify(self.asked(network, *arguments, **changes), self.simulator, self.files)

    def kept(self, network: Network, energy: EnergySettings | None = None) -> InverterSummary | None:
        return cached_verification(self.asked(network, energy=energy), self.simulator, self.files)

    @property
    def files(self) -> RunFolder:
        self.folder.mkdir(exist_ok=True)
        return RunFolder(self.folder)

    def written(self) -> InverterSummary:
        return InverterSummary.model_validate(json.loads((self.folder / "summary.json").read_text()))

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")


@pytest.fixture
def verifier(ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> Verifier:
    return Verifier(ptm90, surface, tmp_path / "run")


def outputs(table: pd.DataFrame, side: str) -> np.ndarray:
    return np.stack([table[f"{side}_o_{j}_V"] for j in range(3)], axis=1)


def test_the_summary_is_what_the_table_says(verifier: Verifier, trained: Trained) -> None:
    summary = verifier(trained(4, 5, 3))
    table = verifier.table("verification")
    assert table["image"].tolist() == list(range(30))
    assert table["label"].tolist() == verifier.iris.test_labels.tolist()
    model, spice = outputs(table, "model"), outputs(table, "spice")
    classes = {"model": np.argmax(model, 1), "spice": np.argmax(spice, 1)}
    for side, found in classes.items():
        assert getattr(summary, f"accuracy_{side}") == pytest.approx(sum(found == table["label"]) / 30)
    assert summary.agreement == pytest.approx(sum(classes["model"] == classes["spice"]) / 30)
    errors = [abs(a - b) for a, b in zip(model.ravel(), spice.ravel(), strict=True)]
    assert summary.error_mean_V == pytest.approx(sum(errors) / 90)
    assert summary.error_max_V == pytest.approx(max(errors))
    assert summary.error_rms_V == pytest.approx((sum(e * e for e in errors) / 90) ** 0.5)
    assert 0 < summary.error_max_V < 1e-3
    assert np.ptp(spice, axis=0).max() > 0.05
    assert summary == verifier.written()
    assert (summary.system, summary.method, summary.dataset) == ("inverter", "kcl", "iris")
    assert (summary.layers, summary.netlist) == ((4, 5, 3), "reduced")
    assert summary.model_is_of_the_circuit
    assert summary.swing_V == pytest.approx(0.5)
    assert summary.images == 30
    assert summary.solver_unconverged == 0
    assert summary.ngspice_version == verifier.simulator.version
    assert 0 < summary.seconds_ngspice < summary.seconds_total
    assert not (verifier.folder / ".verification").exists()


def test_every_inner_node_of_the_model_is_where_ngspice_has_it(verifier: Verifier, trained: Trained) -> None:
    network = trained(4, 5, 4, 3)
    verifier(network)
    hidden = verifier.table("hidden")
    nodes = {f"{kind}{layer}_{j}" for layer, width in ((0, 5), (1, 4)) for kind in "cnp" for j in range(width)}
    nodes |= {f"c2_{j}" for j in range(3)}
    assert set(hidden) == {"image", "label"} | {f"{side}_{node}_V" for node in nodes for side in ("model", "spice")}
    for node in nodes:
        assert np.abs(hidden[f"model_{node}_V"] - hidden[f"spice_{node}_V"]).max() < 5e-4, node
    rails = verifier.technology.rails
    v_pos, v_neg = encode(verifier.iris.test_inputs, "bipolar", rails)
    columns = network.crossbars[0].open_column_voltage(v_pos, v_neg, rails)
    for j in range(5):
        np.testing.assert_allclose(hidden[f"spice_c0_{j}_V"], columns[:, j], rtol=0, atol=5e-6)


def test_a_method_predicts_with_the_settings_it_was_trained_with(verifier: Verifier, trained: Trained) -> None:
    for load_S in (5e-6, 3e-5):
        # Networks of old say nothing of it: the default is what they were trained with.
        own = {} if load_S == 5e-6 else {"phax": {"load_S": load_S}}
        network = trained(4, 3, 3, method="phax", **own)
        verifier(network, images=5, flat_images=0)
        circuit = FittedCircuit(verifier.technology, Surrogates(verifier.surface), torch.float64)
        found = predict(network, verifier.iris.test_inputs[:5], circuit, "phax", PhaxSettings(load_S=load_S))
        np.testing.assert_allclose(outputs(verifier.table("verification"), "model"), found.outputs, rtol=0, atol=1e-9)


def test_inner_nodes_are_kept_only_on_request(verifier: Verifier, trained: Trained) -> None:
    network = trained(4, 3, 3)
    verifier(network, images=3)
    verifier(network, images=3, hidden=False)
    assert not (verifier.folder / "hidden.parquet").exists()  # of the first call, which knew other nodes


def test_flat_agrees_with_reduced(verifier: Verifier, trained: Trained) -> None:
    network = trained(4, 5, 3)
    reduced = verifier(network, images=6)
    in_reduced = outputs(verifier.table("verification"), "spice")
    assert reduced.flat is not None
    assert reduced.flat.images == 4
    assert 0 <= reduced.flat.difference_max_V < 1e-6
    flat = verifier(network, images=6, netlist="flat")
    assert (flat.netlist, flat.flat) == ("flat", None)
    in_flat = outputs(verifier.table("verification"), "spice")
    np.testing.assert_allclose(in_flat, in_reduced, rtol=0, atol=1e-6)
    assert reduced.flat.difference_max_V == pytest.approx(np.abs(in_flat - in_reduced)[:4].max(), abs=1e-12)
    assert verifier(network, images=6, flat_images=0).flat is None


@pytest.mark.parametrize("images", [1, 2])
def test_one_image_is_enough(images: int, verifier: Verifier, trained: Trained) -> None:
    assert verifier(trained(4, 3, 3), images=images).images == images


def test_what_does_not_fit_is_refused(verifier: Verifier, trained: Trained) -> None:
    with pytest.raises(ConfigurationError, match=r"images = 31, but iris has 30 test images"):
        verifier.asked(trained(4, 3, 3), images=31).require()
    with pytest.raises(ArchitectureMismatch, match="5-3-3"):
        verifier.asked(trained(5, 3, 3)).require()


def test_energy_is_in_the_summary_and_its_tables(verifier: Verifier, trained: Trained) -> None:
    network, asked = trained(4, 3, 3), EnergySettings(images=4, column_capacitance_F=1e-14)
    summary = verifier(network, energy=asked)
    energy, by_image, waves = summary.energy, verifier.table("transient"), verifier.table("waveforms")
    assert by_image["image"].tolist() == [0, 1, 2, 3]
    assert by_image["label"].tolist() == verifier.iris.test_labels[:4].tolist()
    for figure, column in (("energy_per_inference_J", "energy_J"), ("static_power_W", "static_power_W")):
        assert getattr(energy, figure) == pytest.approx(by_image[column].mean(), abs=0)
        assert getattr(energy, figure) > 0
    assert energy is not None
    assert energy.hold_time_s == by_image["hold_time_s"].max() > by_image["hold_time_s"].median() > 0
    assert energy.hold_time_median_s == pytest.approx(by_image["hold_time_s"].median(), abs=0)
    assert set(waves) == {"image", "time_s", "power_W", "o_0_V", "o_1_V", "o_2_V"}
    last = waves[waves["image"] == 2].iloc[-1]
    at_dc = outputs(verifier.table("verification"), "spice")[2]
    np.testing.assert_allclose([last[f"o_{j}_V"] for j in range(3)], at_dc, rtol=0, atol=1e-4)
    assert verifier.kept(network, asked) == summary == verifier.written()
    others = [EnergySettings(), EnergySettings(images=5, column_capacitance_F=1e-14), EnergySettings(images=4)]
    assert [verifier.kept(network, other) for other in others] == [None] * 3
    (verifier.folder / "waveforms.parquet").unlink()
    assert verifier.kept(network, asked) is None


def test_without_energy_nothing_of_it_is_left(verifier: Verifier, trained: Trained) -> None:
    network = trained(4, 3, 3)
    verifier(network, energy=EnergySettings(images=2))
    assert verifier(network, energy=EnergySettings(images=0, column_capacitance_F=1e-14)).energy is None
    assert not [path.name for path in verifier.folder.glob("*.parquet") if path.stem in ("transient", "waveforms")]
    assert verifier.kept(network) is not None


def test_energy_that_cannot_be_measured_is_refused_before_the_work(
    verifier: Verifier, trained: Trained, ptm90: Technology
) -> None:
    with pytest.raises(ConfigurationError, match="energy.images = 31, but iris has 30 test images"):
        verifier(trained(4, 3, 3), energy=EnergySettings(images=31))
    with pytest.raises(ConfigurationError, match="only the forms 'ohmic' and 'sinh' have"):
        verifier(trained(4, 3, 3), bending(ptm90, "power"), EnergySettings(images=2))
    assert not list(verifier.folder.iterdir())


def test_an_interrupted_verification_goes_on_with_what_is_missing(
    verifier: Verifier, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REDUCED_PIECE", 10)  # three pieces, then one flat
    network, kept = trained(4, 3, 3), verifier.simulator

    def counted(interrupt_at: int = 0) -> Counted:
        answer = Counted(interrupt_at)
        verifier.simulator = kept.changed(answer=answer)
        return answer

    counted(interrupt_at=3)
    with pytest.raises(KeyboardInterrupt):
        verifier(network)
    answer = counted()
    resumed = verifier(network)
    assert answer.calls == 2
    resumed_table = verifier.table("verification")
    answer = counted()
    assert verifier(network).error_max_V == resumed.error_max_V
    assert answer.calls == 4  # what was finished and told is not kept
    pd.testing.assert_frame_equal(verifier.table("verification"), resumed_table)


def test_kept_pieces_of_other_inputs_or_damaged_ones_are_not_used(ptm90: Technology, tmp_path: Path) -> None:
    network, answer = random_network(ptm90, 4, 3, 3), Counted()
    at = simulator(scratch=tmp_path / "scratch", answer=answer)
    inputs = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    first = simulate_network(network, ptm90, inputs, "reduced", at)
    again = simulate_network(network, ptm90, inputs, "reduced", at)
    assert (answer.calls, np.array_equal(again.voltages, first.voltages)) == (1, True)
    assert again.seconds_ngspice == first.seconds_ngspice > 0
    warmer = ptm90.changed(temperature_C=28.0)
    for changed in ({"inputs": 1 - inputs}, {"form": "flat"}, {"hidden": True}, {"technology": warmer}):
        before = answer.calls
        arguments: dict[str, Any] = {"technology": ptm90, "inputs": inputs, "form": "reduced"} | changed
        simulate_network(network, simulator=at, **arguments)
        assert answer.calls == before + 1, changed
    for piece in (tmp_path / "scratch").glob("*.npz"):
        piece.write_bytes(piece.read_bytes()[:50])
    before = answer.calls
    repaired = simulate_network(network, ptm90, inputs, "reduced", at)
    assert (answer.calls, np.array_equal(repaired.voltages, first.voltages)) == (before + 1, True)


def test_pieces_in_two_processes_come_back_in_order(ptm90: Technology, tmp_path: Path) -> None:
    network = random_network(ptm90, 4, 3, 3)
    inputs = np.random.default_rng(0).random((11, 4)).astype(np.float32)
    one, two = (
        simulate_network(network, ptm90, inputs, "reduced", simulator(workers=workers, scratch=tmp_path / str(workers)))
        for workers in (1, 2)
    )
    assert one.nodes == two.nodes == ("o_0", "o_1", "o_2")
    np.testing.assert_allclose(two.voltages, one.voltages, rtol=0, atol=1e-7)
    assert np.abs(np.diff(one.voltages, axis=0)).min() > 1e-6  # no two images look alike


def with_wires(technology: Technology) -> Technology:
    return technology.changed(wires=Wires(row_ohm=100.0, column_ohm=200.0, rows_driven="both ends"))


def test_wires_are_verified_as_a_mesh_and_confirmed_flat(
    verifier: Verifier, trained: Trained, ptm90: Technology
) -> None:
    network, wired = trained(4, 5, 3), with_wires(ptm90)
    summary = verifier(network, wired)
    in_mesh = outputs(verifier.table("verification"), "spice")
    assert (summary.netlist, summary.flat_left_out) == ("mesh", None)
    assert summary.flat is not None and summary.flat.difference_max_V < 1e-7
    assert dict(summary_rows(summary)[1])["flat - mesh, max of 4 images"].endswith(" uV")
    assert verifier(network, wired, netlist="flat", flat_images=0).netlist == "flat"
    np.testing.assert_allclose(outputs(verifier.table("verification"), "spice"), in_mesh, rtol=0, atol=1e-7)
    verifier(network)
    assert np.abs(outputs(verifier.table("verification"), "spice") - in_mesh).max() > 1e-5


def test_flat_images_too_large_for_an_ngspice_without_klu_are_left_out_and_said(
    verifier: Verifier, trained: Trained, ptm90: Technology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spicetrain.netlists.forms.sparse_seconds", lambda rows, columns: 100.0 * columns)
    ngspice = verifier.simulator.ngspice
    verifier.simulator = verifier.simulator.changed(ngspice=replace(ngspice, klu=False))
    network, wired = trained(4, 5, 3), with_wires(ptm90)
    summary = verifier(network, wired)
    assert summary.flat is None and summary.flat_left_out is not None
    assert "flat with wires, up to 10 x 5 cells, takes an ngspice without KLU some 13 minutes" in summary.flat_left_out
    assert summary.flat_left_out in dict(summary_rows(summary)[1]).values()
    assert summary.key == verifier.asked(network, wired, flat_images=0).key(verifier.simulator)
    with pytest.raises(ConfigurationError, match="netlist = 'flat': .* KLU"):
        verifier.simulator = verifier.simulator.changed(timeout_s=60.0)
        verifier(network, wired, netlist="flat")
    assert verifier(network).flat is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"netlist": "reduced"}, "wires take --netlist mesh or flat"),
        ({"energy": EnergySettings(images=2, netlist="reduced")}, "wires take --energy.netlist mesh or flat"),
    ],
)
def test_wires_refuse(
    changes: dict[str, Any], said: str, verifier: Verifier, trained: Trained, ptm90: Technology
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        verifier(trained(4, 5, 3), with_wires(ptm90), **changes)
    assert not (verifier.folder / "verification.parquet").exists()
