"""The cells every circuit is made of: rails, inverter, memristor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from PySpice.Spice.Netlist import Circuit, SubCircuit

from spicetrain.technology import Technology

INVERTER = "inverter"
VDD, VSS, MID = "vdd", "vss", "mid"
Kind = Literal["nmos", "pmos"]


def new_circuit(technology: Technology) -> Circuit:
    """A circuit with the models, both rails and the unit inverter of `technology`."""
    circuit = models_only(technology)
    circuit.V(VDD, VDD, circuit.gnd, technology.rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, technology.rails.vss_V)
    circuit.subcircuit(inverter(technology))
    return circuit


def models_only(technology: Technology) -> Circuit:
    """A circuit with nothing but the transistor models of `technology`."""
    circuit = Circuit("spicetrain")
    section = technology.transistors.section
    # As text: the path may hold spaces, and PySpice writes it without quotes.
    circuit.raw_spice += (
        f'.include "{technology.library}"\n' if section is None else f'.lib "{technology.library}" {section}\n'
    )
    return circuit


def transistor(
    name: str,
    kind: Kind,
    nodes: tuple[str, str, str, str],
    geometry: Mapping[str, float],
    technology: Technology,
    fingers: float | str = 1.0,
) -> str:
    """A transistor's line; `nodes` are drain, gate, source, bulk, `geometry` the instance parameters of one finger.

    As text: PySpice's M knows only the parameters of SPICE 3, here any model's own are accepted.
    """
    models = technology.transistors
    words = " ".join(f"{key}={value}" for key, value in geometry.items())
    model = models.nmos if kind == "nmos" else models.pmos
    return f"{models.element}{name} {' '.join(nodes)} {model} {words} {models.multiplicity}={fingers}\n"


def inverter(technology: Technology) -> SubCircuit:
    """CMOS inverter of `size` unit fingers; ports input, output, vdd, vss."""
    unit = technology.inverter
    cell = SubCircuit(INVERTER, "input", "output", VDD, VSS, size=1)
    cell.raw_spice += transistor("n", "nmos", ("output", "input", VSS, VSS), unit.nmos, technology, "{size}")
    cell.raw_spice += transistor("p", "pmos", ("output", "input", VDD, VDD), unit.pmos, technology, "{size}")
    return cell


def add_inverter(circuit: Circuit, name: str, v_in: str, v_out: str, size: float, supply: str = VDD) -> None:
    """An inverter of `size` fingers from node `v_in` to node `v_out`; `supply` is its upper rail."""
    circuit.X(name, INVERTER, v_in, v_out, supply, VSS, size=float(size))


def add_ground_resistor(circuit: Circuit, node: str, ground_S: float) -> None:
    """RIM's resistor from an inverter output to mid-rail; nothing when `ground_S` is 0."""
    if ground_S:
        circuit.R(f"g_{node}", node, MID, 1 / ground_S)


def text_of(circuit: Circuit) -> str:
    """The circuit without PySpice's title line: elements, models, subcircuits."""
    return str(circuit).split("\n", 1)[1]
