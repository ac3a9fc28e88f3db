"""The columns of a 1t1r array as polynomials: all cells of a column are one current and one charge.

With u the membrane from rest, and the sums over the row pairs that spike (the others are silent):

    i(u) = sum_k u^k (sum spiking[k] + silent pairs * silent[k])       into the column
    q(u) = u pairs silent_F + sum_k u^k sum charge[k]                  held at the column

q changes when word lines move: what they couple, and the channel that stands at the column while a cell is on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.netlists.spiking_cells import add_pulses
from spicetrain.spiking.circuit import SpikingCircuit

_CURRENT, _CHARGE = "a", "z"  # of the sums' names
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
    late_s    by how much later than the word lines rise the currents begin, and ceases_s  by how much earlier than they
              fall the currents end
    """

    spiking: NDArray[np.float64]
    silent: NDArray[np.float64]
    silent_F: float = 0.0
    charge: NDArray[np.float64] | None = None
    reach: tuple[float, float] | None = None
    late_s: float = 0.0
    ceases_s: float = 0.0

    def sums(self) -> list[tuple[str, NDArray[np.float64], float]]:
        """(letter and power, [rows + 1, columns] of a spiking pair, the sum when all are silent) of each sum."""
        pairs = self.spiking.shape[1]
        currents = [
            (f"{_CURRENT}{k}", (spiking - silent) / _MICRO, float(pairs * silent) / _MICRO)
            for k, (spiking, silent) in enumerate(zip(self.spiking, self.silent, strict=True))
        ]
        charges = () if self.charge is None else self.charge
        return [*currents, *((f"{_CHARGE}{k}", charge / _FEMTO, 0.0) for k, charge in enumerate(charges))]

    def delays_s(self, name: str) -> tuple[float, float]:
        """(late, ceases) of the sum of this name: word lines move what they couple at once."""
        return (self.late_s, self.ceases_s) if name.startswith(_CURRENT) else (0.0, 0.0)


def add_input_columns(
    circuit: Circuit, cells: CellCoefficients, spiking: SpikingCircuit, inputs: NDArray[np.bool_]
) -> None:
    """Those of the first layer, `inputs` [steps, rows] on ideal word lines."""
    spikes = np.hstack([inputs, np.ones((len(inputs), 1))])
    for name, spiking_pair, silent_sum in cells.sums():
        levels = silent_sum + spikes @ spiking_pair
        for j, level in enumerate(levels.T.tolist()):
            add_pulses(circuit, f"{name}_0_{j}", spiking.clock, level, silent_sum, *cells.delays_s(name))
    _add_column_sources(circuit, 0, cells, spiking)


def add_columns(
    circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit, bias: Sequence[float]
) -> None:
    """Those of a later layer. Its row pairs spike with w<layer>_<i>, 0..1, in steps that k<layer>_<i> holds
    (add_held_spike), and their cells conduct with c<layer>_<i>; the bias pair in the steps in which `bias` is 1."""
    rows, clock = cells.spiking.shape[1] - 1, spiking.clock
    for row, first in (("w", _CHARGE), ("c", _CURRENT)):
        add_pulses(circuit, f"{row}{layer}_{rows}", clock, bias, 0.0, *cells.delays_s(first))
    conducts = f"conducts{layer}"
    add_pulses(circuit, conducts, clock, [1.0] * len(bias), 0.0, *cells.delays_s(_CURRENT))
    lines = [f"Bc{layer}_{i} c{layer}_{i} 0 v=v(k{layer}_{i})*v({conducts})\n" for i in range(rows)]
    for name, spiking_pair, silent_sum in cells.sums():
        row = "c" if name.startswith(_CURRENT) else "w"
        for j in range(spiking_pair.shape[1]):
            node = f"{name}_{layer}_{j}"
            circuit.R(node, node, circuit.gnd, 1.0)
            circuit.I(node, circuit.gnd, node, silent_sum)
            for i, gain in enumerate(spiking_pair[:, j].tolist()):
                lines.append(f"G{node}_{i} 0 {node} {row}{layer}_{i} 0 {gain!r}\n")
    circuit.raw_spice += "".join(lines)
    _add_column_sources(circuit, layer, cells, spiking)


def _add_column_sources(circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit) -> None:
    ground, (powers, pairs, columns) = circuit.gnd, cells.spiking.shape
    for j in range(columns):
        name = f"{layer}_{j}"
        membrane, u = f"m{name}", f"(v(m{name})-({spiking.rest_V}))"
        current = _add_polynomial(circuit, name, powers, u, cells.reach)
        circuit.B(f"a{name}", ground, membrane, current_expression=f"{_MICRO}*({current})")
        if cells.silent_F > 0:
            circuit.C(f"cells{name}", membrane, ground, pairs * cells.silent_F)
        if cells.charge is not None:
            # A charge that stands on a femtofarad in volts; its current is taken from the membrane.
            charge = "+".join(f"v({_CHARGE}{k}_{name})" + f"*{u}" * k for k in range(len(cells.charge)))
            circuit.B(f"q{name}", f"charge{name}", ground, voltage_expression=charge)
            circuit.C(f"q{name}", f"charge{name}", f"sense{name}", _FEMTO)
            circuit.V(f"sense{name}", f"sense{name}", ground, 0.0)
            circuit.raw_spice += f"Fq{name} {membrane} 0 Vsense{name} 1.0\n"


def _add_polynomial(circuit: Circuit, name: str, powers: int, u: str, reach: tuple[float, float] | None) -> str:
    """The column's current, microamperes, as an expression; every step of Horner's scheme, and of that of the slope, is
    a source of its own. (ngspice derives an expression by each voltage in it, term by term: one expression for the
    whole polynomial takes a quarter longer, of the whole simulation.)"""
    held = u if reach is None else f"min(max({u},{reach[0]!r}),{reach[1]!r})"
    value, slope, lines = f"v({_CURRENT}{powers - 1}_{name})", "0", [f"Bu{name} u{name} 0 v={held}\n"]
    for k in range(powers - 2, -1, -1):
        p, d = f"p{k}_{name}", f"d{k}_{name}"
        lines.append(f"B{d} {d} 0 v={value}+v(u{name})*{slope}\n" * (reach is not None))
        lines.append(f"B{p} {p} 0 v=v({_CURRENT}{k}_{name})+v(u{name})*{value}\n")
        value, slope = f"v({p})", f"v({d})"
    circuit.raw_spice += "".join(lines)
    return value if reach is None else f"{value}+({u}-v(u{name}))*{slope}"
