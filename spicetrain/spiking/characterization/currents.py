"""Currents of the spiking circuit's parts at DC: row driver, 1t1r cell, neuron at rest, neuron in reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.characterization.sweep import Asked, Columns, Subject, Sweep, swept
from spicetrain.netlists.cells import VDD, VSS, text_of
from spicetrain.spice.deck import Deck
from spicetrain.spiking.characterization.plans import CellCurrentPlan, MembraneCurrentPlan
from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit
from spicetrain.spiking.netlists.cells import (
    access_transistor,
    add_drivers,
    add_membrane_transistors,
    add_threshold_supplies,
    new_spiking_circuit,
    row_levels,
)
from spicetrain.technology import Technology

_CASES = tuple((side, spiking) for side in SIDES for spiking in (False, True))

# A row leaves its level towards the other one, by some percent; columns on the far side of rest pull it beyond.
_ROW_FROM, _ROW_TO = -0.1, 0.6
# With ngspice's usual reltol a memristor's node is off by microvolts: more current than a silent cell has.
_OPTIONS = {"reltol": 1e-9, "vntol": 1e-12, "abstol": 1e-16}
_MEMBRANE = 0.6  # how far a membrane leaves rest: share of the way to the rails


@dataclass(frozen=True)
class SpikingSweep(Sweep[Asked], Generic[Asked]):
    """A sweep of a spiking circuit."""

    circuit: SpikingCircuit

    def membranes(self, points: int) -> NDArray[np.float64]:
        """Membrane voltages around rest."""
        rest, rails = self.circuit.rest_V, self.circuit.rails
        return np.linspace(rest + _MEMBRANE * (rails.vss_V - rest), rest + _MEMBRANE * (rails.vdd_V - rest), points)

    def new(self) -> Circuit:
        """A circuit with models and supplies; its clock never ticks."""
        return new_spiking_circuit(self.circuit, self.technology, 0)

    def answer(self, circuit: Circuit, analysis: str, saves: tuple[str, ...], points: int | None) -> Deck:
        T_C = self.technology.temperature_C
        return Deck(text_of(circuit), analysis, saves, points, temperature_C=T_C, options=_OPTIONS if points else {})


@dataclass(frozen=True)
class DriverCurrentSweep(SpikingSweep[MembraneCurrentPlan]):
    """side, spiking, v_row_V, i_row_A (out of the driver into its row): one driver, its row forced."""

    side: Side
    spiking: bool

    @property
    def _v(self) -> NDArray[np.float64]:
        silent, spike = row_levels(self.side, self.circuit)
        level, other = (spike, silent) if self.spiking else (silent, spike)
        return level + (other - level) * np.linspace(_ROW_FROM, _ROW_TO, self.plan.points)

    def deck(self) -> Deck:
        circuit, rails, letter = self.new(), self.circuit.rails, self.side[0]
        up, down = (rails.vss_V, rails.vdd_V) if self.spiking else (rails.vdd_V, rails.vss_V)
        circuit.V("ge", "ge", circuit.gnd, up)
        circuit.V("gi", "gi", circuit.gnd, down)
        add_drivers(circuit, "", self.circuit, self.technology)
        circuit.V("row", letter, circuit.gnd, 0.0)
        return self.answer(circuit, f".dc {swept('vrow', self._v)}", ("i(vrow)",), self.plan.points)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        case = {"side": np.full(self.plan.points, self.side), "spiking": np.full(self.plan.points, self.spiking)}
        return case | {"v_row_V": self._v, "i_row_A": values["i(vrow)"]}


@dataclass(frozen=True)
class CellCurrentSweep(SpikingSweep[CellCurrentPlan]):
    """side, spiking, g_S, v_membrane_V, i_A (into the column): cells side by side, each behind an ammeter."""

    side: Side
    spiking: bool

    @property
    def _g(self) -> NDArray[np.float64]:
        return conductances(self.technology, self.plan.g_points)

    def deck(self) -> Deck:
        circuit = self.new()
        circuit.V("column", "column", circuit.gnd, 0.0)
        circuit.V("word", "word", circuit.gnd, row_levels(self.side, self.circuit)[self.spiking])
        for k, g in enumerate(self._g):
            add_cell(circuit, self.side, k, float(g), "word", self.circuit, self.technology)
            circuit.V(f"meter{k}", f"m{k}", "column", 0.0)
        saves = tuple(f"i(vmeter{k})" for k in range(len(self._g)))
        return self.answer(circuit, f".dc {swept('vcolumn', self._v)}", saves, self.plan.points)

    @property
    def _v(self) -> NDArray[np.float64]:
        return self.membranes(self.plan.points)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        cells, points = len(self._g), self.plan.points
        return {
            "side": np.full(cells * points, self.side),
            "spiking": np.full(cells * points, self.spiking),
            "g_S": np.repeat(self._g, points),
            "v_membrane_V": np.tile(self._v, cells),
            "i_A": np.concatenate([values[f"i(vmeter{k})"] for k in range(cells)]),
        }


@dataclass(frozen=True)
class NeuronCurrentSweep(SpikingSweep[MembraneCurrentPlan]):
    """layer, v_membrane_V, i_A (out of the membrane): all transistors of a neuron, its reset on or off."""

    layer: int
    reset: bool

    def deck(self) -> Deck:
        circuit = self.new()
        add_threshold_supplies(circuit, self.layer, self.circuit.threshold_V(self.layer), self.circuit)
        gate = VDD if self.reset else VSS
        add_membrane_transistors(circuit, self.layer, "", gate, self.circuit, self.technology)
        circuit.V("m", "m", circuit.gnd, 0.0)
        analysis = f".dc {swept('vm', self.membranes(self.plan.points))}"
        return self.answer(circuit, analysis, ("i(vm)",), self.plan.points)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        v = self.membranes(self.plan.points)
        return {"layer": np.full(len(v), self.layer), "v_membrane_V": v, "i_A": -values["i(vm)"]}


def conductances(technology: Technology, points: int) -> NDArray[np.float64]:
    """Log-spaced over the device's range."""
    return np.geomspace(technology.memristor.g_min_S, technology.memristor.g_max_S, points)


def add_cell(
    circuit: Circuit, side: Side, k: int, g: float, word_line: str, spiking: SpikingCircuit, technology: Technology
) -> None:
    """A 1t1r cell between its rail and the column m<k>."""
    name = f"{side[0]}{k}"
    technology.memristor.add(circuit, name, VDD if side == "excitatory" else VSS, f"y{name}", g)
    circuit.raw_spice += access_transistor(name, word_line, f"m{k}", spiking, technology)


def driver_sweeps(plan: MembraneCurrentPlan, subject: Subject, parts: int) -> list[DriverCurrentSweep]:
    return [DriverCurrentSweep(plan, subject.technology, k, 4, subject.circuit, *case) for k, case in enumerate(_CASES)]


def cell_sweeps(plan: CellCurrentPlan, subject: Subject, parts: int) -> list[CellCurrentSweep]:
    return [CellCurrentSweep(plan, subject.technology, k, 4, subject.circuit, *case) for k, case in enumerate(_CASES)]


def leak_sweeps(plan: MembraneCurrentPlan, subject: Subject, parts: int) -> list[NeuronCurrentSweep]:
    layers = subject.circuit.distinct_layers
    return [
        NeuronCurrentSweep(plan, subject.technology, layer, layers, subject.circuit, layer, False)
        for layer in range(layers)
    ]


def reset_sweeps(plan: MembraneCurrentPlan, subject: Subject, parts: int) -> list[NeuronCurrentSweep]:
    layers = subject.circuit.distinct_layers
    return [
        NeuronCurrentSweep(plan, subject.technology, layer, layers, subject.circuit, layer, True)
        for layer in range(layers)
    ]
