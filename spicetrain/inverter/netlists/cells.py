"""The inverter system's cells: rails, unit inverter, resistor to mid-rail."""

from __future__ import annotations

from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit, SubCircuit

from spicetrain.netlists.cells import VDD, VSS, models_only, transistor
from spicetrain.technology import Technology

INVERTER, MISMATCHED, MID = "inverter", "mismatched", "mid"


Of = tuple[NDArray, NDArray]
"""Mismatch of one inverter: gate shifts and current factors of its nMOS and pMOS, [2] each; see InverterMismatch."""


def new_circuit(technology: Technology, *, mismatched: bool = False) -> Circuit:
    """A circuit with the models, both rails and the unit inverter of `technology`; `mismatched`: that with mismatch."""
    circuit = models_only(technology)
    circuit.V(VDD, VDD, circuit.gnd, technology.rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, technology.rails.vss_V)
    circuit.subcircuit(mismatched_inverter(technology) if mismatched else inverter(technology))
    return circuit


def inverter(technology: Technology) -> SubCircuit:
    """CMOS inverter of `size` unit fingers; ports input, output, vdd, vss."""
    unit = technology.inverter
    cell = SubCircuit(INVERTER, "input", "output", VDD, VSS, size=1)
    cell.raw_spice += transistor("n", "nmos", ("output", "input", VSS, VSS), unit.nmos, technology, "{size}")
    cell.raw_spice += transistor("p", "pmos", ("output", "input", VDD, VDD), unit.pmos, technology, "{size}")
    return cell


def mismatched_inverter(technology: Technology) -> SubCircuit:
    """The same, each transistor with a source of `shift` volts in front of its gate and `factor` times its current.

    Not by delvto: of 20 mV that makes 20.8 (nMOS) and 21.2 (pMOS) here, and only BSIM knows it. A source is exact, and
    works for transistors that are subcircuits, too.
    """
    unit, defaults = technology.inverter, {"shift_n": 0, "shift_p": 0, "factor_n": 1, "factor_p": 1}
    cell = SubCircuit(MISMATCHED, "input", "output", VDD, VSS, size=1, **defaults)
    for kind, geometry, rail in (("n", unit.nmos, VSS), ("p", unit.pmos, VDD)):
        cell.raw_spice += f"Vgate_{kind} input gate_{kind} {{shift_{kind}}}\n"
        nodes, fingers = ("output", f"gate_{kind}", rail, rail), f"{{size*factor_{kind}}}"
        cell.raw_spice += transistor(kind, "nmos" if kind == "n" else "pmos", nodes, geometry, technology, fingers)
    return cell


def add_inverter(
    circuit: Circuit, name: str, v_in: str, v_out: str, size: float, supply: str = VDD, mismatch: Of | None = None
) -> None:
    """An inverter of `size` fingers from node `v_in` to node `v_out`; `supply` is its upper rail. With a mismatch the
    circuit must have the cell `mismatched_inverter`."""
    if mismatch is None:
        circuit.X(name, INVERTER, v_in, v_out, supply, VSS, size=float(size))
        return
    (shift_n, shift_p), (factor_n, factor_p) = mismatch
    circuit.X(
        name, MISMATCHED, v_in, v_out, supply, VSS, size=float(size),
        shift_n=float(shift_n), shift_p=float(shift_p), factor_n=float(factor_n), factor_p=float(factor_p),
    )  # fmt: skip


def add_ground_resistor(circuit: Circuit, node: str, ground_S: float) -> None:
    """RIM's resistor from an inverter output to mid-rail; nothing when `ground_S` is 0."""
    if ground_S:
        circuit.R(f"g_{node}", node, MID, 1 / ground_S)
