"""Energy and delay with wires: the mesh in time against every segment, against closed forms; what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench import simulator
from bent import bending

from inverter.netlists.test_wired_network import SPARSE
from inverter.training.circuits import random_network
from inverter.verification.linear import linear_technology, one_column
from spicetrain.array.mesh_in_time import mesh_heat
from spicetrain.array.wires import Wires
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import EnergySettings
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.verification.energy import Energy, measure_energy, require_energy, require_energy_size
from spicetrain.netlists.cells import Form
from spicetrain.technology import Technology

INPUTS = np.random.default_rng(5).random((4, 5)).astype(np.float32)
WIRES = Wires(row_ohm=300.0, column_ohm=500.0, row_F=1e-16, column_F=1e-15)
RESISTING = {"one end": WIRES, "others": WIRES.model_copy(update={"rows_driven": "middle", "columns_sensed": "middle"})}


def measured(network: Network, technology: Technology, form: Form | None, inputs: np.ndarray = INPUTS) -> Energy:
    settings = EnergySettings(images=len(inputs), netlist=form)
    return measure_energy(network, technology, inputs.astype(np.float32), settings, simulator())


@pytest.mark.parametrize("places", RESISTING)
def test_one_pole_a_column_does_for_every_segment(places: str, ptm90: Technology) -> None:
    network, technology = random_network(ptm90, 5, 3, 2), ptm90.changed(wires=RESISTING[places])
    mesh, flat = (measured(network, technology, form) for form in (None, "flat"))
    assert (mesh.figures.netlist, flat.figures.netlist) == ("mesh", "flat")
    assert (mesh.figures.row_F, mesh.figures.column_F) == (1e-16, 1e-15)
    for name, rtol in (("hold_time_s", 0.02), ("energy_J", 0.02), ("static_power_W", 1e-9), ("source_power_W", 1e-9)):
        np.testing.assert_allclose(mesh.by_image[name], flat.by_image[name], rtol=rtol, err_msg=name)
    # At its end a transient draws what the operating points say: in both forms the same rails feed the same rows.
    for one in (mesh, flat):
        ends = [wave.power_W[-1] for wave in one.waveforms]
        np.testing.assert_allclose(ends, mesh.by_image["static_power_W"][: len(ends)], rtol=1e-3)
    v_pos, v_neg = encode(INPUTS, network.encoding, ptm90.rails)
    assert technology.segments is not None
    heat = mesh_heat(network.crossbars[0], v_pos, v_neg, ptm90.rails, technology.segments)
    np.testing.assert_allclose(mesh.by_image["source_power_W"], heat)
    ideal = measured(network, ptm90, None)
    assert ideal.figures.netlist == "reduced" and ideal.figures.hold_time_s < 0.9 * mesh.figures.hold_time_s
    assert ideal.figures.source_power_W > 1.001 * mesh.figures.source_power_W


@pytest.mark.parametrize("form", ["mesh", "flat"])
def test_a_column_of_good_wires_is_charged_through_its_devices(form: Form, tmp_path: Path) -> None:
    """Four row wires cross it: its capacitance is that of four segments."""
    wires = Wires(row_ohm=1e-2, column_ohm=1e-2, column_F=1e-12)
    technology = linear_technology(tmp_path / "technology").changed(wires=wires)
    found = measured(one_column(5e-6, 2e-6, size=3.0), technology, form, np.array([[0.1], [0.9]]))
    assert found.by_image["hold_time_s"] == pytest.approx(np.full(2, 4e-12 / 9e-6 * np.log(10)), rel=5e-3, abs=0)


@pytest.mark.parametrize(
    ("wires", "form", "device", "said"),
    [
        (WIRES, "reduced", "ohmic", "energy.netlist = 'reduced', but .* take --energy.netlist mesh or flat"),
        (None, "mesh", "ohmic", r"energy.netlist = 'mesh', but ptm90 has no \[wires\]"),
        (WIRES, None, "sinh", r"with \[wires\] in .* of form 'sinh': with wires energy is that of ohmic devices"),
    ],
)
def test_what_there_is_not_is_refused(
    wires: Wires | None, form: Form | None, device: str, said: str, ptm90: Technology
) -> None:
    technology = (ptm90 if device == "ohmic" else bending(ptm90, device)).changed(wires=wires)
    with pytest.raises(ConfigurationError, match=said):
        require_energy(EnergySettings(images=2, netlist=form), load_dataset("iris"), technology)
    require_energy(EnergySettings(netlist=form), load_dataset("iris"), technology)  # none is asked for


def test_what_cannot_finish_is_refused(ptm90: Technology) -> None:
    resists, layers = ptm90.changed(wires=WIRES), (784, 100, 10)
    at = simulator(SPARSE, timeout_s=3600.0)
    said = (
        r"on energy.netlist = 'flat': .* 1570 x 100 cells.*bookworm-backports.*Or measure it with --energy.netlist mesh"
    )
    with pytest.raises(ConfigurationError, match=said):
        require_energy_size(EnergySettings(images=20, netlist="flat"), resists, layers, at)
    require_energy_size(EnergySettings(images=20), resists, layers, at)
    require_energy_size(EnergySettings(netlist="flat"), resists, layers, at)  # none is asked for
    require_energy_size(EnergySettings(images=20, netlist="flat"), ptm90, layers, at)
