"""What a spiking layer is made of: clock, neuron with its ideal latch, drivers of the rows.

Nodes: m0_3 membrane of neuron 3 in layer 0, q0_3 behind its threshold inverter, s0_3 its latched spike (0..1), e1_3 and
i1_3 the excitatory and the inhibitory row that it drives (1r: the row; 1t1r: its word line).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from spicetrain.netlists.cells import VDD, VSS, Kind, models_only, transistor
from spicetrain.spiking.chip import NeuronShifts, Shift
from spicetrain.spiking.circuit import LATCH_FOLLOWS_S, SIDES, Clock, Pair, Side, SpikingCircuit
from spicetrain.spiking.foreign import RESET_FINGERS
from spicetrain.spiking.inputs import Inputs, row_volts
from spicetrain.technology import Technology

REST, ENABLE, LEAK = "rest", "en", "leak"
HIGH_WORD, LOW_WORD = "word_high", "word_low"

# The latch follows its inverter only while `en` stands at 1, and hands on what it holds only while `en` is at 0: no
# transistor's gate depends on a decision that is being taken. (Where one did, a reset gate jumped by 0.1 V in no time,
# and at tight tolerances ngspice found no time step small enough.)
_FOLLOW, _PASS = "follow", "hand_on"
_PASSES_BELOW, _SHARPNESS = 0.02, 500.0  # of `en`
# 1 ms to forget.
_LATCH_F, _HELD_S = 1e-15, 1e-12
_LATCH_S = _LATCH_F / LATCH_FOLLOWS_S
# Decisions per volt at the output of the threshold inverter: half a spike is left within 0.02 uV of the trip (1e5:
# 1 uV); steeper costs no iteration, because nothing feeds back while the latch follows.
_DECISION_PER_V = 1e7


def new_spiking_circuit(
    spiking: SpikingCircuit, technology: Technology, steps: int, *, latches: bool = True
) -> Circuit:
    """A circuit with the models, the supplies, the bias of the leak transistors, and `steps` steps of the clock; with
    latches, what opens and closes them."""
    circuit = models_only(technology)
    if spiking.neuron.foreign is not None:
        circuit.raw_spice += f'.include "{spiking.neuron.foreign.path}"\n'
    circuit.V(VDD, VDD, circuit.gnd, spiking.rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, spiking.rails.vss_V)
    circuit.V(REST, REST, circuit.gnd, spiking.rest_V)
    for node, v in word_supplies(spiking).items():
        circuit.V(node, node, circuit.gnd, v)
    circuit.V(LEAK, LEAK, circuit.gnd, spiking.neuron.leak_gate_V)
    add_pulses(circuit, ENABLE, spiking.clock, [1.0] * steps)
    if latches:
        _add_follow(circuit, spiking.clock, steps)
        passes = f"0.5+0.5*tanh({_SHARPNESS}*({_PASSES_BELOW}-v({ENABLE})))"
        circuit.B(_PASS, _PASS, circuit.gnd, voltage_expression=passes)
    return circuit


def word_supplies(spiking: SpikingCircuit) -> dict[str, float]:
    """Volts of the supplies of the word-line drivers, lower first; none where these are the rails'."""
    return dict(zip((LOW_WORD, HIGH_WORD), spiking.drivers_V, strict=True)) if spiking.word_line_boost_V else {}


def supplies(spiking: SpikingCircuit) -> tuple[str, ...]:
    """All but those of threshold inverters."""
    return VDD, VSS, REST, *word_supplies(spiking)


def _add_follow(circuit: Circuit, clock: Clock, steps: int) -> None:
    """Rises from an edge after the start of a step to 1 shortly before the end of its integrate phase, else 0: every
    corner of a source costs ngspice some points in time."""
    corners = [(0.0, 0.0)]
    for start in (k * clock.step_s for k in range(steps)):
        stop = start + clock.integrate_s
        corners += [(start + clock.edge_s, 0.0), (stop - clock.closing_s, 1.0), (stop, 0.0)]
    add_pwl(circuit, _FOLLOW, corners)


def add_pwl(circuit: Circuit, node: str, corners: Sequence[tuple[float, float]]) -> None:
    """A source that goes linearly from one (second, volt) to the next; a plain one when there is only one."""
    words = " ".join(f"{float(t)!r} {float(v)!r}" for t, v in corners)
    source = f"pwl({words})" if len(corners) > 1 else repr(float(corners[0][1]))
    circuit.raw_spice += f"V{node} {node} 0 {source}\n"


def add_pulses(
    circuit: Circuit,
    node: str,
    clock: Clock,
    levels: Sequence[float],
    base: float = 0.0,
    late_s: float = 0.0,
    ceases_s: float = 0.0,
) -> None:
    """Hold `node` at levels[k] in the integrate phase of step k, at `base` between, with the edges of the clock: rising
    ones later by `late_s`, falling ones earlier by `ceases_s`."""
    corners = [(0.0, base)]
    for k, level in enumerate(levels):
        if level != base:
            start, stop = k * clock.step_s + late_s, k * clock.step_s + clock.integrate_s - ceases_s
            corners += [(start, base)] * (start > 0)
            corners += [(start + clock.edge_s, level), (stop, level), (stop + clock.edge_s, base)]
    add_pwl(circuit, node, corners)


def threshold_supplies(layer: int) -> tuple[str, str]:
    """The supplies of a layer's threshold inverters, upper and lower."""
    return f"high{layer}", f"low{layer}"


def reference(layer: int) -> str:
    """The node at a layer's threshold_V itself, for a foreign neuron."""
    return f"ref{layer}"


def add_threshold_supplies(circuit: Circuit, layer: int, threshold_V: float, spiking: SpikingCircuit) -> None:
    half = spiking.neuron.half_supply_V
    for node, v in zip(threshold_supplies(layer), (threshold_V + half, threshold_V - half), strict=True):
        circuit.V(node, node, circuit.gnd, float(v))
    if spiking.neuron.foreign is not None:
        circuit.V(reference(layer), reference(layer), circuit.gnd, float(threshold_V))


def add_neuron(
    circuit: Circuit,
    layer: int,
    j: int,
    threshold_V: float,
    spiking: SpikingCircuit,
    technology: Technology,
    *,
    shifts: NeuronShifts | None = None,
    fires: bool = True,
) -> None:
    """Membrane capacitor, leak, reset, threshold inverter and latch of one neuron; `shifts`: its transistors'. One that
    does not fire has all of them but the latch, and its reset gate at vss: the same charge hangs on its membrane."""
    name = f"{layer}_{j}"
    circuit.C(f"m{name}", f"m{name}", circuit.gnd, spiking.capacitance_F(layer))
    reset_gate = f"r{name}" if fires else VSS
    add_membrane_transistors(circuit, layer, name, reset_gate, spiking, technology, shifts=shifts)
    if fires:
        _add_latch(circuit, name, threshold_V, spiking)


def add_membrane_transistors(
    circuit: Circuit,
    layer: int,
    name: str,
    reset_gate: str,
    spiking: SpikingCircuit,
    technology: Technology,
    *,
    shifts: NeuronShifts | None = None,
) -> None:
    """All transistors at the membrane m<name>: leak, reset, and the threshold inverter to q<name>. With shifts, those
    that are drawn have their gates at sources of their own: gn<name>, gp<name> behind the membrane, gl<name>. Of a
    foreign neuron its subcircuit, whose spike is q<name>; it has no shifts (chip.require_known_mismatch)."""
    if spiking.neuron.foreign is not None:
        circuit.raw_spice += _foreign_neuron(layer, name, reset_gate, spiking)
        return
    neuron, membrane, drains = spiking.neuron, f"m{name}", spiking.reset_fingers(layer)
    gate = (membrane, reset_gate, REST, VSS)
    n = p = leak = Shift(0.0, 0.0)
    gates, leak_gate = (membrane, membrane), LEAK
    if shifts is not None:
        n, p, leak = shifts
        gates, leak_gate = (f"gp{name}", f"gn{name}"), f"gl{name}"
        for node, before, shift in ((gates[0], membrane, p), (gates[1], membrane, n), (leak_gate, LEAK, leak)):
            circuit.raw_spice += f"V{node} {node} {before} {-shift.shift_V!r}\n"
    circuit.raw_spice += (
        transistor(f"leak{name}", "nmos", (membrane, leak_gate, REST, VSS), neuron.leak, technology, 1 + leak.factor)
        + transistor(f"reset{name}", "nmos", gate, neuron.reset, technology, drains)
        + threshold_inverter(
            f"t{name}", gates, f"q{name}", layer, spiking, technology, factors=(1 + p.factor, 1 + n.factor)
        )
    )


def _foreign_neuron(layer: int, name: str, reset_gate: str, spiking: SpikingCircuit) -> str:
    foreign, (high, low) = spiking.neuron.foreign, threshold_supplies(layer)
    assert foreign is not None
    nodes = {
        **{"membrane": f"m{name}", foreign.output: f"q{name}", "reset": reset_gate, "bias": LEAK, "rest": REST},
        **{"vdd": VDD, "vss": VSS, "high": high, "low": low, "threshold": reference(layer)},
    }
    fingers = f" {RESET_FINGERS}={spiking.reset_fingers(layer)!r}" * foreign.takes_fingers
    return f"Xneuron{name} {' '.join(nodes[port] for port in foreign.ports)} {foreign.name}{fingers}\n"


def threshold_inverter(
    name: str,
    gates: tuple[str, str],
    v_out: str,
    layer: int,
    spiking: SpikingCircuit,
    technology: Technology,
    *,
    factors: tuple[float, float] = (1.0, 1.0),
) -> str:
    """Of a neuron in `layer`; gates, and factors of the current, of the pMOS and of the nMOS."""
    ends, fingers = threshold_supplies(layer), spiking.inverter_fingers(layer)
    parallel = (fingers * factors[0], fingers * factors[1])
    return _inverter(name, gates, v_out, spiking.neuron.inverter, ends, ends, technology, fingers=parallel)


def _add_latch(circuit: Circuit, name: str, threshold_V: float, spiking: SpikingCircuit) -> None:
    """The ideal part of a neuron: s<name> is 1 where the inverter's output, held on h<name>, is below threshold_V; of a
    foreign neuron's output, on the side of the middle of its supply that it says.

    Behavioural sources, no digital events, which cost ten times the time points. While `en` is low, r<name> drives the
    reset gate of a neuron that fired.
    """
    ground, swing = circuit.gnd, spiking.rails.vdd_V - spiking.rails.vss_V
    follow = f"(v(q{name})-v(h{name}))*({_HELD_S}+{_LATCH_S}*v({_FOLLOW}))"
    circuit.C(f"h{name}", f"h{name}", ground, _LATCH_F)
    circuit.B(f"h{name}", ground, f"h{name}", current_expression=follow)
    foreign, level_V = spiking.neuron.foreign, spiking.latch_level_V(threshold_V)
    beyond = f"v(h{name})-({level_V!r})" if foreign is not None and foreign.rises else f"{level_V!r}-v(h{name})"
    decision = f"0.5+0.5*tanh({_DECISION_PER_V}*({beyond}))"
    circuit.B(f"s{name}", f"s{name}", ground, voltage_expression=decision)
    reset = f"{spiking.rails.vss_V}+{swing}*v(s{name})*(1-v({ENABLE}))"
    circuit.B(f"r{name}", f"r{name}", ground, voltage_expression=reset)


def add_held_spike(circuit: Circuit, layer: int, i: int) -> None:
    """k<layer>_<i>: 1 in the steps in which row pair i of layer `layer` spikes, else 0. The spike that neuron i of the
    layer before it has latched is handed on while `en` is low, and held while it is high."""
    name, before, ground = f"{layer}_{i}", f"{layer - 1}_{i}", circuit.gnd
    follow = f"(v(s{before})-v(k{name}))*({_HELD_S}+{_LATCH_S}*v({_PASS}))"
    circuit.C(f"k{name}", f"k{name}", ground, _LATCH_F)
    circuit.B(f"k{name}", ground, f"k{name}", current_expression=follow)


def add_spiking_row(circuit: Circuit, layer: int, i: int, spiking: SpikingCircuit, technology: Technology) -> None:
    """The row pair of layer `layer` that neuron i of the layer before it drives."""
    name, ground = f"{layer}_{i}", circuit.gnd
    add_held_spike(circuit, layer, i)
    circuit.B(f"w{name}", f"w{name}", ground, voltage_expression=f"v(k{name})*v({ENABLE})")
    low, high = spiking.drivers_V
    circuit.B(f"ge{name}", f"ge{name}", ground, voltage_expression=f"{high}-{high - low}*v(w{name})")
    circuit.B(f"gi{name}", f"gi{name}", ground, voltage_expression=f"{low}+{high - low}*v(w{name})")
    add_drivers(circuit, name, spiking, technology)


def add_pulsed_row(
    circuit: Circuit, name: str, spikes: Sequence[bool], spiking: SpikingCircuit, technology: Technology
) -> None:
    """A row pair with transistor drivers, spiking in the steps given."""
    low, high = spiking.drivers_V
    add_pulses(circuit, f"ge{name}", spiking.clock, np.where(spikes, low, high).tolist(), high)
    add_pulses(circuit, f"gi{name}", spiking.clock, np.where(spikes, high, low).tolist(), low)
    add_drivers(circuit, name, spiking, technology)


def add_ideal_row(circuit: Circuit, name: str, inputs: Inputs, spiking: SpikingCircuit) -> None:
    """A row pair held by ideal sources, driven as its `inputs` [steps] say."""
    for side in SIDES:
        silent, spike = row_levels(side, spiking)
        add_pulses(circuit, f"{side[0]}{name}", spiking.clock, row_volts(inputs, spike, silent).tolist(), silent)


def row_levels(side: Side, spiking: SpikingCircuit) -> tuple[float, float]:
    """Voltage of a silent and of a spiking row (1r) or word line (1t1r)."""
    low, high = spiking.drivers_V
    silent, spike = (low, high) if side == "excitatory" else (high, low)
    return (spiking.rest_V if spiking.array == "1r" else silent), spike


def add_drivers(circuit: Circuit, name: str, spiking: SpikingCircuit, technology: Technology) -> None:
    """Both drivers of a row pair: inverters from ge<name> to e<name> and from gi<name> to i<name>."""
    bulks = (HIGH_WORD, LOW_WORD) if word_supplies(spiking) else (VDD, VSS)
    of_sides = {"1r": ((VDD, REST), (REST, VSS)), "1t1r": (bulks, bulks)}[spiking.array]
    for side, pair, ends in zip("ei", (spiking.excitatory, spiking.inhibitory), of_sides, strict=True):
        circuit.raw_spice += _inverter(
            f"{side}{name}", (f"g{side}{name}",) * 2, f"{side}{name}", pair, ends, bulks, technology
        )


def access_transistor(
    name: str,
    word_line: str,
    column: str,
    spiking: SpikingCircuit,
    technology: Technology,
    *,
    shift_V: float | None = None,
) -> str:
    """The access transistor of a 1t1r cell, between its memristor's node y<name> and the column; `name` begins with
    the side's letter. With a shift, its gate is at a source of its own, z<name>."""
    assert spiking.access is not None  # SpikingCircuit demands it of a 1t1r
    source, gate = "", word_line
    if shift_V is not None:
        source, gate = f"Vz{name} z{name} {word_line} {-shift_V!r}\n", f"z{name}"
    if name.startswith("e"):
        return source + transistor(name, "nmos", (f"y{name}", gate, column, VSS), spiking.access.nmos, technology)
    return source + transistor(name, "pmos", (f"y{name}", gate, column, VDD), spiking.access.pmos, technology)


def _inverter(
    name: str,
    gates: tuple[str, str],
    v_out: str,
    pair: Pair,
    ends: tuple[str, str],
    bulks: tuple[str, str],
    technology: Technology,
    *,
    fingers: tuple[float, float] = (1.0, 1.0),
) -> str:
    """An inverter between the two `ends`, upper first; gates, bulks and fingers of the pMOS and of the nMOS."""
    sides: tuple[tuple[Kind, dict[str, float]], ...] = (("pmos", pair.pmos), ("nmos", pair.nmos))
    return "".join(
        transistor(f"{kind[0]}{name}", kind, (v_out, gate, end, bulk), geometry, technology, parallel)
        for (kind, geometry), gate, end, bulk, parallel in zip(sides, gates, ends, bulks, fingers, strict=True)
    )
