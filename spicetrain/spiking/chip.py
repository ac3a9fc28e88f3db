"""A chip of a spiking network: its devices as they were built, its neurons as their transistors came out. Numpy only.

A transistor that came out otherwise is one with a source in its gate: it sees shift_V less than it is given, and has
1 + factor times the current. Of a neuron the threshold inverter and the leak are drawn (`NeuronShifts` says why no
others), of a 1t1r cell its access transistor, without a factor of its own. What that does follows from laws that
ngspice measures (characterization/chip_law.py), and which training and verification share, in torch and in numpy.
A threshold that is off by itself is both gates of its inverter shifted by the same: it trips by exactly that later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.built import built
from spicetrain.array.crossbar import Crossbar
from spicetrain.draw import Draw
from spicetrain.errors import ConfigurationError
from spicetrain.mismatch import Kind
from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

Array = NDArray[np.float64]

AccessShifts = Mapping[Side, Array]

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

    Not drawn: reset transistors and row drivers, micrometres wide and hard on. tests/spiking/test_chip.py shows by how
    little they move a membrane: some microvolts, where these move it by millivolts.
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
class AccessLaw:
    """What shifts of its access transistor do to a 1t1r cell: the current of a spiking one into its column, at
    u = v - rest, changes by

        g sum_k u^k sum_m (g / g_S)^m sum_n a[k, m, n - 1] (shift / reach_V)^n        n = 1 ..

    changes  side -> a [K+1, M, N]; coarse_changes  the same with a cubic of u, for training
    reach_V  up to where; beyond, the end's value holds
    """

    changes: Mapping[Side, Array]
    coarse_changes: Mapping[Side, Array]
    g_S: float
    reach_V: float

    def change(self, side: Side, g: Any, shift_V: Any, coarse: bool = False) -> list[Any]:
        """Per k the A / V^k, shaped like g and the shifts; numpy or torch."""
        table = (self.coarse_changes if coarse else self.changes)[side]
        x, powers = (g / self.g_S).clip(0.0, 1.0), [shift_V.clip(-self.reach_V, self.reach_V) / self.reach_V]
        while len(powers) < table.shape[2]:
            powers.append(powers[-1] * powers[0])
        found = []
        for of_u in _weighted(table, powers):
            value = of_u[-1]
            for coefficient in list(of_u)[-2::-1]:
                value = value * x + coefficient
            found.append(g * value)
        return found

    def of_pairs(self, pairs: Mapping[Side, Any], shifts_V: Mapping[Side, Any], coarse: bool = False) -> list[Any]:
        """Of both cells of each row pair together, `pairs` their conductances."""
        sides = (self.change(side, pairs[side], shifts_V[side], coarse) for side in SIDES)
        return [a + b for a, b in zip(*sides, strict=True)]

    @property
    def facts(self) -> list[Any]:
        """All of it, for a key."""
        tables = (*self.changes.values(), *self.coarse_changes.values())
        return [*(table.tolist() for table in tables), self.g_S, self.reach_V]


@dataclass(frozen=True)
class ChipLaw:
    """What shifts of its transistors do to a neuron, and to a cell.

    trip       powers k = 1 .. of d = nMOS shift - pMOS shift, V / V^k, for |d| up to reach_V: by how much the membrane
               at which the inverter trips rises beyond the pMOS's shift. Shifted by the same, both trip by that later;
               so one variable is enough, and there is no approximation in it but the polynomial
    slope_per_V  d ln(I_n / I_p) / dv at the trip, through which current factors act
    leak       powers k = 1 .. of the leak's shift, 1 / V^k: the logarithm of its current over that without a shift
    reach_V    of both variables; beyond, the end's value holds
    access     of the cells of a 1t1r
    """

    trip: tuple[float, ...]
    slope_per_V: float
    leak: tuple[float, ...]
    reach_V: float
    access: AccessLaw | None = None

    @property
    def facts(self) -> list[Any]:
        """All of it, for a key."""
        own = [self.trip, self.slope_per_V, self.leak, self.reach_V]
        return own if self.access is None else [*own, self.access.facts]

    def trip_V(self, shifts: NeuronShifts) -> Any:
        """By how much the membrane at which a neuron fires is higher, volts, shaped like the shifts; numpy or torch."""
        (n_V, n), (p_V, p) = shifts.nmos, shifts.pmos
        return p_V + powers(self.trip, (n_V - p_V).clip(-self.reach_V, self.reach_V)) - (n - p) / self.slope_per_V

    def leak_factor(self, shifts: NeuronShifts) -> Any:
        """Of the leak's current, shaped like the shifts; numpy or torch."""
        shift_V, factor = shifts.leak
        exponent = powers(self.leak, shift_V.clip(-self.reach_V, self.reach_V))
        return (exponent.exp() if hasattr(exponent, "exp") else np.exp(exponent)) * (1 + factor)

    def trip_sigma_V(self, sigmas: NeuronSigmas) -> float:
        """Standard deviation of `trip_V`, to first order: each transistor with its share of the transconductance."""
        share = self.trip[0]
        shifts = math.hypot(share * sigmas.nmos.shift_V, (1 - share) * sigmas.pmos.shift_V)
        return math.hypot(shifts, math.hypot(sigmas.nmos.factor, sigmas.pmos.factor) / self.slope_per_V)


NOMINAL = NeuronSigmas(*(Sigma(0.0, 0.0),) * 3)
"""Of transistors that do not vary."""

COMMON_SHIFT = ChipLaw((0.0,), 1.0, (0.0,), 0.0)
"""The law where only thresholds vary by themselves: a common shift of both gates is one of the trip, unmeasured."""


@dataclass(frozen=True)
class SpikingChip:
    """network  with the conductances that its devices have
    shifts   of the neurons by layer, [columns]; None: neurons do not vary
    access   gate shifts of the cells of a 1t1r by layer, side -> [rows + 1, columns], the bias row last, volts
    """

    network: SpikingNetwork
    shifts: tuple[NeuronShifts, ...] | None = None
    access: tuple[AccessShifts, ...] | None = None


def neuron_sigmas(
    circuit: SpikingCircuit, technology: Technology, statistics: Statistics, layer: int
) -> NeuronSigmas | None:
    """Of the neurons of a layer; None when transistors do not vary. TechnologyError when an area is not known,
    ConfigurationError when the transistors are not."""
    if not statistics.transistors:
        return None
    require_known_mismatch(circuit, statistics)
    neuron, fingers = circuit.neuron, circuit.inverter_fingers(layer)
    transistors: tuple[tuple[Kind, dict[str, float], float], ...] = (
        ("nmos", neuron.inverter.nmos, fingers),
        ("pmos", neuron.inverter.pmos, fingers),
        ("nmos", neuron.leak, 1.0),
    )
    return NeuronSigmas(
        *(
            Sigma(*(sigma / math.sqrt(parallel) for sigma in statistics.sigma(kind, geometry)))
            for kind, geometry, parallel in transistors
        )
    )


def require_known_mismatch(circuit: SpikingCircuit, statistics: Statistics) -> None:
    """ConfigurationError when transistors vary and the neuron's are inside a subcircuit."""
    if statistics.transistors and circuit.neuron.foreign is not None:
        raise ConfigurationError(
            "Transistors are to vary from chip to chip, and the neuron is the subcircuit in "
            f"{circuit.neuron.foreign.path}: which of its transistors move its threshold and its leak is not known. "
            "Its chips can vary in how their devices were programmed only: set variation.mismatch = 0 (and beta = 0), "
            "as in --verification.variation.mismatch 0."
        )


def access_sigmas(circuit: SpikingCircuit, technology: Technology, statistics: Statistics) -> dict[Side, float]:
    """Standard deviations of the gate shifts of access transistors, volts; none of a 1r, or without mismatch."""
    if not statistics.transistors or circuit.access is None or circuit.array != "1t1r":
        return {}
    of_side: tuple[tuple[Side, Kind, dict[str, float]], ...] = (
        ("excitatory", "nmos", circuit.access.nmos),
        ("inhibitory", "pmos", circuit.access.pmos),
    )
    return {side: statistics.sigma(kind, geometry)[0] for side, kind, geometry in of_side}


def pairs_of(crossbar: Crossbar) -> dict[Side, Array]:
    """Conductances of the cells of each side, [rows + 1, columns], the bias row last."""
    return {
        "excitatory": np.vstack([crossbar.pos, crossbar.bias_pos]),
        "inhibitory": np.vstack([crossbar.neg, crossbar.bias_neg]),
    }


def drawn(
    network: SpikingNetwork, circuit: SpikingCircuit, technology: Technology, statistics: Statistics, draw: Draw
) -> SpikingChip:
    """The chip `draw` of the network."""
    crossbars = tuple(
        built(crossbar, technology.memristor, statistics.array, draw, layer) if statistics.array else crossbar
        for layer, crossbar in enumerate(network.crossbars)
    )
    scaled_V = (circuit.rest_V + statistics.threshold_scale * (v - circuit.rest_V) for v in network.thresholds_V)
    thresholds_V = network.thresholds_V if statistics.threshold_scale == 1 else tuple(scaled_V)
    chip = replace(network, crossbars=crossbars, thresholds_V=thresholds_V)
    if not statistics.neurons:
        return SpikingChip(chip)
    shifts = tuple(
        _drawn_shifts(neuron_sigmas(circuit, technology, statistics, layer) or NOMINAL, width, draw, layer)
        for layer, width in enumerate(network.layers[1:])
    )
    return SpikingChip(
        chip,
        tuple(
            _thresholds_drawn(of_layer, statistics.threshold_sigma_V, draw, layer)
            for layer, of_layer in enumerate(shifts)
        ),
        _drawn_access(network, access_sigmas(circuit, technology, statistics), draw),
    )


def _drawn_access(network: SpikingNetwork, sigmas: dict[Side, float], draw: Draw) -> tuple[AccessShifts, ...] | None:
    if not sigmas:
        return None
    return tuple(
        {
            side: sigma * draw.normal(f"mismatch {layer} access {side}", (box.rows + 1, box.columns))
            for side, sigma in sigmas.items()
        }
        for layer, box in enumerate(network.crossbars)
    )


def _thresholds_drawn(shifts: NeuronShifts, sigma_V: float, draw: Draw, layer: int) -> NeuronShifts:
    if not sigma_V:
        return shifts
    higher_V = sigma_V * draw.normal(f"threshold {layer}", shifts.nmos.shift_V.shape)
    n, p = (one._replace(shift_V=one.shift_V + higher_V) for one in shifts[:2])
    return NeuronShifts(n, p, shifts.leak)


def _drawn_shifts(sigmas: NeuronSigmas, width: int, draw: Draw, layer: int) -> NeuronShifts:
    return NeuronShifts(
        *(
            Shift(
                sigma.shift_V * draw.normal(f"mismatch {layer} {name}", (width,)),
                sigma.factor * draw.normal(f"mismatch {layer} {name} factor", (width,)),
            )
            for name, sigma in zip(("threshold nmos", "threshold pmos", "leak"), sigmas, strict=True)
        )
    )


def _weighted(table: Array, arrays: list[Any]) -> Any:
    """sum_n table[..., n] arrays[n], in numpy or torch."""
    if not hasattr(arrays[0], "new_tensor"):
        return np.tensordot(table, np.stack(arrays), 1)
    flat = arrays[0].new_tensor(table.reshape(-1, table.shape[-1]))
    stacked = flat.new_empty(len(arrays), *arrays[0].shape)
    for index, array in enumerate(arrays):
        stacked[index] = array
    return (flat @ stacked.flatten(1)).view(*table.shape[:-1], *arrays[0].shape)


def powers(coefficients: Sequence[float], x: Any) -> Any:
    """sum_k coefficients[k - 1] x^k."""
    value = 0.0 * x
    for coefficient in reversed(coefficients):
        value = (value + coefficient) * x
    return value
