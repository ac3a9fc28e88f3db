"""A small spiking network end to end: ngspice against closed forms and the model, tables, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bench import simulator

from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, DatasetError, VerificationError
from spicetrain.netlists.cells import Form
from spicetrain.runfolder import SURROGATES, RunFolder
from spicetrain.spiking.definition import (
    CircuitSettings,
    SpikingExperiment,
    SpikingNetworkSettings,
    SpikingTrainingSettings,
    SpikingVerificationSettings,
)
from spicetrain.spiking.system import SYSTEM
from spicetrain.spiking.verification.figures import require_within
from spicetrain.spiking.verification.spikes_file import read_spikes
from spicetrain.spiking.verification.summary import SpikingSummary
from spicetrain.spiking.verification.tables import drawn_neurons
from spiking.verification.nets import small_circuit
from spiking.verification.verifier import DEPTH, IMAGES, LAYERS, STEPS, Verifier


def closed_form(verifier: Verifier) -> np.ndarray:
    """Membranes at the latches, [images, steps, columns], of one layer that never fires: RC against the driven rows."""
    circuit, (box,) = verifier.circuit, verifier.network.crossbars
    G, rails = box.column_sum, circuit.rails
    spikes = verifier.spikes.astype(float)
    u, latches = np.zeros((IMAGES, box.columns)), []
    for step in range(verifier.steps):
        active = spikes[:, step]
        current = (active @ box.pos + box.bias_pos) * rails.vdd_V + (active @ box.neg + box.bias_neg) * rails.vss_V
        u = current / G + (u - current / G) * np.exp(-G * circuit.clock.integrate_s / circuit.capacitance_F(0))
        latches.append(u)
        u = u * np.exp(-G * circuit.clock.rest_s / circuit.capacitance_F(0))
    return np.stack(latches, 1)


def test_membranes_that_never_fire_are_a_capacitor_behind_a_resistor(verifier: Callable[..., Verifier]) -> None:
    """Transistors add some femtofarads to 400 and nanoamperes to microamperes: a millivolt."""
    circuit = small_circuit(threshold_V=0.45, leak_gate_V=-0.5, capacitance_F=(400e-15,))
    one = verifier(4, 3, circuit=circuit)
    summary, wanted = one(), closed_form(one)
    kept = read_spikes(one.folder / "spikes.npz", (4, 3))
    (spice,), (model,) = kept.spice, kept.model
    assert not spice[0].any() and summary.spike_agreement == 1.0
    np.testing.assert_allclose(model[1], wanted, rtol=0, atol=1e-4)
    np.testing.assert_allclose(spice[1], wanted, rtol=0, atol=3e-3)
    assert np.ptp(wanted) > 0.1
    assert 0 < summary.membrane_rms_V < 2e-3
    assert summary.membrane_points == IMAGES * STEPS * 3


def test_the_summary_is_what_the_tables_say(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    summary = one()
    table, kept = one.table("verification"), read_spikes(one.folder / "spikes.npz", LAYERS)
    assert np.array_equal(kept.inputs, one.spikes)
    assert table["image"].tolist() == list(range(IMAGES))
    assert table["label"].tolist() == load_dataset("iris").test_labels[:IMAGES].tolist()
    for side, layers in (("model", kept.model), ("spice", kept.spice)):
        counts = layers[-1][0].sum(1)
        assert np.array_equal(counts, np.stack([table[f"{side}_o_{j}"] for j in range(3)], 1))
        assert table[f"class_{side}"].tolist() == [row.tolist().index(max(row)) for row in counts]
        assert getattr(summary, f"spikes_per_image_{side}")[1] == counts.sum() / IMAGES
    for figure, side in (("model", "own"), ("circuit_model", "model"), ("spice", "spice")):
        assert getattr(summary, f"accuracy_{figure}") == (table[f"class_{side}"] == table["label"]).mean()
    assert summary.agreement == (table["class_model"] == table["class_spice"]).mean()
    differing = [m[0] != s[0] for m, s in zip(kept.model, kept.spice, strict=True)]
    assert summary.spike_mismatches == sum(int(layer.sum()) for layer in differing) == table["mismatches"].sum()
    quiet = [~(m[0] | s[0]) for m, s in zip(kept.model, kept.spice, strict=True)]
    error = [(m[1] - s[1])[q] for m, s, q in zip(kept.model, kept.spice, quiet, strict=True)]
    assert summary.membrane_rms_V == pytest.approx(np.sqrt(np.mean(np.concatenate(error) ** 2)), rel=1e-4)
    assert summary.energy_per_inference_J == pytest.approx(table["energy_J"].mean(), rel=1e-9, abs=0)
    assert summary.energy_per_inference_J == pytest.approx(sum(summary.energy_by_supply_J.values()), rel=1e-9, abs=0)
    assert summary.energy_per_inference_J > 1e-14
    assert summary.seconds_per_image == pytest.approx(table["seconds"].mean())
    assert kept.spice[0][0].sum() > IMAGES  # a network that is silent would compare nothing
    assert summary.spike_agreement > 0.9 and summary.before_mismatch.membrane_rms_V < 0.02
    said = {"system": "spiking", "method": "circuit", "dataset": "iris", "technology": "ptm90", "circuit": "lif-1r"}
    shape = {"array": "1r", "layers": list(LAYERS), "steps": STEPS, "netlist": "reduced", "images": IMAGES}
    assert (said | shape).items() <= summary.to_json().items()
    assert summary.model_is_of_the_circuit
    assert summary.threshold_V == pytest.approx(0.05) and summary.threshold_share == pytest.approx(0.1)
    written = json.loads((one.folder / "summary.json").read_text())
    assert summary.to_json() == written and summary == SpikingSummary.model_validate(written)
    assert not (one.folder / ".verification").exists()


def test_waveforms_go_through_what_was_latched(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    one(waveform_images=2, flat_images=0)
    waves, kept = one.table("waveforms"), read_spikes(one.folder / "spikes.npz", LAYERS)
    clock = one.circuit.clock
    assert sorted(set(waves["image"])) == [0, 1] and set(waves["layer"]) == {0, 1}
    for (image, layer, neuron), part in waves.groupby(["image", "layer", "neuron"]):
        starts = (layer + np.arange(STEPS)) * clock.step_s
        at_latch = np.interp(starts + clock.integrate_s, part["time_s"], part["membrane_V"])
        np.testing.assert_allclose(at_latch, kept.spice[layer][1][image, :, neuron], rtol=0, atol=1e-6)
        held = np.interp(starts + clock.integrate_s + clock.rest_s / 2, part["time_s"], part["spike"])
        assert np.array_equal(held > 0.5, kept.spice[layer][0][image, :, neuron])
        counts = kept.model[layer][0][image].sum(0)
        assert counts[neuron] in (counts.max(), 0)
    one(waveform_images=0, flat_images=0)
    assert not (one.folder / "waveforms.parquet").exists()  # of the first call


def test_flat_has_the_spikes_and_membranes_of_reduced(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    summary = one()
    assert summary.flat is not None
    assert (summary.flat.images, summary.flat.same_spikes, summary.flat.spike_mismatches) == (2, True, 0)
    assert summary.flat.membrane_difference_max_V < 1e-4
    flat_J, reduced_J = summary.flat.energy_per_inference_J, summary.flat.energy_per_inference_reduced_J
    assert flat_J == pytest.approx(reduced_J, rel=0.02, abs=0)
    reduced = one.table("verification")
    assert reduced_J == pytest.approx(reduced["energy_J"][:2].mean(), abs=0)
    flat = one(netlist="flat")
    assert (flat.netlist, flat.flat) == ("flat", None)
    assert [one.table("verification")[f"spice_o_{j}"].tolist() for j in range(3)] == [
        reduced[f"spice_o_{j}"].tolist() for j in range(3)
    ]


def test_reduced_1t1r_is_compared_with_flat(verifier: Callable[..., Verifier]) -> None:
    """Cells as plain conductances, which they are not: the comparison with flat must say so."""
    one = verifier(circuit=small_circuit("1t1r", threshold_V=0.1))
    summary = one()
    assert summary.array == "1t1r" and set(summary.energy_by_supply_J) >= {"cells", "vdd", "threshold"}
    assert summary.energy_by_supply_J["cells"] > 0
    assert summary.flat is not None and summary.flat.membrane_difference_max_V > 1e-3
    with pytest.raises(VerificationError, match="flat.membrane_difference_max_V"):
        require_within(summary, SpikingVerificationSettings(flat_membrane_max=1e-3))


def test_the_regular_method_has_a_model_of_its_own(verifier: Callable[..., Verifier]) -> None:
    one = verifier(method="regular", regular={"beta": 0.9}, regular_thresholds_V=[1e-3, 1e-3])
    one(flat_images=0)
    table = one.table("verification")
    own, model = (np.stack([table[f"{side}_o_{j}"] for j in range(3)], 1) for side in ("own", "model"))
    assert own.sum() > model.sum()  # its thresholds are far lower
    silent = verifier(method="regular", regular={"beta": 0.9}, regular_thresholds_V=[10.0, 10.0])
    summary = silent(flat_images=0)
    table = silent.table("verification")
    assert not table[["own_o_0", "own_o_1", "own_o_2"]].to_numpy().any()
    assert summary.accuracy_model == (table["label"] == 0).mean()
    assert summary.accuracy_gap == abs(summary.accuracy_model - summary.accuracy_spice)


@pytest.mark.parametrize("layers", [(4, 1, 3), (4, 3)])
def test_awkward_shapes(layers: tuple[int, ...], verifier: Callable[..., Verifier]) -> None:
    one = verifier(*layers)
    one.steps = 1
    summary = one(images=1, flat_images=1)
    assert summary.flat is not None and summary.flat.membrane_difference_max_V < 1e-4
    assert len(summary.spike_agreement_by_layer) == len(layers) - 1


def test_spikes_of_a_file_stand_in_for_the_encoder(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    encoded = one(flat_images=0)
    file = one.folder / "spikes.npy"
    np.save(file, one.spikes)
    given = one(flat_images=0, spikes=file)
    same = ("membrane_rms_V", "spikes_per_image_spice", "energy_per_inference_J", "spike_mismatches")
    assert {name: getattr(given, name) for name in same} == {name: getattr(encoded, name) for name in same}
    assert given.key != encoded.key
    np.save(file, np.zeros_like(one.spikes))
    assert one.kept(flat_images=0, spikes=file) is None
    assert one(flat_images=0, spikes=file).spikes_per_image_input == 0
    np.save(file, one.spikes[:, 1:])
    with pytest.raises(DatasetError, match="3x3x4 values"):
        one(spikes=file)


def test_a_finished_verification_is_known_by_all_its_inputs(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    summary = one()
    assert one.kept() == summary
    assert one.kept(accuracy_min=1.0) == summary  # judged by whoever asks
    warmer = {"conditions": {"temperature_C": 28.0}}
    for change in ({"images": 2}, {"netlist": "flat"}, {"flat_images": 1}, {"waveform_images": 0}, warmer):
        assert one.kept(**change) is None, change
    one.steps = STEPS + 1
    assert one.kept() is None
    one.steps = STEPS
    path = one.folder / "summary.json"
    whole = path.read_text()
    path.write_text(json.dumps({key: value for key, value in json.loads(whole).items() if key != "agreement"}))
    assert one.kept() is None  # damaged, though its key is there
    path.write_text(whole)
    assert one.kept() == summary
    (one.folder / "spikes.npz").unlink()
    assert one.kept() is None


def test_what_was_simulated_is_written_whatever_is_then_said_of_it(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    summary = one(images=2, flat_images=0, membrane_rms_max=1e-9)
    assert json.loads((one.folder / "summary.json").read_text())["images"] == 2
    assert len(one.table("verification")) == 2
    with pytest.raises(VerificationError, match=r"membrane_rms_V / threshold = .*, asked at most 1e-09") as caught:
        require_within(summary, SpikingVerificationSettings(membrane_rms_max=1e-9))
    assert caught.value.exit_code == 5


def test_what_does_not_fit_is_refused(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    with pytest.raises(ConfigurationError, match="images = 31, but iris has 30"):
        one(images=31)
    with pytest.raises(ArchitectureMismatch, match="4-3-2"):
        verifier(4, 3, 2)()
    one.network, one.steps = verifier(4, 6, 3).network, STEPS
    other = replace(one.asked(), shape=SpikingNetworkSettings(layers=LAYERS, steps=STEPS))
    with pytest.raises(ArchitectureMismatch, match="4-6-3"):
        other.require()
    assert not one.folder.exists()


def test_an_interrupted_verification_goes_on_with_what_is_missing(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    one.counted(interrupt_at=IMAGES * DEPTH)
    with pytest.raises(KeyboardInterrupt):
        one()
    answer = one.counted()
    resumed = one()
    assert answer.calls == DEPTH + 2  # the last image, and two flat ones
    one.simulator = simulator(workers=2, scratch=one.simulator.scratch)
    whole = one()
    timed = ("seconds", "key")
    told, again = ({k: v for k, v in each.to_json().items() if not k.startswith(timed)} for each in (resumed, whole))
    assert {k: v for k, v in told.items() if k != "flat"} == {k: v for k, v in again.items() if k != "flat"}


def test_pieces_of_another_network_are_not_used(verifier: Callable[..., Verifier]) -> None:
    one, other = verifier(), verifier(seed=1)
    one.counted(interrupt_at=IMAGES * DEPTH)
    with pytest.raises(KeyboardInterrupt):
        one(flat_images=0)
    answer = other.counted()
    other(flat_images=0)
    assert answer.calls == IMAGES * DEPTH


def test_drawn_are_the_busiest_and_the_nearest_to_firing() -> None:
    spikes, v = np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4))
    spikes[1, 0, 3] = spikes[1, 1:, 0] = True
    v[1, :, :] = [0.9, 0.1, 0.2, 0.8]
    v[1, 1, 1] = 0.3
    every = np.ones((2, 3, 2), bool), np.ones((2, 3, 2))
    one = np.zeros((2, 3, 1), bool), np.zeros((2, 3, 1))
    assert drawn_neurons([(spikes, v), every, one], 1) == ((0, 0), (0, 1), (1, 0), (2, 0))
    assert drawn_neurons([(spikes, v)], 0) == ((0, 0),)


def test_a_deck_for_plain_ngspice_is_that_of_its_image(verifier: Callable[..., Verifier]) -> None:
    circuit = CircuitSettings(name="lif-1r", threshold_V=(0.05,), capacitance_F=(1e-13,))
    one = verifier(circuit=circuit.load())
    asked = one.asked()
    one.folder.mkdir()
    asked.laws.save(one.folder / SURROGATES, {})
    experiment = SpikingExperiment(
        circuit=circuit,
        network=one.shape,
        training=SpikingTrainingSettings(),
        verification=asked.settings,
    )
    bench: Any = SimpleNamespace(
        experiment=experiment, files=RunFolder(one.folder), technology=one.technology, dataset=asked.dataset
    )
    forms: tuple[Form, ...] = ("reduced", "flat")
    for form in forms:
        assert SYSTEM.deck(bench, one.network, 2, form) == asked.netlist.deck(one.spikes[2], form).text()
