"""Networks in another circuit, technology, temperature or between other rails than they were trained for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ideal_laws import ideal_laws

from spicetrain.errors import ConfigurationError
from spicetrain.runfolder import RunFolder
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.verification.figures import classes
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.spiking.verification.spikes_file import read_spikes
from spicetrain.spiking.verification.verify import verify_spiking
from spicetrain.technology import Technology
from spiking.verification.nets import DRIVER_S, small_circuit
from spiking.verification.verifier import LAYERS, Verifier


def test_a_network_of_another_circuit_is_refused(verifier: Callable[..., Verifier]) -> None:
    """Its thresholds are of that one, and so is all that it learnt."""
    one = verifier()
    one.circuit = small_circuit(threshold_V=0.06)
    with pytest.raises(ConfigurationError, match="was trained for circuit 'lif-1r'"):
        one()
    assert not one.folder.exists()


def test_under_other_conditions_the_summary_says_both(verifier: Callable[..., Verifier]) -> None:
    """A network of a cool chip in a warm one of higher rails: the model stays that of the training."""
    one = verifier()
    at_home = one(flat_images=0)
    model = read_spikes(one.folder / "spikes.npz", LAYERS).model
    warm = {"temperature_C": 85.0, "vdd_scale": 1.1}
    summary = one(flat_images=0, conditions=warm)
    kept = read_spikes(one.folder / "spikes.npz", LAYERS)
    trained, simulated = summary.trained_in, summary.simulated_in
    assert trained is not None and simulated is not None and not summary.model_is_of_the_circuit
    assert trained == at_home.trained_in == at_home.simulated_in
    assert (trained["technology"], simulated["technology"]) == ("ptm90", "ptm90")
    assert (trained["temperature_C"], simulated["temperature_C"]) == (27.0, 85.0)
    for (spikes, v), (spikes_then, v_then) in zip(kept.model, model, strict=True):
        assert np.array_equal(spikes, spikes_then) and np.array_equal(v, v_then)
    # Rows that are driven a tenth further lift membranes a tenth higher.
    assert sum(summary.spikes_per_image_spice) > sum(at_home.spikes_per_image_spice)
    assert summary.energy_per_inference_J > 1.1 * at_home.energy_per_inference_J
    assert (summary.threshold_V, summary.key) == (at_home.threshold_V, summary.key) != (None, at_home.key)


def test_the_rails_that_a_summary_says_are_those_of_the_circuit(verifier: Callable[..., Verifier]) -> None:
    """Half a volt, and not the technology's quarter, which is the inverter system's."""
    summary = verifier()(images=1, flat_images=0, conditions={"vdd_scale": 1.1})
    trained, simulated = summary.trained_in, summary.simulated_in
    assert trained is not None and simulated is not None
    assert [trained[rail] for rail in ("vdd_V", "vss_V")] == pytest.approx([0.5, -0.5])
    assert [simulated[rail] for rail in ("vdd_V", "vss_V")] == pytest.approx([0.55, -0.55])


def test_another_technology_is_simulated_as_it_is(verifier: Callable[..., Verifier], made_up: Technology) -> None:
    """Its deck is that of a network trained there; only what the model says is of the training's technology."""
    one = verifier()
    path = str(made_up.folder / "made_up.toml")
    asked = one.asked(conditions={"technology": path})
    assert asked.conditions.recorded(one.network.about)["simulated_in"]["technology"] == "made-up"
    assert asked.conditions.recorded(one.network.about)["trained_in"]["technology"] == "ptm90"
    with_it = Netlist.of(one.network, one.circuit, made_up, asked.laws)
    assert asked.netlist.deck(one.spikes[0], "flat") == with_it.deck(one.spikes[0], "flat")
    assert asked.netlist.deck(one.spikes[0], "flat") != one.asked().netlist.deck(one.spikes[0], "flat")


def test_rails_below_the_threshold_are_refused(verifier: Callable[..., Verifier]) -> None:
    """No membrane gets there."""
    one = verifier()
    with pytest.raises(ConfigurationError, match="threshold"):
        one(conditions={"vdd_scale": 0.05})
    assert not one.folder.exists()


def test_operating_conditions_beside_the_nominal_one(verifier: Callable[..., Verifier]) -> None:
    """Each is what a verification of the network under it alone finds, and is part of the key."""
    one = verifier(4, 5, 3, method="circuit")
    warm, operating = {"temperature_C": 85.0, "vdd_scale": 1.1}, {"warm": {"temperature_C": 85.0, "vdd_scale": 1.1}}
    both = one(flat_images=0, images=1, operating=operating, operating_images=3, model_images=9)
    alone = one(flat_images=0, images=3, conditions=warm)
    found = both.operating["warm"]
    assert found.accuracy_spice == alone.accuracy_spice and found.tie_rate == alone.tie_rate
    assert found.energy_per_inference_J == pytest.approx(alone.energy_per_inference_J)
    assert found.accuracy_nominal_model == alone.accuracy_circuit_model and found.accuracy_model is None
    assert found.temperature_C == 85.0 and found.vdd_V == pytest.approx(0.55)
    asked = one.asked(images=9)
    model = predict(one.network, asked.spikes, one.circuit, asked.laws, technology=one.technology)
    assert both.accuracy_circuit_model_all == np.mean(classes(model, one.network) == asked.labels)
    assert both.model_images == 9
    keys = [
        one.asked(**changes).key(one.simulator)
        for changes in ({}, {"operating": operating}, {"model_images": 9}, {"operating_images": 3}, {"chips": 2})
    ]
    assert len(set(keys)) == 4 and keys[0] == keys[3]  # images of nothing are nothing
    with pytest.raises(ConfigurationError, match="threshold"):
        one(operating={"low": {"vdd_scale": 0.05}})
    with pytest.raises(ConfigurationError, match="model_images = 31"):
        one(model_images=31)


def test_laws_that_were_measured_there_predict_there(verifier: Callable[..., Verifier]) -> None:
    one, told = verifier(4, 5, 3, method="circuit"), []

    def laws_under(name: str, technology: Technology, circuit: SpikingCircuit) -> SpikingLaws:
        told.append((name, technology.temperature_C, circuit.rails.vdd_V))
        return ideal_laws(circuit, driver_S=DRIVER_S)

    asked = replace(one.asked(images=1, flat_images=0, operating={"high": {"vdd_scale": 1.2}}), laws_under=laws_under)
    found = verify_spiking(asked, one.simulator, RunFolder(one.folder)).operating["high"]
    assert told == [("high", 27.0, 0.6)]
    assert found.spike_agreement is not None and found.spike_agreement > 0.9
    assert found.accuracy_model is not None and found.agreement is not None
    more = replace(asked, settings=asked.settings.model_copy(update={"model_images": 9}))
    alone = verify_spiking(more, one.simulator, RunFolder(one.folder)).operating["high"]
    model = predict(
        one.network, one.asked(images=9).spikes, asked.under("high").simulated_circuit,
        ideal_laws(asked.under("high").simulated_circuit, driver_S=DRIVER_S), technology=one.technology,
    )  # fmt: skip
    assert alone.model_images == 9 and found.model_images is None
    assert alone.accuracy_model == np.mean(classes(model, one.network) == one.asked(images=9).labels)
