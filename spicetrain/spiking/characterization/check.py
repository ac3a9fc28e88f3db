"""What is looked at before a spiking circuit is measured."""

from __future__ import annotations

from spicetrain.characterization.examined import Examined
from spicetrain.characterization.probe import Transistor
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.technology import Technology


def examined(technology: Technology, circuit: SpikingCircuit) -> Examined:
    """Every transistor of the circuit, in `technology`."""
    neuron = circuit.neuron
    pairs = {"neuron.inverter": neuron.inverter, "excitatory": circuit.excitatory, "inhibitory": circuit.inhibitory}
    if circuit.array == "1t1r" and circuit.access is not None:
        pairs["access"] = circuit.access
    transistors = [Transistor("neuron.leak", "nmos", neuron.leak), Transistor("neuron.reset", "nmos", neuron.reset)]
    for where, pair in pairs.items():
        transistors += [Transistor(f"{where}.nmos", "nmos", pair.nmos), Transistor(f"{where}.pmos", "pmos", pair.pmos)]
    return Examined(technology, circuit.rails, tuple(transistors), circuit.name)
