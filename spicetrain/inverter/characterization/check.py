"""What is looked at before a technology's inverter is measured."""

from __future__ import annotations

from PySpice.Spice.Netlist import Circuit

from spicetrain.characterization.examined import Examined
from spicetrain.characterization.probe import Transistor
from spicetrain.inverter.netlists.cells import add_inverter, inverter
from spicetrain.technology import Technology


def examined(technology: Technology) -> Examined:
    """The unit inverter and its transistors."""
    unit = technology.inverter

    def add(circuit: Circuit, v_in: str, v_out: str) -> None:
        circuit.subcircuit(inverter(technology))
        add_inverter(circuit, "unit", v_in, v_out, 1)

    transistors = Transistor("inverter.nmos", "nmos", unit.nmos), Transistor("inverter.pmos", "pmos", unit.pmos)
    return Examined(technology, technology.rails, transistors, add_inverter=add)
