"""Levels at the rows and outputs that integrate, verified: model against ngspice, energy, files, chips, page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spicetrain.errors import ConfigurationError
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.verification.energy import row_energy, wired_row_energy
from spicetrain.spiking.verification.spikes_file import read_spikes
from spicetrain.technology import Technology
from spiking.verification.nets import small_circuit
from spiking.verification.test_energy import STEPS, netlist_of
from spiking.verification.test_wires import WIRES
from spiking.verification.verifier import DEPTH, IMAGES, LAYERS, Verifier

LEVELS = np.random.default_rng(1).random((STEPS, 5)).astype(np.float32)


class LevelVerifier(Verifier):
    """With `direct` inputs."""

    @property
    def shape(self) -> SpikingNetworkSettings:
        return super().shape.model_copy(update={"encoder": "direct"})


def with_levels(one: Verifier) -> Verifier:
    return LevelVerifier(**vars(one))


@pytest.mark.parametrize("wires", [False, True])
def test_model_and_spice_have_the_same_membranes_and_classes(wires: bool, verifier: Callable[..., Verifier]) -> None:
    one = with_levels(verifier(readout="integrator"))
    if wires:
        one.technology = one.technology.changed(wires=WIRES)
    summary = one(chips=2, chips_simulated=1, chips_images=2)
    kept, table = read_spikes(one.folder / "spikes.npz", LAYERS), one.table("verification")
    assert kept.inputs.dtype == np.float32 and np.array_equal(kept.inputs, one.spikes)
    assert summary.readout == "integrator" and summary.spikes_per_image_input is None
    assert (summary.tie_rate, summary.tie_rate_model) == (0.0, 0.0)
    assert summary.spike_agreement > 0.9 and summary.spike_agreement_by_layer[1] is None
    assert summary.spike_agreement == summary.spike_agreement_by_layer[0]
    assert summary.before_mismatch.membrane_rms_V < 0.02  # ideal laws
    assert kept.spice[0][0].any() and not kept.spice[1][0].any()
    for side, layers in (("model", kept.model), ("spice", kept.spice)):
        last = layers[1][1][:, -1]
        shown = np.stack([table[f"{side}_o_{j}"] for j in range(3)], 1)
        np.testing.assert_allclose(shown, last, rtol=1e-6)
        assert table[f"class_{side}"].tolist() == shown.argmax(1).tolist()
    assert summary.flat is not None and summary.flat.same_spikes
    assert summary.flat.membrane_difference_max_V < 1e-4
    assert summary.flat.energy_per_inference_J == pytest.approx(
        summary.flat.energy_per_inference_reduced_J, rel=0.02, abs=0
    )
    assert summary.chips is not None and summary.chips.simulated_spike_agreement is not None
    assert summary.chips.simulated_spike_agreement > 0.9
    outputs = one.table("waveforms").query("layer == 1")
    assert (outputs["spike"] == 0).all() and set(outputs["neuron"]) == set(kept.model[1][1][0, -1].argsort()[1:])
    assert one.kept(chips=2, chips_simulated=1, chips_images=2) == summary
    assert verifier(readout="integrator").kept() is None


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_spikes_into_an_integrator(array: str, verifier: Callable[..., Verifier]) -> None:
    circuit = small_circuit(array, threshold_V=0.1 if array == "1t1r" else 0.05)
    one = verifier(circuit=circuit, readout="integrator")
    summary = one(flat_images=1)
    assert not read_spikes(one.folder / "spikes.npz", LAYERS).spice[1][0].any()
    assert summary.spikes_per_image_input is not None and summary.spikes_per_image_input > 0
    assert summary.flat is not None
    if array == "1r":  # cells of the 1t1r are ideal here, and those of the flat netlist are not
        assert summary.flat.same_spikes and summary.flat.membrane_difference_max_V < 1e-4


def test_one_layer_that_integrates_spikes_nowhere(verifier: Callable[..., Verifier]) -> None:
    one = with_levels(verifier(4, 3, readout="integrator"))
    summary = one(images=IMAGES, flat_images=1)
    assert (summary.spike_agreement, summary.spike_agreement_by_layer) == (1.0, (None,))
    assert summary.membrane_rms_V < 3e-3  # of 50 mV and more


def test_levels_of_a_file(verifier: Callable[..., Verifier]) -> None:
    one = with_levels(verifier())
    encoded = one(flat_images=0)
    file = one.folder / "levels.npy"
    np.save(file, one.spikes)
    given = one(flat_images=0, spikes=file)
    assert given.energy_per_inference_J == encoded.energy_per_inference_J and given.key != encoded.key
    np.save(file, 0.5 * one.spikes)
    assert one(flat_images=0, spikes=file).energy_per_inference_J < 0.8 * encoded.energy_per_inference_J


def test_levels_are_refused_where_rows_cannot_stand_between(verifier: Callable[..., Verifier]) -> None:
    one = with_levels(verifier(circuit=small_circuit("1t1r", threshold_V=0.1)))
    with pytest.raises(ConfigurationError, match="word lines are gates"):
        one()
    assert not one.folder.exists()


@pytest.mark.parametrize("wires", [False, True])
@pytest.mark.parametrize("rest_V", [0.0, 0.03])
def test_rows_give_what_ngspice_says_their_sources_give(
    rest_V: float, wires: bool, ptm90: Technology, ngspice: Ngspice
) -> None:
    circuit = small_circuit().model_copy(update={"rest_V": rest_V})
    netlist = netlist_of(circuit, ptm90.changed(wires=WIRES) if wires else ptm90, 5, 3)
    deck = netlist.deck(LEVELS, "flat")
    rows = [f"{side}0_{i}" for side in "ei" for i in range(6)]
    asked = (*deck.saves, *(f"v({row})" for row in rows), *(f"i(v{row})" for row in rows))
    values = simulate(replace(deck, saves=asked), ngspice).values
    time_s, membranes = values["time"], np.stack([values[f"v(m0_{j})"] for j in range(3)], 1)
    given = sum(np.trapezoid(-values[f"v({row})"] * values[f"i(v{row})"], time_s) for row in rows)
    box, segments = netlist.network.crossbars[0], netlist.technology.segments
    if segments is None:
        found = row_energy(time_s, membranes, LEVELS, box, circuit)
    else:
        found = wired_row_energy(time_s, membranes, LEVELS, box, circuit, segments)
    assert found == pytest.approx(given, rel=1e-3, abs=0)


def test_pieces_of_other_levels_are_not_used(verifier: Callable[..., Verifier]) -> None:
    """Also of levels that are above 0 at the same rows."""
    one = with_levels(verifier())
    one.folder.mkdir()
    file, levels = one.folder / "levels.npy", one.spikes
    np.save(file, levels)
    one.counted(interrupt_at=IMAGES * DEPTH)
    with pytest.raises(KeyboardInterrupt):
        one(flat_images=0, spikes=file)
    np.save(file, 0.5 * levels)
    answer = one.counted()
    one(flat_images=0, spikes=file)
    assert answer.calls == IMAGES * DEPTH
