"""The columns of a 1t1r array as polynomials: all cells of a column are one current and one charge.

With u the membrane from rest, and the sums over the row pairs that spike (the others are silent):

    i(u) = sum_k u^k (sum spiking[k] + silent pairs * silent[k])       into the column
    q(u) = u pairs silent_F + sum_k u^k sum charge[k]                  held at the column

q changes when word lines move: what they couple, and the channel that stands at the column while a cell is on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.netlists.spiking_cells import add_pulses
from spicetrain.spiking.circuit import SpikingCircuit

# Sums are node voltages: microamperes and femtocoulombs, so that ngspice's vntol is far below any of them.
_MICRO, _FEMTO = 1e-6, 1e-15


@dataclass(frozen=True)
class CellCoefficients:
    """The cells of a 1t1r layer, by powers k = 0 .. of V - rest_V; both cells of a row pair together.

    spiking   [K + 1, rows + 1, columns], A / V^k: current into the column from a pair that spikes; last: the bias pair
    silent    [K + 1], A / V^k: the same of a pair that does not
    silent_F  farads of a silent pair at the column
    charge    [M, rows + 1, columns], C / V^k: what a spiking pair holds at the column more than a silent one
    reach     lowest and highest u up to which the currents hold; a membrane beyond goes along the tangent there, as in
              the model, because powers would run away
    """

    spiking: NDArray[np.float64]
    silent: NDArray[np.float64]
    silent_F: float = 0.0
    charge: NDArray[np.float64] | None = None
    reach: tuple[float, float] | None = None

    def sums(self) -> list[tuple[str, NDArray[np.float64], float]]:
        """(letter and power, [rows + 1, columns] of a spiking pair, the sum when all are silent) of each sum."""
        pairs = self.spiking.shape[1]
        currents = [
            (f"a{k}", (spiking - silent) / _MICRO, float(pairs * silent) / _MICRO)
            for k, (spiking, silent) in enumerate(zip(self.spiking, self.silent, strict=True))
        ]
        charges = () if self.charge is None else self.charge
        return [*currents, *((f"z{k}", charge / _FEMTO, 0.0) for k, charge in enumerate(charges))]


def add_input_columns(
    circuit: Circuit, cells: CellCoefficients, spiking: SpikingCircuit, inputs: NDArray[np.bool_]
) -> None:
    """Those of the first layer, `inputs` [steps, rows] on ideal word lines."""
    spikes = np.hstack([inputs, np.ones((len(inputs), 1))])
    for name, spiking_pair, silent_sum in cells.sums():
        levels = silent_sum + spikes @ spiking_pair
        for j in range(levels.shape[1]):
            add_pulses(circuit, f"{name}_0_{j}", spiking.clock, levels[:, j].tolist(), silent_sum)
    _add_column_sources(circuit, 0, cells, spiking)


def add_columns(circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit) -> None:
    """Those of a later layer; its row pairs spike with the nodes w<layer>_<i> (0..1)."""
    lines: list[str] = []
    for name, spiking_pair, silent_sum in cells.sums():
        for j in range(spiking_pair.shape[1]):
            node = f"{name}_{layer}_{j}"
            circuit.R(node, node, circuit.gnd, 1.0)
            circuit.I(node, circuit.gnd, node, silent_sum)
            for i, gain in enumerate(spiking_pair[:, j].tolist()):
                lines.append(f"G{node}_{i} 0 {node} w{layer}_{i} 0 {gain!r}\n")
    circuit.raw_spice += "".join(lines)
    _add_column_sources(circuit, layer, cells, spiking)


def _add_column_sources(circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit) -> None:
    ground, (powers, pairs, columns) = circuit.gnd, cells.spiking.shape
    for j in range(columns):
        name = f"{layer}_{j}"
        membrane, u = f"m{name}", f"(v(m{name})-({spiking.rest_V}))"
        current = _horner("a", powers, name, u)
        if cells.reach is not None:
            low, high = cells.reach
            held = f"v(u{name})"
            circuit.B(f"u{name}", f"u{name}", ground, voltage_expression=f"min(max({u},{low!r}),{high!r})")
            current = f"{_horner('a', powers, name, held)}+({u}-{held})*({_horner_slope('a', powers, name, held)})"
        circuit.B(f"a{name}", ground, membrane, current_expression=f"{_MICRO}*({current})")
        if cells.silent_F > 0:
            circuit.C(f"cells{name}", membrane, ground, pairs * cells.silent_F)
        if cells.charge is not None:
            # A charge that stands on a femtofarad in volts; its current is taken from the membrane.
            charge = _horner("z", len(cells.charge), name, u)
            circuit.B(f"q{name}", f"charge{name}", ground, voltage_expression=charge)
            circuit.C(f"q{name}", f"charge{name}", f"sense{name}", _FEMTO)
            circuit.V(f"sense{name}", f"sense{name}", ground, 0.0)
            circuit.raw_spice += f"Fq{name} {membrane} 0 Vsense{name} 1.0\n"


def _horner_slope(letter: str, powers: int, name: str, u: str) -> str:
    """The derivative of `_horner`'s polynomial."""
    text = "0"
    for k in range(powers - 1, 0, -1):
        text = f"{k}*v({letter}{k}_{name})+{u}*({text})"
    return text


def _horner(letter: str, powers: int, name: str, u: str) -> str:
    text = f"v({letter}{powers - 1}_{name})"
    for k in range(powers - 2, -1, -1):
        text = f"v({letter}{k}_{name})+{u}*({text})"
    return text
