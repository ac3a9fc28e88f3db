"""What a spiking network takes of a chip."""

from __future__ import annotations

from spicetrain.array.crossbar import Crossbar
from spicetrain.spiking.circuit import Pair, SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology
from spicetrain.verification.area import AreaFigures, LayerArea, Transistors, left_out, memristors_of, transistors

_UNKNOWN = Transistors(count=None, gate_area_m2=None)


def area_of(network: SpikingNetwork, circuit: SpikingCircuit, technology: Technology) -> AreaFigures:
    """Of every layer its memristors and their access transistors, its neurons, and what drives its rows. Latches and
    ideal rows have no transistors in any netlist, and none here."""
    layers = [
        _layer(layer, crossbar, circuit, technology) for layer, crossbar in enumerate(network.crossbars)
    ]  # fmt: skip
    unknown = left_out(layers, technology)
    if circuit.neuron.capacitor_F_per_m2 is None:
        unknown.append(f"the capacitors' area: circuit {circuit.name} gives no neuron.capacitor_F_per_m2")
    return AreaFigures(layers=tuple(layers), left_out=tuple(unknown))


def _layer(layer: int, crossbar: Crossbar, circuit: SpikingCircuit, technology: Technology) -> LayerArea:
    memristors, cells_m2 = memristors_of(crossbar, technology)
    parts = {"neurons": _neurons(layer, crossbar.columns, circuit, technology)}
    if layer > 0 or circuit.inputs == "driven":
        pairs = crossbar.rows + 1
        drivers = _halves(circuit.excitatory, pairs) + _halves(circuit.inhibitory, pairs)
        parts["row drivers"] = transistors(drivers, technology)
    if circuit.array == "1t1r" and circuit.access is not None:
        parts["access"] = transistors(_halves(circuit.access, memristors // 2), technology)
    farads, per_m2 = crossbar.columns * circuit.capacitance_F(layer), circuit.neuron.capacitor_F_per_m2
    return LayerArea(
        memristors=memristors, memristor_area_m2=cells_m2, transistors=parts, capacitance_F=farads,
        capacitor_area_m2=None if per_m2 is None else farads / per_m2,
    )  # fmt: skip


def _neurons(layer: int, count: int, circuit: SpikingCircuit, technology: Technology) -> Transistors:
    neuron = circuit.neuron
    if neuron.foreign is not None:
        return _UNKNOWN
    inverter = _halves(neuron.inverter, count, circuit.inverter_fingers(layer))
    single = [(count, float(count), neuron.leak), (count, count * circuit.reset_fingers(layer), neuron.reset)]
    return transistors([*inverter, *single], technology)


def _halves(pair: Pair, count: int, fingers: float = 1.0) -> list[tuple[int, float, dict[str, float]]]:
    """`count` pairs, of `fingers` each."""
    return [(count, count * fingers, one) for one in (pair.nmos, pair.pmos)]
