"""What shifts of its transistors do to a neuron, measured: one DC sweep in ngspice, a fraction of a second."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import polynomial
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from spicetrain.characterization.sweep import swept
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import VSS, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.chip import NeuronLaw, neuron_sigmas
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.netlists.cells import (
    REST,
    add_threshold_supplies,
    new_spiking_circuit,
    threshold_inverter,
    threshold_supplies,
)
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

_POINTS, _FITTED = 401, 81
_TRIP_DEGREE, _LEAK_DEGREE = 7, 6
_MARGIN = 1.5  # of the sweep beyond what is fitted: the trip moves by up to as much again
_OPTIONS = {"reltol": 1e-9, "vntol": 1e-12, "abstol": 1e-18}


def neuron_law(
    circuit: SpikingCircuit, technology: Technology, statistics: Statistics, simulator: Simulator
) -> NeuronLaw | None:
    """`measure_neuron` for these statistics; None when transistors do not vary."""
    layers = range(circuit.distinct_layers)
    sigmas = [one for k in layers if (one := neuron_sigmas(circuit, technology, statistics, k)) is not None]
    if not sigmas:
        return None
    return measure_neuron(circuit, technology, max(one.reach_V for one in sigmas), simulator)


def measure_neuron(circuit: SpikingCircuit, technology: Technology, reach_V: float, simulator: Simulator) -> NeuronLaw:
    """The law of the circuit's neurons, for shifts up to reach_V; it is the same for any number of fingers.

    An inverter trips where its two transistors, the output held at the threshold, carry the same current. So both
    currents over the gate, at that output, give the trip for any shifts: I_n(v - d) = I_p(v), in the pMOS's frame.

    Raises SimulationError; ConfigurationError when it trips nowhere.
    """
    x, i_n, i_p, i_leak = _currents(circuit, technology, _MARGIN * reach_V, simulator)
    n, p, leak = (CubicSpline(x, np.log(np.maximum(i, 1e-21))) for i in (i_n, i_p, i_leak))

    def trip(d: float) -> float:
        low, high = x[0] + max(d, 0.0), x[-1] + min(d, 0.0)
        if not n(low - d) < p(low) or not n(high - d) > p(high):
            raise ConfigurationError(
                f"The threshold inverter does not trip within {reach_V:.3g} V of its supply's middle once its "
                f"transistors differ by {d:.3g} V: they are too small for such a mismatch, or half_supply_V is too "
                "low. Give neuron.inverter_fingers more, or less mismatch."
            )
        return float(brentq(lambda v: float(n(v - d) - p(v)), low, high, xtol=1e-12))

    d = np.linspace(-reach_V, reach_V, _FITTED)
    at_rest = trip(0.0)
    moved = np.array([trip(float(one)) for one in d]) - at_rest
    slope = float(n(at_rest, 1) - p(at_rest, 1))
    return NeuronLaw(
        _odd_start(d, moved, _TRIP_DEGREE), slope, _odd_start(d, leak(-d) - leak(0.0), _LEAK_DEGREE), reach_V
    )


def _odd_start(x: np.ndarray, y: np.ndarray, degree: int) -> tuple[float, ...]:
    """Coefficients of x .. x^degree, least squares."""
    scale = float(np.abs(x).max())
    basis = polynomial.polyvander(x / scale, degree)[:, 1:]
    solved = np.linalg.lstsq(basis, y, rcond=None)[0] / scale ** np.arange(1, degree + 1)
    return tuple(float(value) for value in solved)


def _currents(
    spiking: SpikingCircuit, technology: Technology, reach_V: float, simulator: Simulator
) -> tuple[np.ndarray, ...]:
    """(gate from its usual value, currents of the inverter's nMOS and pMOS with their output at the threshold, current
    of the leak with the membrane half way to it), [points]."""
    circuit, threshold_V = new_spiking_circuit(spiking, technology, 0), spiking.threshold_V(0)
    add_threshold_supplies(circuit, 0, threshold_V, spiking)
    half_way_V = (spiking.rest_V + threshold_V) / 2
    nodes = {"g": ("moved", threshold_V), "gl": ("moved", spiking.neuron.leak_gate_V)}
    circuit.V("moved", "moved", circuit.gnd, 0.0)
    circuit.V("q", "q", circuit.gnd, threshold_V)
    circuit.V("m", "m", circuit.gnd, half_way_V)
    for node, (before, volts) in nodes.items():
        circuit.V(node, node, before, volts)
    circuit.raw_spice += threshold_inverter("t", ("g", "g"), "q", 0, spiking, technology)
    circuit.raw_spice += transistor("leak", "nmos", ("m", "gl", REST, VSS), spiking.neuron.leak, technology)
    x = np.linspace(-reach_V, reach_V, _POINTS)
    high, low = (f"i(v{node})" for node in threshold_supplies(0))
    deck = Deck(
        text_of(circuit), f".dc {swept('vmoved', x)}", (high, low, "i(vm)"), _POINTS,
        temperature_C=technology.temperature_C, options=_OPTIONS,
    )  # fmt: skip
    values = simulator.simulate(deck).values
    return x, values[low], -values[high], -values["i(vm)"]
