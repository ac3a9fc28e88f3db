"""What is looked at before a spiking circuit is measured."""

from __future__ import annotations

from spicetrain.characterization.examined import Examined
from spicetrain.characterization.probe import Transistor
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.technology import Technology


def examined(technology: Technology, circuit: SpikingCircuit) -> Examined:
    """Every transistor of the circuit, in `technology`."""
    neuron = circuit.neuron
    own = neuron.foreign is None  # a subcircuit is looked at as a whole (foreign_check.py)
    pairs = {"neuron.inverter": neuron.inverter} if own else {}
    pairs |= {"excitatory": circuit.excitatory, "inhibitory": circuit.inhibitory}
    if circuit.array == "1t1r" and circuit.access is not None:
        pairs["access"] = circuit.access
    singles = {"neuron.leak": neuron.leak, "neuron.reset": neuron.reset} if own else {}
    transistors = [Transistor(where, "nmos", geometry) for where, geometry in singles.items()]
    for where, pair in pairs.items():
        transistors += [Transistor(f"{where}.nmos", "nmos", pair.nmos), Transistor(f"{where}.pmos", "pmos", pair.pmos)]
    return Examined(technology, circuit.rails, tuple(transistors), circuit.name)
