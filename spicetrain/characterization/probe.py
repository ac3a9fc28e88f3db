"""What one ngspice run tells of a technology: what each of its transistors conducts alone, how its inverter inverts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.characterization.sweep import swept
from spicetrain.netlists.cells import VDD, VSS, Kind, models_only, text_of, transistor
from spicetrain.rails import Rails
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

POINTS = 101
FINGERS = (1.0, 2.0, 2.5)  # sizes that are trained are no whole numbers
AddInverter = Callable[[Circuit, str, str], None]
"""Puts the unit inverter into a circuit that has its rails and models, from one node to another."""
SIZES = ("w", "l")  # what every model of an M element calls them


@dataclass(frozen=True)
class Transistor:
    """A transistor: `where` it stands in the TOML file, its kind, the instance parameters of one finger."""

    where: str
    kind: Kind
    geometry: Mapping[str, float]


@dataclass(frozen=True)
class Conduction:
    """What `transistor` conducts alone between the rails, in its own sense, in amperes.

    open_A   of FINGERS of it, the gate at the rail that should open it
    twin_A   of one finger once more, the gate open
    off_A    of one finger, the gate at the other rail
    size_m   by name, the sizes that ngspice works with (M elements only), in metres
    """

    transistor: Transistor
    open_A: tuple[float, ...]
    twin_A: float
    off_A: float
    size_m: Mapping[str, float]

    @property
    def on_A(self) -> float:
        """Of one finger."""
        return self.open_A[0]


@dataclass(frozen=True)
class Probe:
    """v_in_V, v_out_V [POINTS] of the unit inverter without a load; None where only transistors were asked for."""

    transistors: tuple[Conduction, ...]
    v_in_V: NDArray
    v_out_V: NDArray | None


def probe(
    technology: Technology,
    rails: Rails,
    transistors: Sequence[Transistor],
    simulator: Simulator,
    add_inverter: AddInverter | None = None,
) -> Probe:
    """Sweep all gates from rail to rail: drain and source of every transistor at the rails, bulk at the source.

    Raises SimulationError.
    """
    v_in = np.linspace(rails.vss_V, rails.vdd_V, POINTS)
    values = simulator.simulate(_deck(technology, rails, transistors, v_in, add_inverter)).values
    found = tuple(_conduction(one, k, values) for k, one in enumerate(transistors))
    return Probe(found, v_in, None if add_inverter is None else values["v(out)"])


def _deck(
    technology: Technology,
    rails: Rails,
    transistors: Sequence[Transistor],
    v_in: NDArray,
    add_inverter: AddInverter | None,
) -> Deck:
    circuit = models_only(technology)
    circuit.V(VDD, VDD, circuit.gnd, rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, rails.vss_V)
    circuit.V("gate", "gate", circuit.gnd, 0.0)
    saves = []
    for k, one in enumerate(transistors):
        source, drain_V = (VSS, rails.vdd_V) if one.kind == "nmos" else (VDD, rails.vss_V)
        for j, fingers in enumerate((*FINGERS, 1.0)):
            drain = f"d{k}_{j}"
            circuit.V(drain, drain, circuit.gnd, drain_V)
            nodes = (drain, "gate", source, source)
            circuit.raw_spice += transistor(drain, one.kind, nodes, one.geometry, technology, fingers)
            saves.append(f"i(v{drain})")
        if technology.transistors.element == "M":
            saves += [f"@md{k}_0[{key.lower()}]" for key in one.geometry if key.lower() in SIZES]
    if add_inverter is not None:
        add_inverter(circuit, "gate", "out")
        saves.append("v(out)")
    analysis, T_C = f".dc {swept('vgate', v_in)}", technology.temperature_C
    return Deck(text_of(circuit), analysis, tuple(saves), points=len(v_in), temperature_C=T_C)


def _conduction(transistor: Transistor, k: int, values: Mapping[str, NDArray]) -> Conduction:
    # A source's current flows into its positive terminal, so what it delivers to the drain is -i.
    sense, on, off = (-1, -1, 0) if transistor.kind == "nmos" else (1, 0, -1)
    ends = [sense * values[f"i(vd{k}_{j})"][[0, -1]] for j in range(len(FINGERS) + 1)]
    size_m = {key: float(values[name][0]) for key in SIZES if (name := f"@md{k}_0[{key}]") in values}
    *opened, twin = (float(pair[on]) for pair in ends)
    return Conduction(transistor, tuple(opened), twin, float(ends[0][off]), size_m)
