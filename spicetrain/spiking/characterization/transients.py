"""The spiking circuit's parts in time: trip of the threshold inverter, residue of a reset, pulse of a 1t1r cell; and
cell and neuron as capacitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.characterization.sweep import Columns, Subject
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import VSS
from spicetrain.spice.deck import Deck
from spicetrain.spiking.characterization.currents import SpikingSweep, add_cell, conductances
from spicetrain.spiking.characterization.plans import (
    CellCapacitancePlan,
    CellPulsePlan,
    NeuronCapacitancePlan,
    ResetResiduePlan,
    ThresholdPlan,
)
from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit
from spicetrain.spiking.netlists.cells import (
    add_membrane_transistors,
    add_pulses,
    add_pwl,
    add_threshold_supplies,
    row_levels,
)
from spicetrain.technology import Technology

_POINTS = 1000  # of a ramp
_TRIP = ("slope_V_per_s", "rate_per_s", "trip_V")
_ANSWER = 0.25  # of integrate_s: how long a foreign neuron may take to answer
_LEAST_SWING = 0.25  # of ramp_V: of a membrane that settles, how far its end is beyond the threshold
# ngspice's own chgtol, 1e-14 C, is more than any charge of a cell.
_OPTIONS = {"reltol": 1e-5, "vntol": 1e-9, "abstol": 1e-12, "chgtol": 1e-18}


@dataclass(frozen=True)
class ThresholdSweep(SpikingSweep[ThresholdPlan]):
    """slope_V_per_s, rate_per_s, trip_V: the membrane at which the inverter's output crosses threshold_V, minus
    threshold_V, and its slope there, while the membrane is a ramp; slope 0: at DC. Of a foreign neuron: at which its
    output crosses the latch's level. With a settling_s the membrane is on its way to an end, with that time constant
    and that slope at the threshold; rate_per_s: of its slope, -1 / settling_s, of a ramp 0."""

    slope_V_per_s: float
    settling_s: float | None = None

    @property
    def _signs(self) -> tuple[int, ...]:
        """Up and down are two neurons side by side."""
        return (1, -1) if self.slope_V_per_s else (1,)

    def deck(self) -> Deck:
        circuit, threshold_V = self.new(), self.circuit.threshold_V(0)
        add_threshold_supplies(circuit, 0, threshold_V, self.circuit)
        saves = tuple(f"v({node}{k})" for k in range(len(self._signs)) for node in "mq")
        for k in range(len(self._signs)):
            add_membrane_transistors(circuit, 0, str(k), VSS, self.circuit, self.technology)
        if self.slope_V_per_s == 0:
            start, stop = threshold_V - self._ramp_V, threshold_V + self._ramp_V
            circuit.V("m0", "m0", circuit.gnd, 0.0)
            analysis = f".dc vm0 {start!r} {stop!r} {(stop - start) / _POINTS!r}"
            return self.answer(circuit, analysis, saves, _POINTS + 1)
        seconds = 2 * self._ramp_V / self.slope_V_per_s
        if self.settling_s is not None:
            swing_V = self.slope_V_per_s * self.settling_s
            seconds = self.settling_s * (1 + float(np.log(1 + self._ramp_V / swing_V)))
        for k, sign in enumerate(self._signs):
            start, node = threshold_V - sign * self._ramp_V, f"m{k}"
            if self.settling_s is None:
                add_pwl(circuit, node, [(0.0, start), (seconds, start + 2 * sign * self._ramp_V)])
            else:
                way = f"{start!r} {self._end_V(sign)!r} 0 {self.settling_s!r} {2 * seconds!r} 1"
                circuit.raw_spice += f"V{node} {node} 0 exp({way})\n"
        step = seconds / _POINTS
        deck = self.answer(circuit, f".tran {step!r} {seconds!r} 0 {step!r}", saves, None)
        return replace(deck, options=_OPTIONS)

    def _end_V(self, sign: int) -> float:
        """Where a membrane that settles goes."""
        assert self.settling_s is not None
        return self.circuit.threshold_V(0) + sign * self.slope_V_per_s * self.settling_s

    @property
    def _ramp_V(self) -> float:
        ramp_V = self.plan.ramp_V
        if self.circuit.neuron.foreign is not None:  # it may trip further off, and later
            way_V = self.slope_V_per_s * _ANSWER * self.circuit.clock.integrate_s
            ramp_V = max(ramp_V, min(way_V, self.circuit.rails.vdd_V - self.circuit.rest_V))
        return ramp_V

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        found = [
            row
            for k, sign in enumerate(self._signs)
            if (row := self._tripped(sign, values[f"v(m{k})"], values[f"v(q{k})"])) is not None
        ]
        return {name: np.array([row[k] for row in found]) for k, name in enumerate(_TRIP)}

    def _tripped(self, sign: int, v: NDArray, output: NDArray) -> tuple[float, float, float] | None:
        """(slope, rate, trip); None where the membrane settles before it trips."""
        threshold_V, foreign = self.circuit.threshold_V(0), self.circuit.neuron.foreign is not None
        level_V = self.circuit.latch_level_V(threshold_V) if foreign else threshold_V
        if self.settling_s is not None and not output.min() < level_V < output.max():
            return None
        if foreign:
            trip = crossing_V(v, output, level_V) - threshold_V
        else:
            order = np.argsort(output)
            trip = float(np.interp(threshold_V, output[order], v[order])) - threshold_V
        if self.settling_s is None:
            return sign * self.slope_V_per_s, 0.0, trip
        return (self._end_V(sign) - threshold_V - trip) / self.settling_s, -1 / self.settling_s, trip


@dataclass(frozen=True)
class ResetResidueSweep(SpikingSweep[ResetResiduePlan]):
    """layer, g_column_S, v_before_V (membrane at the latch), v_after_V (right after the reset gate has fallen): neurons
    side by side, their columns tied to rest."""

    layer: int

    @property
    def _cases(self) -> list[tuple[float, float]]:
        rest, top = self.circuit.rest_V, self.circuit.rails.vdd_V
        half, far = (self.circuit.threshold_V(self.layer) - rest) / 2, 0.8 * (top - rest)
        v_before = rest + np.geomspace(half, far, self.plan.v_points)
        return [(g, float(v)) for g in self.plan.g_columns_S for v in v_before]

    def deck(self) -> Deck:
        circuit, spiking, clock = self.new(), self.circuit, self.circuit.clock
        low, high, stop_s = spiking.rails.vss_V, spiking.rails.vdd_V, clock.rest_s + clock.edge_s
        add_pwl(circuit, "gate", [(0.0, low), (clock.edge_s, high), (clock.rest_s, high), (stop_s, low)])
        add_threshold_supplies(circuit, self.layer, spiking.threshold_V(self.layer), spiking)
        for k, (g, v) in enumerate(self._cases):
            add_membrane_transistors(circuit, self.layer, str(k), "gate", spiking, self.technology)
            circuit.C(f"m{k}", f"m{k}", circuit.gnd, spiking.capacitance_F(self.layer))
            circuit.raw_spice += f".ic v(m{k})={v!r}\n"
            if g > 0:
                circuit.R(f"m{k}", f"m{k}", "rest", float(1 / g))
        step = clock.edge_s / 4
        saves = tuple(f"v(m{k})" for k in range(len(self._cases)))
        return replace(
            self.answer(circuit, f".tran {step!r} {stop_s!r} 0 {clock.rest_s / 100!r}", saves, None), options=_OPTIONS
        )

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        g, v_before = np.array(self._cases).T
        v_after = np.array([values[f"v(m{k})"][-1] for k in range(len(g))])
        return {
            "layer": np.full(len(g), self.layer),
            "g_column_S": g,
            "v_before_V": v_before,
            "v_after_V": v_after,
        }


@dataclass(frozen=True)
class CellPulseSweep(SpikingSweep[CellPulsePlan]):
    """side, g_S, v_membrane_V, and what one spike brings to a column held there, coulombs:

    charge_C           in the whole pulse, both edges
    charge_latch_C     until integrate_s, when the latch takes the membrane: the first edge's coupling is in it
    charge_dc_C        what the current at DC brings in integrate_s
    """

    side: Side
    membrane_V: float

    @property
    def _g(self) -> NDArray[np.float64]:
        return conductances(self.technology, self.plan.g_points)

    @property
    def _start_s(self) -> float:
        return self.circuit.clock.step_s

    def deck(self) -> Deck:
        circuit, clock = self.new(), self.circuit.clock
        silent, spike = row_levels(self.side, self.circuit)
        add_pulses(circuit, "word", clock, [silent, spike], silent)
        circuit.V("open", "open", circuit.gnd, spike)
        count = len(self._g)
        for k, g in enumerate((*self._g, *self._g)):  # pulsed, then always on: a cell at g_min takes 4 ns to settle
            add_cell(circuit, self.side, k, float(g), "word" if k < count else "open", self.circuit, self.technology)
            circuit.V(f"m{k}", f"m{k}", circuit.gnd, self.membrane_V)
        saves = tuple(f"i(vm{k})" for k in range(2 * count))
        step, stop_s = clock.edge_s / 10, 2 * clock.step_s
        deck = self.answer(circuit, f".tran {step!r} {stop_s!r} 0 {clock.integrate_s / 200!r}", saves, None)
        return replace(deck, options=_OPTIONS)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        time, clock, count = values["time"], self.circuit.clock, len(self._g)
        charges = [_charge(time, values[f"i(vm{k})"]) for k in range(count)]
        ends = self._start_s + np.array([0.0, clock.integrate_s, clock.step_s])
        start, latch, end = np.array([np.interp(ends, time, charge) for charge in charges]).T
        i_dc = np.array([values[f"i(vm{k + count})"][0] for k in range(count)])
        return {
            "side": np.full(count, self.side),
            "g_S": self._g,
            "v_membrane_V": np.full(count, self.membrane_V),
            "charge_C": end - start,
            "charge_latch_C": latch - start,
            "charge_dc_C": i_dc * clock.integrate_s,
        }


@dataclass(frozen=True)
class CellCapacitanceSweep(SpikingSweep[CellCapacitancePlan]):
    """side, spiking, g_S, capacitance_F that a cell puts at its column, at rest and at the frequency of a step."""

    side: Side
    spiking: bool

    @property
    def _g(self) -> NDArray[np.float64]:
        return conductances(self.technology, self.plan.g_points)

    def deck(self) -> Deck:
        circuit = self.new()
        circuit.V("word", "word", circuit.gnd, row_levels(self.side, self.circuit)[self.spiking])
        circuit.raw_spice += f"Vcolumn column 0 {self.circuit.rest_V} ac 1.0\n"
        for k, g in enumerate(self._g):
            add_cell(circuit, self.side, k, float(g), "word", self.circuit, self.technology)
            circuit.V(f"meter{k}", "column", f"m{k}", 0.0)
        return self.answer(circuit, once_a_step(self.circuit), tuple(f"i(vmeter{k})" for k in range(len(self._g))), 1)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        count = len(self._g)
        return {
            "side": np.full(count, self.side),
            "spiking": np.full(count, self.spiking),
            "g_S": self._g,
            "capacitance_F": capacitances([values[f"i(vmeter{k})"] for k in range(count)], self.circuit),
        }


@dataclass(frozen=True)
class NeuronCapacitanceSweep(SpikingSweep[NeuronCapacitancePlan]):
    """layer, v_membrane_V, capacitance_F of all transistors of a neuron, its reset off, at the frequency of a step:
    neurons side by side, each held at one of `points` membranes."""

    layer: int

    @property
    def _v(self) -> NDArray[np.float64]:
        return self.membranes(self.plan.points)

    def deck(self) -> Deck:
        circuit = self.new()
        add_held_neurons(circuit, self.layer, self._v, self.circuit, self.technology)
        return self.answer(circuit, once_a_step(self.circuit), tuple(f"i(vm{k})" for k in range(len(self._v))), 1)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        count = len(self._v)
        return {
            "layer": np.full(count, self.layer),
            "v_membrane_V": self._v,
            "capacitance_F": -capacitances([values[f"i(vm{k})"] for k in range(count)], self.circuit),
        }


def crossing_V(v: NDArray, output: NDArray, level_V: float) -> float:
    """The membrane v at which a foreign neuron's output last crosses `level_V`, both [points] in order.
    ConfigurationError when it does not."""
    side = output > level_V
    (changes,) = np.nonzero(side[1:] != side[:-1])
    if not len(changes):
        raise ConfigurationError(
            f"The neuron's spike output does not cross {level_V:.3g} V while the membrane goes from {v[0]:.3g} to "
            f"{v[-1]:.3g} V: it trips elsewhere, or answers too late. Set neuron.threshold_V to where it trips, make "
            "it faster, or give the plan's [threshold] a larger ramp_V or smaller slopes_V_per_s."
        )
    k = int(changes[-1])
    share = (level_V - output[k]) / (output[k + 1] - output[k])
    return float(v[k] + share * (v[k + 1] - v[k]))


def add_held_neurons(
    circuit: Circuit, layer: int, membranes_V: NDArray, spiking: SpikingCircuit, technology: Technology
) -> None:
    """Neurons of a layer side by side, their resets off, each held at one of the membranes by Vm<k>, at which an
    analysis at a frequency pulls with 1 V."""
    add_threshold_supplies(circuit, layer, spiking.threshold_V(layer), spiking)
    for k, v in enumerate(membranes_V):
        add_membrane_transistors(circuit, layer, str(k), VSS, spiking, technology)
        circuit.raw_spice += f"Vm{k} m{k} 0 {float(v)!r} ac 1.0\n"


def once_a_step(circuit: SpikingCircuit) -> str:
    """The analysis of a capacitance: one frequency."""
    f = 1 / circuit.clock.step_s
    return f".ac lin 1 {f!r} {f!r}"


def capacitances(currents: list[NDArray], circuit: SpikingCircuit) -> NDArray[np.float64]:
    """Of the currents that `once_a_step` finds at sources of 1 V."""
    return np.array([i[0].imag * circuit.clock.step_s / (2 * np.pi) for i in currents])


def _charge(time: NDArray, current: NDArray) -> NDArray[np.float64]:
    """Trapezoids from the first point on."""
    steps = np.diff(time) * (current[1:] + current[:-1]) / 2
    return np.concatenate(([0.0], np.cumsum(steps)))


def threshold_sweeps(plan: ThresholdPlan, subject: Subject, parts: int) -> list[ThresholdSweep]:
    settling_s = [steps * subject.circuit.clock.step_s for steps in plan.settling_steps]
    slopes = plan.slopes_V_per_s
    settling = [(v, t) for t in settling_s for v in slopes if v * t >= _LEAST_SWING * plan.ramp_V]
    cases = [(0.0, None), *((slope, None) for slope in slopes), *settling]
    return [
        ThresholdSweep(plan, subject.technology, k, len(cases), subject.circuit, *case) for k, case in enumerate(cases)
    ]


def residue_sweeps(plan: ResetResiduePlan, subject: Subject, parts: int) -> list[ResetResidueSweep]:
    layers = subject.circuit.distinct_layers
    return [
        ResetResidueSweep(plan, subject.technology, layer, layers, subject.circuit, layer) for layer in range(layers)
    ]


def pulse_sweeps(plan: CellPulsePlan, subject: Subject, parts: int) -> list[CellPulseSweep]:
    swing = subject.circuit.threshold_V(0) - subject.circuit.rest_V
    membranes = np.linspace(subject.circuit.rest_V - swing, subject.circuit.rest_V + swing, plan.v_points).tolist()
    cases = [(side, v) for side in SIDES for v in membranes]
    return [
        CellPulseSweep(plan, subject.technology, k, len(cases), subject.circuit, *case) for k, case in enumerate(cases)
    ]


def neuron_capacitance_sweeps(
    plan: NeuronCapacitancePlan, subject: Subject, parts: int
) -> list[NeuronCapacitanceSweep]:
    layers = subject.circuit.distinct_layers
    return [
        NeuronCapacitanceSweep(plan, subject.technology, layer, layers, subject.circuit, layer)
        for layer in range(layers)
    ]


def capacitance_sweeps(plan: CellCapacitancePlan, subject: Subject, parts: int) -> list[CellCapacitanceSweep]:
    cases = [(side, spiking) for side in SIDES for spiking in (False, True)]
    return [
        CellCapacitanceSweep(plan, subject.technology, k, 4, subject.circuit, *case) for k, case in enumerate(cases)
    ]
