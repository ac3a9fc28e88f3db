"""What a network takes of a chip: counted again in its flat netlist, where every device has a line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from spiking.neurons import circuit_with, ideal, written
from spiking.verification.nets import random_spiking_network, small_circuit

from spicetrain.array.crossbar import Crossbar
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.area import area_of
from spicetrain.report.area import area_blocks
from spicetrain.report.blocks import Table
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.netlists.network import spiking_deck
from spicetrain.spiking.verification.area import area_of as area_of_spiking
from spicetrain.technology import Technology, UnitInverter
from spicetrain.verification.area import AreaFigures, area_row, area_text

SPIKES = np.array([[1, 0, 1, 0], [0, 1, 1, 0]], bool)


def counted(deck: str, element: str = "M") -> tuple[int, int, float]:
    """(memristors, transistors, sum of w l m) of the lines of a flat deck."""
    memristors = len(re.findall(r"^R[ei]\d", deck, re.M))
    gates = re.findall(rf"^{element}\S+ .* w=(\S+) l=(\S+).* m=(\S+)", deck, re.M)
    return memristors, len(gates), sum(float(w) * float(long) * float(m) for w, long, m in gates)


def sized(technology: Technology) -> Network:
    """4-3-2 with other sizes everywhere, two devices a bias."""
    boxes = tuple(
        Crossbar(*(np.full(shape, 1e-6) for shape in ((rows, columns),) * 2 + ((columns,),) * 2))
        for rows, columns in ((4, 3), (3, 2))
    )
    return Network(boxes, (np.array([[8.0, 2.0], [1.0, 3.0], [4.0, 5.0]]), np.array([[1.0], [6.0]])), bias_pairs=2)


def test_an_inverter_based_network(ptm90: Technology) -> None:
    network = sized(ptm90)
    area = area_of(network, ptm90)
    deck = network_deck(network, ptm90, np.zeros((1, 4)), "flat").text()
    sizes = [float(size) for size in re.findall(r"^X\S+ .* inverter size=(\S+)", deck, re.M)]
    assert area.transistor_count == 2 * len(sizes) == 16
    assert area.gate_area_m2 == pytest.approx(sum(sizes) * (240e-9 + 560e-9) * 90e-9, rel=1e-9, abs=0)
    assert [layer.memristors for layer in area.layers] == [2 * 3 * (4 + 2), 2 * 2 * (3 + 2)]
    assert area.memristor_area_m2 is area.capacitor_area_m2 is None and "memristor.pitch_m" in area.left_out[0]
    pitched = ptm90.changed(memristor=ptm90.memristor.model_copy(update={"pitch_m": 2e-7}))
    assert area_of(network, pitched).memristor_area_m2 == pytest.approx(56 * 4e-14, rel=1e-9, abs=0)
    assert pitched.fingerprint == ptm90.fingerprint  # nothing is measured again


def test_gates_in_another_unit_and_gates_of_unknown_size(ptm90: Technology, made_up: Technology) -> None:
    unit = {kind: {"W": 0.5, "L": 0.3} for kind in ("nmos", "pmos")}
    of_um = ptm90.transistors.model_copy(update={"geometry_unit_m": 1e-6})
    coarse = ptm90.changed(inverter=UnitInverter(**unit), transistors=of_um)
    assert area_of(sized(coarse), coarse).gate_area_m2 == pytest.approx(30 * 2 * 0.15e-12, rel=1e-9, abs=0)
    unknown = area_of(sized(made_up), made_up)  # its parameters are called wd and lg
    assert unknown.transistor_count == 16 and unknown.layers[0].transistors["inverters"].gate_area_m2 is None
    assert "instance parameters without w and l" in unknown.left_out[1]


@pytest.mark.parametrize("inputs", ["ideal", "driven"])
@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_a_spiking_network(array: str, inputs: str, ptm90: Technology) -> None:
    circuit = small_circuit(array, inverter_fingers=(2.0, 3.0)).model_copy(update={"inputs": inputs})
    network = random_spiking_network(ptm90, circuit, 4, 3, 2)
    area = area_of_spiking(network, circuit, ptm90)
    deck = spiking_deck(network, circuit, ptm90, SPIKES, "flat").text()
    memristors, count, gates_m2 = counted(deck)
    assert (area.memristors, area.transistor_count) == (memristors, count) == (2 * (3 * 5 + 2 * 4), count)
    assert area.gate_area_m2 == pytest.approx(gates_m2, rel=1e-9, abs=0)
    assert area.capacitor_area_m2 is None and "capacitor_F_per_m2" in area.left_out[-1]
    neuron = circuit.neuron.model_copy(update={"capacitor_F_per_m2": 2e-3})
    dense = circuit.model_copy(update={"neuron": neuron})
    assert area_of_spiking(network, dense, ptm90).capacitor_area_m2 == pytest.approx(
        5 * 100e-15 / 2e-3, rel=1e-9, abs=0
    )
    assert dense.fingerprint == circuit.fingerprint


def test_a_neuron_of_ones_own_is_said_to_be_unknown(tmp_path: Path, ptm90: Technology) -> None:
    circuit: SpikingCircuit = circuit_with(written(tmp_path, ideal()))
    area = area_of_spiking(random_spiking_network(ptm90, circuit, 4, 3, 2), circuit, ptm90)
    assert area.layers[0].transistors["neurons"].count is None
    assert "the transistors of neurons: a subcircuit of its own" in area.left_out
    assert set(area.layers[1].transistors) == {"neurons", "row drivers"} and area.layers[1].transistor_count == 16
    assert "(without neurons)" in area_row(area)[1]


def test_as_it_is_shown(ptm90: Technology) -> None:
    area = area_of(sized(ptm90), ptm90)
    assert area_row(area) == ("area", "56 memristors; 16 transistors, gates 2.16 um2")
    (table,) = area_blocks(AreaFigures.model_validate(area.model_dump(mode="json")))
    assert isinstance(table, Table) and [row[1] for row in table.rows] == ["36", "20", "56"]
    assert "Left out: the memristors' area" in table.caption and table.rows[2][4] == "2.16 µm²"
    assert area_blocks(None) == []
    assert (area_text(2e-7), area_text(9.9e-9), area_text(None)) == ("0.2 mm2", "0.0099 mm2", "")
