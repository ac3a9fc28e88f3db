"""Spiking networks on arrays with wires, verified: model, multiport and every segment; energy; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from bench import simulator

from spicetrain.array.wires import Wires
from spicetrain.errors import ConfigurationError
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.spiking.verification.energy import energy_by_supply, wired_row_energy
from spicetrain.spiking.verification.spikes_file import read_spikes
from spicetrain.technology import Technology
from spiking.verification.nets import small_circuit
from spiking.verification.test_energy import SPIKES, netlist_of
from spiking.verification.verifier import LAYERS, Verifier

WIRES = Wires(row_ohm=300.0, column_ohm=500.0)


def wired(one: Verifier) -> Verifier:
    one.technology = one.technology.changed(wires=WIRES)
    return one


def test_model_multiport_and_every_segment(verifier: Callable[..., Verifier]) -> None:
    ideal = verifier()
    ideal(flat_images=0)
    without = read_spikes(ideal.folder / "spikes.npz", LAYERS).spice
    one = wired(verifier())
    summary = one()
    assert summary.netlist == "mesh" and summary.flat is not None and summary.flat_left_out is None
    assert summary.flat.same_spikes and summary.flat.membrane_difference_max_V < 1e-4
    assert summary.flat.energy_per_inference_J == pytest.approx(
        summary.flat.energy_per_inference_reduced_J, rel=0.02, abs=0
    )
    # As near as the model of this test, ideal laws, is without wires, and nearer than one that does not know them.
    assert summary.spike_agreement > 0.9 and summary.before_mismatch.membrane_rms_V < 0.02
    with_them = read_spikes(one.folder / "spikes.npz", LAYERS).spice
    assert np.abs(with_them[0][1][:, 0] - without[0][1][:, 0]).max() > 1e-3
    assert one.kept() == summary and one.kept(netlist="flat") is None
    flat = one(netlist="flat")
    assert (flat.netlist, flat.flat) == ("flat", None)
    assert flat.energy_per_inference_J == pytest.approx(summary.energy_per_inference_J, rel=0.02, abs=0)


def test_the_model_knows_the_wires_of_the_run_and_not_of_its_conditions(verifier: Callable[..., Verifier]) -> None:
    """Membranes that never fire: within millivolts where it does, off by tens where other wires are simulated."""
    circuit = small_circuit(threshold_V=0.45, leak_gate_V=-0.5, capacitance_F=(400e-15,))
    one = verifier(4, 3, circuit=circuit)
    rms = {"ideal": one(flat_images=0).membrane_rms_V}
    strong = WIRES.model_copy(update={"column_ohm": 1e5})
    rms["others"] = one(flat_images=0, conditions={"wires": strong}).membrane_rms_V
    one.technology = one.technology.changed(wires=strong)
    summary = one(flat_images=0)
    rms["its own"] = summary.membrane_rms_V
    assert rms["its own"] < 2 * rms["ideal"] < 2e-3 < 0.2 * rms["others"]
    assert summary.model_is_of_the_circuit


def test_chips_are_of_wires_too(verifier: Callable[..., Verifier]) -> None:
    one = verifier()
    one.technology = one.technology.changed(wires=WIRES.model_copy(update={"column_ohm": 3e4}))
    chips = one(flat_images=0, images=2, chips=2, chips_simulated=1, chips_images=2, chips_sources=False).chips
    assert chips is not None and chips.simulated_spike_agreement is not None
    assert chips.simulated_spike_agreement > 0.9


@pytest.mark.parametrize("rest_V", [0.0, 0.03])
def test_rows_give_what_ngspice_says_their_sources_give(rest_V: float, ptm90: Technology, ngspice: Ngspice) -> None:
    circuit = small_circuit().model_copy(update={"rest_V": rest_V})
    netlist = netlist_of(circuit, ptm90.changed(wires=WIRES.model_copy(update={"column_ohm": 3000.0})), 5, 3)
    deck = netlist.deck(SPIKES, "flat")
    rows = [f"{side}0_{i}" for side in "ei" for i in range(6)]
    asked = (*deck.saves, *(f"v({row})" for row in rows), *(f"i(v{row})" for row in rows))
    values = simulate(replace(deck, saves=asked), ngspice).values
    time_s, membranes = values["time"], np.stack([values[f"v(m0_{j})"] for j in range(3)], 1)
    given = sum(np.trapezoid(-values[f"v({row})"] * values[f"i(v{row})"], time_s) for row in rows)
    segments = netlist.technology.segments
    assert segments is not None
    found = wired_row_energy(time_s, membranes, SPIKES, netlist.network.crossbars[0], circuit, segments)
    assert found == pytest.approx(given, rel=1e-3, abs=0)
    by_supply = energy_by_supply(values, netlist, {0: SPIKES}, "flat")
    assert by_supply["rows"] == found


def test_what_is_refused(verifier: Callable[..., Verifier], ngspice: Ngspice) -> None:
    one = wired(verifier())
    with pytest.raises(ConfigurationError, match="netlist = 'reduced', but ptm90 has .wires."):
        one(netlist="reduced")
    one.simulator = simulator(replace(ngspice, klu=False), scratch=one.folder / ".verification").changed(timeout_s=1e-3)
    with pytest.raises(ConfigurationError, match="netlist = 'flat': flat with wires, up to 10 x 5 cells"):
        one(netlist="flat")
    other = wired(verifier(circuit=small_circuit("1t1r", threshold_V=0.1)))
    with pytest.raises(ConfigurationError, match="is a 1t1r"):
        other()
    assert not one.folder.exists()


def test_a_folder_of_before_there_were_wires_takes_them_now(verifier: Callable[..., Verifier]) -> None:
    """It says the form that was the default; without wires that is what it still is."""
    written = SpikingExperiment.of_today({"verification": {"images": 3, "netlist": "reduced"}})
    assert written["verification"] == {"images": 3}
    assert (verifier().asked().form, wired(verifier()).asked().form) == ("reduced", "mesh")
    assert SpikingExperiment.of_today({"verification": {"netlist": "flat"}})["verification"] == {"netlist": "flat"}
