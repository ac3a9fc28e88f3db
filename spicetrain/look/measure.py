"""What ngspice says of a technology's transistors and unit inverter."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spicetrain.characterization.sweep import swept
from spicetrain.errors import SimulationError
from spicetrain.inverter.netlists.cells import add_inverter, new_circuit
from spicetrain.look.rails import Proposal, propose_rails
from spicetrain.netlists.cells import VDD, VSS, Kind, models_only, text_of, transistor
from spicetrain.operating import scaled
from spicetrain.rails import Rails
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

Name = TypeVar("Name")
Geometry = Mapping[str, float]
TEMPERATURES_C = (0.0, 27.0, 85.0, 125.0)
SUPPLIES = (0.8, 0.9, 1.0, 1.1)  # times the rails
_POINTS, _GATES = 201, 5
_LOADS = (0.0, 0.03, 0.1, 0.3)  # of what a finger conducts over the swing
_FACTORS = np.geomspace(0.2, 5, 41)  # of the pMOS width


@dataclass(frozen=True)
class Vtc:
    """v_in_V, v_out_V, supply_A [points] of the unit inverter, its load a conductance to mid-rail."""

    v_in_V: NDArray
    v_out_V: NDArray
    supply_A: NDArray
    rails: Rails

    @property
    def switches_at_V(self) -> float:
        """Where the output is in the middle."""
        return float(np.interp(-self.rails.mid_V, -self.v_out_V, self.v_in_V))

    @property
    def gain(self) -> float:
        return float(np.max(-np.diff(self.v_out_V) / np.diff(self.v_in_V)))

    @property
    def swing(self) -> float:
        """Share of the rails' distance that the output goes through."""
        return float((self.v_out_V[0] - self.v_out_V[-1]) / (self.rails.vdd_V - self.rails.vss_V))

    @property
    def leakage_A(self) -> float:
        """From rail to rail, the input at a rail: the mean of both."""
        return float((self.supply_A[0] + self.supply_A[-1]) / 2)


@dataclass(frozen=True)
class Look:
    """output  of each kind {gate volts: (drain volts, amperes)}, all from the source's rail
    loads      siemens -> VTC; corners, temperatures, supplies likewise, by what they are called
    p_factor   the pMOS width that puts the threshold at mid-rail, over the one given; None: no width does, or none is
               known
    width      what the pMOS's width is called
    proposal   rails that would do; None: not known
    """

    output: Mapping[Kind, Mapping[float, tuple[NDArray, NDArray]]]
    loads: Mapping[float, Vtc]
    corners: Mapping[str, Vtc]
    temperatures: Mapping[float, Vtc]
    supplies: Mapping[float, Vtc]
    p_factor: float | None
    width: str | None
    proposal: Proposal | None = None

    @property
    def nominal(self) -> Vtc:
        return self.loads[0.0]


def look_at(technology: Technology, simulator: Simulator) -> Look:
    """Measure all of it. Raises SimulationError; TechnologyError when a corner is not there."""
    supplies = {factor: technology.changed(rails=scaled(technology.rails, factor)) for factor in SUPPLIES}
    warm = {T_C: technology.changed(temperature_C=T_C) for T_C in TEMPERATURES_C}
    corners = {name: technology.at_corner(name) for name in technology.corners}
    asked = [*corners.values(), *warm.values(), *supplies.values()]
    found = dict(simulator.map(partial(_vtcs, simulator), asked))  # by their places: they finish in any order
    curves_of = iter([found[index][0.0] for index in range(len(asked))])
    by_corner, by_temperature = _paired(corners, curves_of), _paired(warm, curves_of)
    by_supply = _paired(supplies, curves_of)
    output: dict[Kind, dict[float, tuple[NDArray, NDArray]]] = {
        "nmos": _output(technology, "nmos", simulator),
        "pmos": _output(technology, "pmos", simulator),
    }
    on_A = min(max(float(np.abs(i).max()) for _, i in curves.values()) for curves in output.values())
    on_S = on_A / (technology.rails.vdd_V - technology.rails.vss_V)
    loads = _vtcs(simulator, technology, tuple(share * on_S for share in _LOADS))
    return Look(
        output,
        loads,
        by_corner,
        by_temperature,
        by_supply,
        *_centred(technology, simulator),
        propose_rails(technology, simulator),
    )


def _paired(names: Iterable[Name], curves: Iterator[Vtc]) -> dict[Name, Vtc]:
    return {name: next(curves) for name in names}


def _vtcs(simulator: Simulator, technology: Technology, loads_S: Sequence[float] = (0.0,)) -> dict[float, Vtc]:
    circuit, rails = new_circuit(technology), technology.rails
    circuit.V("input", "input", circuit.gnd, 0.0)
    circuit.V("mid", "mid", circuit.gnd, rails.mid_V)
    for k, load_S in enumerate(loads_S):
        circuit.V(f"supply{k}", f"up{k}", circuit.gnd, rails.vdd_V)
        add_inverter(circuit, f"unit{k}", "input", f"out{k}", 1, f"up{k}")
        if load_S:
            circuit.R(f"load{k}", f"out{k}", "mid", 1 / load_S)
    v_in = np.linspace(rails.vss_V, rails.vdd_V, _POINTS)
    saves = tuple(name for k in range(len(loads_S)) for name in (f"v(out{k})", f"i(vsupply{k})"))
    values = simulator.simulate(_deck(text_of(circuit), f".dc {swept('vinput', v_in)}", saves, technology)).values
    return {
        load_S: Vtc(v_in, values[f"v(out{k})"], -values[f"i(vsupply{k})"], rails) for k, load_S in enumerate(loads_S)
    }


def _output(technology: Technology, kind: Kind, simulator: Simulator) -> dict[float, tuple[NDArray, NDArray]]:
    """One finger, source and bulk at its rail, the gate from there to the other rail."""
    rails, circuit = technology.rails, models_only(technology)
    source, drain = (rails.vss_V, rails.vdd_V) if kind == "nmos" else (rails.vdd_V, rails.vss_V)
    gates = np.linspace(source, drain, _GATES + 1)[1:].tolist()
    circuit.V("s", "s", circuit.gnd, source)
    circuit.V("d", "d", circuit.gnd, 0.0)
    for k, gate_V in enumerate(gates):
        circuit.V(f"g{k}", f"g{k}", circuit.gnd, gate_V)
        circuit.V(f"meter{k}", "d", f"d{k}", 0.0)
        geometry = getattr(technology.inverter, kind)
        circuit.raw_spice += transistor(f"t{k}", kind, (f"d{k}", f"g{k}", "s", "s"), geometry, technology)
    v = np.linspace(min(source, drain), max(source, drain), _POINTS)
    saves = tuple(f"i(vmeter{k})" for k in range(len(gates)))
    values = simulator.simulate(_deck(text_of(circuit), f".dc {swept('vd', v)}", saves, technology)).values
    return {gate_V: (v, values[f"i(vmeter{k})"]) for k, gate_V in enumerate(gates)}


def _centred(technology: Technology, simulator: Simulator) -> tuple[float | None, str | None]:
    """Inverters with their outputs at their inputs stand where they switch: one for each width, in one run."""
    geometry, rails = technology.inverter.pmos, technology.rails
    width = next((name for name in geometry if name.lower().startswith("w")), None)
    if width is None:
        return None, None
    circuit = models_only(technology)
    circuit.V(VDD, VDD, circuit.gnd, rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, rails.vss_V)
    unit = technology.inverter
    for k, factor in enumerate(_FACTORS):
        wider = geometry | {width: float(factor) * geometry[width]}
        pair: dict[Kind, tuple[Geometry, str]] = {"nmos": (unit.nmos, VSS), "pmos": (wider, VDD)}
        for kind, (own, rail) in pair.items():
            nodes = (f"x{k}", f"x{k}", rail, rail)
            circuit.raw_spice += transistor(f"{kind[0]}{k}", kind, nodes, own, technology)
    saves = tuple(f"v(x{k})" for k in range(len(_FACTORS)))
    try:
        values = simulator.simulate(_deck(text_of(circuit), ".op", saves, technology)).values
    except SimulationError as error:  # a width that the library has no model for
        if error.folder is not None:
            shutil.rmtree(error.folder, ignore_errors=True)
        return None, width
    at_V = np.array([values[name][0] for name in saves])
    above = at_V > rails.mid_V
    if above.all() or not above.any():
        return None, width
    k = int(np.argmax(above))  # the first that is wide enough
    share = (rails.mid_V - at_V[k - 1]) / (at_V[k] - at_V[k - 1])
    return float(_FACTORS[k - 1] * (_FACTORS[k] / _FACTORS[k - 1]) ** share), width


def _deck(circuit: str, analysis: str, saves: tuple[str, ...], technology: Technology) -> Deck:
    points = 1 if analysis == ".op" else _POINTS
    return Deck(circuit, analysis, saves, points, temperature_C=technology.temperature_C)
