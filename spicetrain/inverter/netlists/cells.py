"""The inverter system's cells: rails, unit inverter, resistor to mid-rail."""

from __future__ import annotations

from PySpice.Spice.Netlist import Circuit, SubCircuit

from spicetrain.netlists.cells import VDD, VSS, models_only, transistor
from spicetrain.technology import Technology

INVERTER, MID = "inverter", "mid"


def new_circuit(technology: Technology) -> Circuit:
    """A circuit with the models, both rails and the unit inverter of `technology`."""
    circuit = models_only(technology)
    circuit.V(VDD, VDD, circuit.gnd, technology.rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, technology.rails.vss_V)
    circuit.subcircuit(inverter(technology))
    return circuit


def inverter(technology: Technology) -> SubCircuit:
    """CMOS inverter of `size` unit fingers; ports input, output, vdd, vss."""
    unit = technology.inverter
    cell = SubCircuit(INVERTER, "input", "output", VDD, VSS, size=1)
    cell.raw_spice += transistor("n", "nmos", ("output", "input", VSS, VSS), unit.nmos, technology, "{size}")
    cell.raw_spice += transistor("p", "pmos", ("output", "input", VDD, VDD), unit.pmos, technology, "{size}")
    return cell


def add_inverter(circuit: Circuit, name: str, v_in: str, v_out: str, size: float, supply: str = VDD) -> None:
    """An inverter of `size` fingers from node `v_in` to node `v_out`; `supply` is its upper rail."""
    circuit.X(name, INVERTER, v_in, v_out, supply, VSS, size=float(size))


def add_ground_resistor(circuit: Circuit, node: str, ground_S: float) -> None:
    """RIM's resistor from an inverter output to mid-rail; nothing when `ground_S` is 0."""
    if ground_S:
        circuit.R(f"g_{node}", node, MID, 1 / ground_S)
