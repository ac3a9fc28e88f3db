"""What shifts of its transistors do to a neuron and to a cell, measured: DC sweeps in ngspice, a second in all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.polynomial import polynomial
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from spicetrain.characterization.sweep import swept
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import VDD, VSS, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.chip import COMMON_SHIFT, AccessLaw, ChipLaw, access_sigmas, neuron_sigmas
from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit
from spicetrain.spiking.netlists.cells import (
    REST,
    access_transistor,
    add_threshold_supplies,
    new_spiking_circuit,
    row_levels,
    threshold_inverter,
    threshold_supplies,
)
from spicetrain.spiking.surrogates.measured import membrane_range_V
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

_POINTS, _FITTED = 401, 81
_TRIP_DEGREE, _LEAK_DEGREE = 7, 6
ACCESS_REACH = 4.0
"""Standard deviations up to which the law of the cells holds: of many thousand cells, some are beyond, and held."""
_OVERSHOOT = 1.4  # of g_max: four standard deviations of a tenth
_MEMBRANES, _CONDUCTANCES, _SHIFTS = 31, 17, 13
_FINE, _COARSE = (8, 6, 7), (3, 4, 5)  # degrees in the membrane, the conductance and the shift
_MARGIN = 1.5  # of the sweep beyond what is fitted: the trip moves by up to as much again
_OPTIONS = {"reltol": 1e-9, "vntol": 1e-12, "abstol": 1e-18}


def chip_law(
    circuit: SpikingCircuit, technology: Technology, statistics: Statistics, simulator: Simulator
) -> ChipLaw | None:
    """`measure_chip_law` for these statistics, or what needs no measuring; None when neurons do not vary."""
    layers = range(circuit.distinct_layers)
    sigmas = [one for k in layers if (one := neuron_sigmas(circuit, technology, statistics, k)) is not None]
    if not sigmas:
        return COMMON_SHIFT if statistics.neurons else None
    law = measure_chip_law(circuit, technology, max(one.reach_V for one in sigmas), simulator)
    largest_V = max(access_sigmas(circuit, technology, statistics).values(), default=0.0)
    if not largest_V:
        return law
    return replace(law, access=measure_access_law(circuit, technology, ACCESS_REACH * largest_V, simulator))


def measure_chip_law(circuit: SpikingCircuit, technology: Technology, reach_V: float, simulator: Simulator) -> ChipLaw:
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
    return ChipLaw(
        _odd_start(d, moved, _TRIP_DEGREE), slope, _odd_start(d, leak(-d) - leak(0.0), _LEAK_DEGREE), reach_V
    )


def measure_access_law(
    circuit: SpikingCircuit, technology: Technology, reach_V: float, simulator: Simulator
) -> AccessLaw:
    """The law of the cells of a 1t1r, for shifts of their access transistors up to reach_V, membranes as far as the
    nominal law of the cells is fitted, conductances up to those that programming overshoots to. Raises
    SimulationError."""
    device, (low, high) = technology.memristor, membrane_range_V(circuit)
    u, g_S = np.linspace(low, high, _MEMBRANES), _OVERSHOOT * device.g_max_S
    g = np.geomspace(device.g_min_S / 2, g_S, _CONDUCTANCES)
    shifts = reach_V * np.cos(np.pi * np.arange(_SHIFTS) / (_SHIFTS - 1))  # dense where a polynomial strays
    scale, found = float(np.abs(u).max()), {}
    for side in SIDES:
        changes = _access_changes(circuit, technology, side, u, g, shifts, simulator)
        for name, (degree, in_g, in_shift) in (("fine", _FINE), ("coarse", _COARSE)):
            basis = np.einsum(
                "ui,gj,sk->ugsijk",
                polynomial.polyvander(u / scale, degree),
                polynomial.polyvander(g / g_S, in_g),
                polynomial.polyvander(shifts / reach_V, in_shift)[:, 1:],
            )
            matrix = basis.reshape(changes.size, -1)
            table = np.linalg.lstsq(matrix, changes.ravel(), rcond=None)[0].reshape(basis.shape[3:])
            found[side, name] = table / scale ** np.arange(degree + 1)[:, None, None]
    return AccessLaw(
        {side: found[side, "fine"] for side in SIDES}, {side: found[side, "coarse"] for side in SIDES}, g_S, reach_V
    )


def _access_changes(
    spiking: SpikingCircuit,
    technology: Technology,
    side: Side,
    u: np.ndarray,
    g: np.ndarray,
    shifts: np.ndarray,
    simulator: Simulator,
) -> np.ndarray:
    """By how much more current flows into the column than without a shift, over g: [membranes, g, shifts], volts."""
    circuit, every = new_spiking_circuit(spiking, technology, 0), (0.0, *shifts.tolist())
    circuit.V("column", "column", circuit.gnd, 0.0)
    circuit.V("word", "word", circuit.gnd, row_levels(side, spiking)[True])
    names = [[f"{side[0]}{i}_{k}" for k in range(len(every))] for i in range(len(g))]
    for of_g, conductance in zip(names, g, strict=True):
        for name, shift_V in zip(of_g, every, strict=True):
            rail = VDD if side == "excitatory" else VSS
            technology.memristor.add(circuit, name, rail, f"y{name}", float(conductance))
            column = f"m{name}"
            circuit.raw_spice += access_transistor(name, "word", column, spiking, technology, shift_V=shift_V)
            circuit.V(f"meter{name}", column, "column", 0.0)
    saves = tuple(f"i(vmeter{name})" for of_g in names for name in of_g)
    deck = Deck(
        text_of(circuit), f".dc {swept('vcolumn', spiking.rest_V + u)}", saves, len(u),
        temperature_C=technology.temperature_C, options=_OPTIONS,
    )  # fmt: skip
    values = simulator.simulate(deck).values
    i = np.stack([values[name] for name in saves], 1).reshape(len(u), len(g), len(every)) / g[:, None]
    return i[:, :, 1:] - i[:, :, :1]


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
