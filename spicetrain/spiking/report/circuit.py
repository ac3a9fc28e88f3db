"""What the spiking array and its neurons are made of."""

from __future__ import annotations

from spicetrain.report.blocks import Block, Paragraph, Section, Table
from spicetrain.report.page import Page
from spicetrain.report.transistors import geometry_unit_m, size_text
from spicetrain.report.units import percent, quantity
from spicetrain.spiking.circuit import Pair, SpikingCircuit

_ARRAYS = {
    "1r": "Passive array (1R): every device conducts at all times. A row's driver pulls it to its rail for a spike and "
    "holds it at rest otherwise, so silent devices leak charge off the membranes.",
    "1t1r": "1T1R array: rows are supplies, and a spike opens the access transistors of its row, an nMOS at the "
    "excitatory, a pMOS at the inhibitory device. Silent devices carry nothing.",
}


def thresholds_V(page: Page) -> tuple[float, ...]:
    """Of each layer: those of the trained network, which may have been scaled, else the circuit's."""
    layers = page.experiment.network.layers
    if page.network is None:
        return tuple(page.experiment.circuit.load().threshold_V(layer) for layer in range(len(layers) - 1))
    return page.network.thresholds_V


def spiking_circuit_section(page: Page) -> Section:
    """Array, clock, neuron, drivers in words and numbers."""
    circuit = page.experiment.circuit.load()
    answer = "the threshold inverter's answer" if circuit.neuron.foreign is None else "the neuron's output"
    text = (
        f"{_ARRAYS[circuit.array]} A column is tied straight to its membrane capacitor, without a virtual ground. At "
        f"the end of the integrate phase a latch takes {answer}; a neuron that fired is then "
        "reset by a transistor to rest while the rows rest. Transistors throughout, but for the latch, which is ideal."
    )
    if page.experiment.network.encoder == "direct":
        text += (
            " Inputs are levels: the sources at the first layer's rows stand between rest and their rail, the same in "
            "every step, as converters (DACs) would hold them; they are ideal, and none of them is built here."
        )
    if page.experiment.network.readout == "integrator":
        text += (
            " The outputs do not fire and are not reset, they have no latch: they integrate over all steps, and the "
            "highest at the last latch is the class, which takes comparators. These are ideal, and in no netlist."
        )
    blocks: list[Block] = [
        Paragraph(text),
        _values(page, circuit),
        _by_layer(page, circuit),
        _transistors(page, circuit),
    ]
    return Section("circuit", "The circuit", blocks)


def _values(page: Page, circuit: SpikingCircuit) -> Table:
    clock, network = circuit.clock, page.experiment.network
    runs = network.steps + len(network.layers) - 2
    rails = circuit.rails
    up, down = rails.vdd_V - circuit.rest_V, rails.vss_V - circuit.rest_V
    rows = [
        ("circuit", circuit.name + (f": {circuit.description}" if circuit.description else "")),
        ("inputs", "ideal pulse sources" if circuit.inputs == "ideal" else "driven by transistors"),
        ("rails, rest", f"{_volts(rails.vdd_V)}, {_volts(rails.vss_V)}, {_volts(circuit.rest_V)}"),
        ("reversal voltages less rest", f"excitatory {_volts(up)}, inhibitory {_volts(down)}"),
        (
            "integrate, rest, edges",
            ", ".join(quantity(t, "s") for t in (clock.integrate_s, clock.rest_s, clock.edge_s)),
        ),
        ("an inference", f"{runs} steps of {quantity(clock.step_s, 's')}: {quantity(runs * clock.step_s, 's')}"),
        ("threshold inverters", f"between their threshold -+ {_volts(circuit.neuron.half_supply_V)}"),
        ("gate of the leak", _volts(circuit.neuron.leak_gate_V)),
    ]
    foreign = circuit.neuron.foreign
    if foreign is not None:
        rows[-2:] = [
            ("neuron", f"subcircuit {foreign.name} of {foreign.path.name}, ports {', '.join(foreign.ports)}"),
            *([("its bias", _volts(circuit.neuron.leak_gate_V))] if "bias" in foreign.ports else []),
        ]
    if circuit.array == "1t1r":
        rows.append(("word lines", " and ".join(_volts(v) for v in circuit.drivers_V)))
    return Table((), rows)


def _by_layer(page: Page, circuit: SpikingCircuit) -> Table:
    drive = circuit.rails.vdd_V - circuit.rest_V
    rows = [
        (
            f"layer {layer + 1}",
            quantity(circuit.capacitance_F(layer), "F"),
            quantity(threshold_V, "V"),
            percent((threshold_V - circuit.rest_V) / drive, 1),
            f"{circuit.reset_fingers(layer):g}",
        )
        for layer, threshold_V in enumerate(thresholds_V(page))
    ]
    caption = "The threshold's share of the driving force says how far the array is from a linear one."
    head = ("", "membrane capacitor", "threshold", "(V_th - V_rest) / (V_S - V_rest)", "reset fingers")
    return Table(head, rows, caption)


def _transistors(page: Page, circuit: SpikingCircuit) -> Table:
    unit_m = geometry_unit_m(page)
    drivers = "row drivers" if circuit.array == "1r" else "word-line drivers"
    own = circuit.neuron.foreign is None
    pairs = ({"threshold inverter": circuit.neuron.inverter} if own else {}) | {
        f"{drivers}, excitatory": circuit.excitatory,
        f"{drivers}, inhibitory": circuit.inhibitory,
    }
    pairs |= {"access": circuit.access} if circuit.access is not None else {}
    rows = [
        (name, size_text(pair.nmos, unit_m), size_text(pair.pmos, unit_m))
        for name, pair in pairs.items()
        if isinstance(pair, Pair)
    ]
    if own:
        rows += [("leak", size_text(circuit.neuron.leak, unit_m), "")]
        rows += [("reset, a finger", size_text(circuit.neuron.reset, unit_m), "")]
    return Table(("transistors", "nMOS", "pMOS"), rows)


def _volts(value: float) -> str:
    return quantity(value, "V")
