"""What is looked at of a foreign neuron before it is measured: whether it is one that the laws can describe.

Two DC sweeps of each of its layers, the membrane from below rest to vdd and back, with the reset off and on; and what
it conducts at the frequency of a clock step, which is what it conducts at DC where nothing in it remembers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from spicetrain.characterization.examined import remove
from spicetrain.characterization.sweep import swept
from spicetrain.errors import ConfigurationError, SimulationError
from spicetrain.netlists.cells import VDD, VSS, text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.characterization.transients import add_held_neurons, once_a_step
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.netlists.cells import add_membrane_transistors, add_threshold_supplies, new_spiking_circuit
from spicetrain.spiking.surrogates.measured import membrane_range_V
from spicetrain.spiking.surrogates.neuron_fits import LARGEST_DEGREE
from spicetrain.technology import Technology

Array = NDArray[np.float64]

_POINTS = 401
_BELOW = 0.6  # of the way from rest to vss, as far as membranes are measured
_SAME = 2e-3  # of vdd - rest: how far two membranes may be apart that are to be the same
_AC_AT = (0.0, 0.5, 1.5)  # of the way from rest to the threshold
_OPTIONS = {"reltol": 1e-6, "vntol": 1e-9, "abstol": 1e-14}


@dataclass(frozen=True)
class _Swept:
    """Of one layer, over the membranes v in the order of the sweep: its output, and its currents out of the membrane
    with the reset off and on."""

    v: Array
    output: Array
    leak: Array
    reset: Array


def require_neuron(circuit: SpikingCircuit, technology: Technology, simulator: Simulator) -> None:
    """ConfigurationError when the circuit's neuron is foreign and is none: its output never crosses the middle of its
    supply between rest and vdd, or more than once, or goes the other way, or trips far from threshold_V; its current is
    no smooth function of the membrane; its reset does not pull to rest; ngspice cannot solve it."""
    if circuit.neuron.foreign is None:
        return
    _require_own_models(circuit, technology)
    for layer in range(circuit.distinct_layers):
        up, down = (_swept(circuit, technology, layer, simulator, falling) for falling in (False, True))
        _require_trip(circuit, up, down)
        _require_function(circuit, layer, up, down)
        _require_no_memory(circuit, technology, layer, up, simulator)
        _require_reset(circuit, up)


def _swept(spiking: SpikingCircuit, technology: Technology, layer: int, simulator: Simulator, falling: bool) -> _Swept:
    circuit, rest_V = new_spiking_circuit(spiking, technology, 0), spiking.rest_V
    v = np.linspace(rest_V + _BELOW * (spiking.rails.vss_V - rest_V), spiking.rails.vdd_V, _POINTS)
    v = v[::-1] if falling else v
    add_threshold_supplies(circuit, layer, spiking.threshold_V(layer), spiking)
    circuit.V("moved", "moved", circuit.gnd, 0.0)
    for name, gate in (("off", VSS), ("on", VDD)):
        add_membrane_transistors(circuit, layer, name, gate, spiking, technology)
        circuit.V(f"meter{name}", "moved", f"m{name}", 0.0)
    saves = ("v(qoff)", "i(vmeteroff)", "i(vmeteron)")
    deck = Deck(
        text_of(circuit), f".dc {swept('vmoved', v)}", saves, _POINTS, temperature_C=technology.temperature_C,
        options=_OPTIONS,
    )  # fmt: skip
    try:
        values = simulator.simulate(deck).values
    except SimulationError as error:
        remove(error)
        raise _refused(
            spiking, f"ngspice cannot solve it at DC, in the technology {technology.name!r}. Its models may have "
            f"other names than the technology's, or its membrane no path at DC. ngspice says: {error}"
        ) from None  # fmt: skip
    return _Swept(v, *(values[name] for name in saves))


def _require_trip(circuit: SpikingCircuit, up: _Swept, down: _Swept) -> None:
    foreign, threshold_V, rest_V = circuit.neuron.foreign, circuit.threshold_V(0), circuit.rest_V
    assert foreign is not None
    level_V, top = circuit.latch_level_V(threshold_V), circuit.rails.vdd_V
    above = up.v >= rest_V
    high = up.output[above] > level_V
    ends = f"is {up.output[above][0]:.3g} V at rest and {up.output[-1]:.3g} V with the membrane at vdd"
    if high[0] == high[-1]:
        raise _refused(
            circuit, f"its membrane never trips it: the port {foreign.output} {ends}, and a latch decides at "
            f"{level_V:.3g} V. Lower its threshold, or see what its bias is ({circuit.neuron.leak_gate_V:g} V)."
        )  # fmt: skip
    if high[-1] != foreign.rises:
        other = "spike_b" if foreign.rises else "spike"
        raise _refused(
            circuit, f"its port {foreign.output} goes the wrong way: it {ends}. Call the port {other!r}."
        )  # fmt: skip
    trips = [_trips(one, level_V) for one in (up, down)]
    if any(len(found) != 1 for found in trips):
        raise _refused(circuit, f"its output crosses {level_V:.3g} V more than once while the membrane rises to vdd.")
    rising, falling = trips[0][0], trips[1][0]
    allowed = _SAME * (top - rest_V)
    if abs(rising - falling) > allowed:
        raise _refused(
            circuit, f"it trips at {rising:.4g} V while the membrane rises and at {falling:.4g} V while it falls: "
            "feedback inside it remembers. Leave the memory to the latch: take the positive feedback out."
        )  # fmt: skip
    if abs(rising - threshold_V) > 0.5 * (threshold_V - rest_V):
        raise _refused(
            circuit, f"it trips at {rising:.4g} V, and neuron.threshold_V is {threshold_V:.4g} V. Set threshold_V to "
            "where it trips, or correct its offset."
        )  # fmt: skip


def _trips(one: _Swept, level_V: float) -> Array:
    """Every membrane at which the output crosses the level."""
    y = one.output - level_V
    (k,) = np.nonzero((y[1:] > 0) != (y[:-1] > 0))
    return one.v[k] - y[k] * (one.v[k + 1] - one.v[k]) / (y[k + 1] - y[k])


def _require_function(circuit: SpikingCircuit, layer: int, up: _Swept, down: _Swept) -> None:
    """As what it moves a membrane by in a clock step."""
    low, high = membrane_range_V(circuit)
    u = up.v - circuit.rest_V
    here = (u >= low) & (u <= high)
    per_A = circuit.clock.step_s / circuit.capacitance_F(layer)
    allowed = _SAME * (circuit.rails.vdd_V - circuit.rest_V)
    apart = np.abs(up.leak - down.leak[::-1])[here].max() * per_A
    if apart > allowed:
        raise _refused(
            circuit, f"the current out of its membrane is not a function of the membrane: going up and coming down it "
            f"differs by what moves {circuit.capacitance_F(layer):.3g} F by {apart:.3g} V in a clock step. Take the "
            "positive feedback out of it."
        )  # fmt: skip
    u, leak = u[here], up.leak[here]
    off = np.abs(Polynomial.fit(u, leak, LARGEST_DEGREE)(u) - leak) * per_A
    if off.max() > allowed:
        raise _refused(
            circuit, f"the current out of its membrane is no smooth function of the membrane: at "
            f"{circuit.rest_V + u[off.argmax()]:.3g} V no polynomial of degree {LARGEST_DEGREE} is within what moves "
            f"{circuit.capacitance_F(layer):.3g} F by {off.max():.3g} V in a clock step. It may jump where the neuron "
            "fires: feedback onto the membrane belongs behind the latch."
        )  # fmt: skip


def _require_no_memory(
    spiking: SpikingCircuit, technology: Technology, layer: int, up: _Swept, simulator: Simulator
) -> None:
    """As `_require_function`, with a membrane that moves as far as the threshold is from rest."""
    circuit = new_spiking_circuit(spiking, technology, 0)
    swing_V = spiking.threshold_V(layer) - spiking.rest_V
    at = spiking.rest_V + swing_V * np.array(_AC_AT)
    add_held_neurons(circuit, layer, at, spiking, technology)
    saves = tuple(f"i(vm{k})" for k in range(len(at)))
    deck = Deck(text_of(circuit), once_a_step(spiking), saves, 1, temperature_C=technology.temperature_C)
    values = simulator.simulate(deck).values
    found = np.array([-values[name][0].real for name in saves])
    slope = np.interp(at, up.v, np.gradient(up.leak, up.v))
    off = np.abs(found - slope) * swing_V * spiking.clock.step_s / spiking.capacitance_F(layer)
    if off.max() > _SAME * (spiking.rails.vdd_V - spiking.rest_V):
        k = int(off.argmax())
        raise _refused(
            spiking, f"its membrane remembers: at {at[k]:.3g} V it conducts {slope[k]:.3g} S at DC and "
            f"{found[k]:.3g} S at {1 / spiking.clock.step_s:.3g} Hz, once a clock step. The model's current is a "
            "function of the membrane alone: take out what is as slow as that (adaptation, a time constant of a "
            "current)."
        )  # fmt: skip


def _require_own_models(circuit: SpikingCircuit, technology: Technology) -> None:
    foreign, theirs = circuit.neuron.foreign, technology.transistors
    assert foreign is not None
    again = [name for name in (theirs.nmos, theirs.pmos) if name.lower() in (foreign.name, *foreign.models)]
    if again:
        raise _refused(
            circuit, f"its file defines {again[0]!r} once more, which is the technology's own transistor everywhere "
            "else in the deck. Leave it out, or give it another name."
        )  # fmt: skip


def _require_reset(circuit: SpikingCircuit, up: _Swept) -> None:
    above = up.v - circuit.rest_V > _SAME * (circuit.rails.vdd_V - circuit.rest_V)
    if (up.reset[above] <= np.maximum(up.leak[above], 0.0)).any():
        k = int(np.argmin(up.reset[above]))
        raise _refused(
            circuit, f"its reset does not pull the membrane to rest ({circuit.rest_V:g} V): with the port reset at "
            f"vdd, {up.reset[above][k]:.3g} A flow out of the membrane at {up.v[above][k]:.3g} V. Pull it to the port "
            "rest, while reset is high."
        )  # fmt: skip


def _refused(circuit: SpikingCircuit, what: str) -> ConfigurationError:
    foreign = circuit.neuron.foreign
    assert foreign is not None
    return ConfigurationError(f"The neuron {foreign.name} of {foreign.path}: {what}")
