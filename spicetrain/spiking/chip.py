"""A chip of a spiking network: its devices as they were built, its neurons as their transistors came out. Numpy only.

A transistor that came out otherwise is one with a source in its gate: it sees shift_V less than it is given, and has
1 + factor times the current. Of a neuron the threshold inverter and the leak are drawn (`NeuronShifts` says why no
others). What that does to the neuron follows from laws that ngspice measures (characterization/neuron.py), and which
training and verification share, in torch and in numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.built import built
from spicetrain.draw import Draw
from spicetrain.mismatch import Kind
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

Array = NDArray[np.float64]

REACH = 6.0
"""Standard deviations up to which the laws of a neuron are measured."""


class Sigma(NamedTuple):
    """Standard deviations of one transistor: of its gate shift, volts, and of its relative current factor."""

    shift_V: float
    factor: float


class Shift(NamedTuple):
    """Of one transistor, or of the same one in many neurons: see the module."""

    shift_V: Any
    factor: Any

    def of(self, j: int) -> Shift:
        return Shift(float(self.shift_V[j]), float(self.factor[j]))


class NeuronShifts(NamedTuple):
    """nMOS and pMOS of the threshold inverter, and the leak; of one neuron, or [neurons].

    Not drawn: reset transistors and row drivers, micrometres wide and hard on, and the access transistors of a 1t1r,
    whose resistance is a few percent of a device's, which programming leaves 10 % off. tests/spiking/test_chip.py
    shows by how little they move a membrane.
    """

    nmos: Shift
    pmos: Shift
    leak: Shift

    def of(self, j: int) -> NeuronShifts:
        """Of neuron j."""
        return NeuronShifts(*(shift.of(j) for shift in self))


class NeuronSigmas(NamedTuple):
    """Of the transistors of NeuronShifts."""

    nmos: Sigma
    pmos: Sigma
    leak: Sigma

    @property
    def reach_V(self) -> float:
        """How far the difference of the inverter's shifts, or the leak's, may be expected to go."""
        return REACH * max(math.hypot(self.nmos.shift_V, self.pmos.shift_V), self.leak.shift_V, 1e-3)


@dataclass(frozen=True)
class NeuronLaw:
    """What shifts of its transistors do to a neuron.

    trip       powers k = 1 .. of d = nMOS shift - pMOS shift, V / V^k, for |d| up to reach_V: by how much the membrane
               at which the inverter trips rises beyond the pMOS's shift. Shifted by the same, both trip by that later;
               so one variable is enough, and there is no approximation in it but the polynomial
    slope_per_V  d ln(I_n / I_p) / dv at the trip, through which current factors act
    leak       powers k = 1 .. of the leak's shift, 1 / V^k: the logarithm of its current over that without a shift
    reach_V    of both variables; beyond, the end's value holds
    """

    trip: tuple[float, ...]
    slope_per_V: float
    leak: tuple[float, ...]
    reach_V: float

    def trip_V(self, shifts: NeuronShifts) -> Any:
        """By how much the membrane at which a neuron fires is higher, volts, shaped like the shifts; numpy or torch."""
        (n_V, n), (p_V, p) = shifts.nmos, shifts.pmos
        return p_V + _powers(self.trip, (n_V - p_V).clip(-self.reach_V, self.reach_V)) - (n - p) / self.slope_per_V

    def leak_factor(self, shifts: NeuronShifts) -> Any:
        """Of the leak's current, shaped like the shifts; numpy or torch."""
        shift_V, factor = shifts.leak
        exponent = _powers(self.leak, shift_V.clip(-self.reach_V, self.reach_V))
        return (exponent.exp() if hasattr(exponent, "exp") else np.exp(exponent)) * (1 + factor)

    def trip_sigma_V(self, sigmas: NeuronSigmas) -> float:
        """Standard deviation of `trip_V`, to first order: each transistor with its share of the transconductance."""
        share = self.trip[0]
        shifts = math.hypot(share * sigmas.nmos.shift_V, (1 - share) * sigmas.pmos.shift_V)
        return math.hypot(shifts, math.hypot(sigmas.nmos.factor, sigmas.pmos.factor) / self.slope_per_V)


@dataclass(frozen=True)
class SpikingChip:
    """network  with the conductances that its devices have
    shifts   of the neurons by layer, [columns]; None: transistors do not vary
    """

    network: SpikingNetwork
    shifts: tuple[NeuronShifts, ...] | None = None


def neuron_sigmas(
    circuit: SpikingCircuit, technology: Technology, statistics: Statistics, layer: int
) -> NeuronSigmas | None:
    """Of the neurons of a layer; None when transistors do not vary. TechnologyError when an area is not known."""
    if statistics.mismatch is None:
        return None
    neuron, fingers = circuit.neuron, circuit.inverter_fingers(layer)
    transistors: tuple[tuple[Kind, dict[str, float], float], ...] = (
        ("nmos", neuron.inverter.nmos, fingers),
        ("pmos", neuron.inverter.pmos, fingers),
        ("nmos", neuron.leak, 1.0),
    )
    scale = statistics.mismatch_scale
    return NeuronSigmas(
        *(
            Sigma(*(scale * sigma / math.sqrt(parallel) for sigma in statistics.mismatch.sigma(kind, geometry)))
            for kind, geometry, parallel in transistors
        )
    )


def drawn(
    network: SpikingNetwork, circuit: SpikingCircuit, technology: Technology, statistics: Statistics, draw: Draw
) -> SpikingChip:
    """The chip `draw` of the network."""
    crossbars = tuple(
        built(crossbar, technology.memristor, statistics.array, draw, layer) if statistics.array else crossbar
        for layer, crossbar in enumerate(network.crossbars)
    )
    chip = replace(network, crossbars=crossbars)
    if statistics.mismatch is None:
        return SpikingChip(chip)
    return SpikingChip(
        chip,
        tuple(
            _drawn_shifts(neuron_sigmas(circuit, technology, statistics, layer), width, draw, layer)
            for layer, width in enumerate(network.layers[1:])
        ),
    )


def _drawn_shifts(sigmas: NeuronSigmas | None, width: int, draw: Draw, layer: int) -> NeuronShifts:
    assert sigmas is not None  # the statistics have mismatch
    return NeuronShifts(
        *(
            Shift(
                sigma.shift_V * draw.normal(f"mismatch {layer} {name}", (width,)),
                sigma.factor * draw.normal(f"mismatch {layer} {name} factor", (width,)),
            )
            for name, sigma in zip(("threshold nmos", "threshold pmos", "leak"), sigmas, strict=True)
        )
    )


def _powers(coefficients: tuple[float, ...], x: Any) -> Any:
    """sum_k coefficients[k - 1] x^k."""
    value = 0.0 * x
    for coefficient in reversed(coefficients):
        value = (value + coefficient) * x
    return value
