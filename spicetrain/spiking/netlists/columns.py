"""The columns of a 1t1r array in closed form: all cells of a column are one current and one charge.

With u the membrane from rest, and the sum over the n row pairs that spike (the others are silent):

    i(u) = sum_m volts_m(u) sum shares[m] + sum_k u^k (sum spiking[k] + silent pairs * silent[k])       into the column
    q(u) = u pairs silent_F + n (u spiking_F - on_C)                   held at the column

q changes when word lines move: what they couple, and the channel that stands at the column while a cell is on. When
they fall, n (u off_F + off_C) of it comes back to the column; the rest leaves into the devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.circuit import Clock, SpikingCircuit
from spicetrain.spiking.netlists.cells import ENABLE, add_pulses, add_pwl

# Node voltages: microamperes, so that ngspice's vntol is far below any of them; a charge is one on a femtofarad.
_MICRO, _FEMTO = 1e-6, 1e-15


@dataclass(frozen=True)
class CellCoefficients:
    """The cells of a 1t1r layer, both cells of a row pair together; powers k = 0 .. of u.

    curves    of the cells of both sides, their volts_m one after another; none: a pair has its polynomial alone
    shares    [M, rows + 1, columns], siemens, of a pair that spikes; last: the bias pair
    spiking   [K + 1, rows + 1, columns], A / V^k: current into the column from a pair that spikes beyond its curves'
    silent    [K + 1], A / V^k: the same of a pair that does not
    domain     lowest and highest u up to which the currents hold; a membrane beyond goes along the tangent there, as in
              the model, because powers would run away
    late_s    by how much later than the word lines rise the currents begin, and ceases_s  by how much earlier than they
              fall the currents end
    silent_F, on_C, spiking_F, off_C, off_F   farads and coulombs of a pair, see above
    """

    spiking: NDArray[np.float64]
    silent: NDArray[np.float64]
    domain: tuple[float, float] | None = None
    late_s: float = 0.0
    ceases_s: float = 0.0
    silent_F: float = 0.0
    on_C: float = 0.0
    spiking_F: float = 0.0
    off_C: float = 0.0
    off_F: float = 0.0
    curves: tuple[CellCurves, ...] = ()
    shares: NDArray[np.float64] | None = None

    def drives(self) -> list[tuple[str, NDArray[np.float64], float]]:
        """(name, [rows + 1, columns] what a pair gives more when it spikes, what a column has when none does) of each
        power, microamperes / V^k, and of each share, microsiemens."""
        powers = [(f"a{k}", more, silent) for k, more, silent in self.powers()]
        return powers + [(f"h{m}", share / _MICRO, 0.0) for m, share in enumerate(self._shares)]

    def nodes(self, layer: int) -> dict[str, list[str]]:
        """Of each drive, the nodes that its columns take it from: one for all where it is the same in all (the powers
        of a nominal array)."""
        return {
            name: [f"{name}_{layer}_{'all' if (more == more[:, :1]).all() else j}" for j in range(len(more.T))]
            for name, more, _ in self.drives()
        }

    @property
    def _shares(self) -> list[NDArray[np.float64]]:
        return [] if self.shares is None else list(self.shares)

    def powers(self) -> list[tuple[int, NDArray[np.float64], float]]:
        """(k, [rows + 1, columns] what a pair gives more when it spikes, a column's current when none does) for each
        power, microamperes."""
        pairs = self.spiking.shape[1]
        return [
            (k, (spiking - silent) / _MICRO, float(pairs * silent) / _MICRO)
            for k, (spiking, silent) in enumerate(zip(self.spiking, self.silent, strict=True))
        ]


def add_given_columns(
    circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit, inputs: NDArray[np.bool_]
) -> None:
    """Those of a layer whose row pairs spike as they are given, `inputs` [steps, rows], from step `layer` on."""
    clock, nodes = spiking.clock, cells.nodes(layer)
    spikes = np.vstack([np.zeros((layer, cells.spiking.shape[1])), np.hstack([inputs, np.ones((len(inputs), 1))])])
    pairs = spikes.sum(1).tolist()
    add_pulses(circuit, f"pairs{layer}", clock, pairs)
    _add_falls(circuit, f"fallen{layer}", clock, pairs)
    for name, more, silent in cells.drives():
        levels = (silent + spikes @ more).T.tolist()
        for node, of_node in dict(zip(nodes[name], levels, strict=True)).items():
            add_pulses(circuit, node, clock, of_node, silent, cells.late_s, cells.ceases_s)
    _add_column_sources(circuit, layer, cells, spiking)


def add_columns(circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit, steps: int) -> None:
    """Those of a layer whose row pairs the layer before it drives. A row pair spikes in the steps in which its
    k<layer>_<i> is at 1 (add_held_spike; that of the bias pair, the last, does for `steps` steps from step `layer` on),
    and conducts with c<layer>_<i>."""
    ground, clock, pairs, every = circuit.gnd, spiking.clock, cells.spiking.shape[1], [1.0] * (layer + steps)
    held, conducts, falls = (f"{name}{layer}" for name in ("held", "conducts", "falls"))
    add_pulses(circuit, conducts, clock, every, 0.0, cells.late_s, cells.ceases_s)
    _add_falls(circuit, falls, clock, every)
    on, off = (step * clock.step_s - clock.rest_s / 2 for step in (layer, layer + steps))
    corners = [(0.0, 0.0), (on, 0.0), (on + clock.edge_s, 1.0), (off, 1.0), (off + clock.edge_s, 0.0)]
    add_pwl(circuit, f"k{layer}_{pairs - 1}", corners)
    for node, when in ((f"pairs{layer}", ENABLE), (f"fallen{layer}", falls)):
        circuit.B(node, node, ground, voltage_expression=f"v({held})*v({when})")
    sums, nodes = [(held, "k", [1.0] * pairs, 0.0)], cells.nodes(layer)
    for name, more, silent in cells.drives():
        gains_of = dict(zip(nodes[name], more.T.tolist(), strict=True))
        sums += [(node, "c", gains, silent) for node, gains in gains_of.items()]
    lines = [f"Bc{layer}_{i} c{layer}_{i} 0 v=v(k{layer}_{i})*v({conducts})\n" for i in range(pairs)]
    for node, row, gains, silent in sums:
        lines.append(f"R{node} {node} 0 1.0\nI{node} 0 {node} {silent!r}\n")
        lines += [f"G{node}_{i} 0 {node} {row}{layer}_{i} 0 {gain!r}\n" for i, gain in enumerate(gains)]
    circuit.raw_spice += "".join(lines)
    _add_column_sources(circuit, layer, cells, spiking)


def _add_falls(circuit: Circuit, node: str, clock: Clock, levels: Sequence[float]) -> None:
    """A triangle of height levels[k] over the falling edge of step k: between its corners linear, so that ngspice's
    few points in time there add up to its area exactly."""
    corners = [(0.0, 0.0)]
    for k, level in enumerate(levels):
        stop = k * clock.step_s + clock.integrate_s
        if level:
            corners += [(stop, 0.0), (stop + clock.edge_s / 2, level), (stop + clock.edge_s, 0.0)]
    add_pwl(circuit, node, corners)


def _add_column_sources(circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit) -> None:
    ground, (powers, pairs, columns) = circuit.gnd, cells.spiking.shape
    nodes = cells.nodes(layer)
    # Of what the channels hold, the rest that leaves; a triangle of the edge's width has half its area.
    per_s = 2 / spiking.clock.edge_s
    leaving = (cells.spiking_F - cells.off_F) * per_s, -(cells.on_C + cells.off_C) * per_s
    for j in range(columns):
        name = f"{layer}_{j}"
        membrane, u = f"m{name}", f"(v(m{name})-({spiking.rest_V}))"
        current = _add_polynomial(circuit, name, [nodes[f"a{k}"][j] for k in range(powers)], u, cells.domain)
        current += _add_curves(circuit, name, [nodes[f"h{m}"][j] for m in range(len(nodes) - powers)], cells, u)
        circuit.B(f"a{name}", ground, membrane, current_expression=f"{_MICRO}*({current})")
        if cells.silent_F > 0:
            circuit.C(f"cells{name}", membrane, ground, pairs * cells.silent_F)
        if cells.on_C or cells.spiking_F:
            # A charge that stands on a femtofarad in volts; its current is taken from the membrane.
            charge = f"v(pairs{layer})*({cells.spiking_F / _FEMTO!r}*{u}-({cells.on_C / _FEMTO!r}))"
            circuit.B(f"q{name}", f"charge{name}", ground, voltage_expression=charge)
            circuit.C(f"q{name}", f"charge{name}", f"sense{name}", _FEMTO)
            circuit.V(f"sense{name}", f"sense{name}", ground, 0.0)
            circuit.raw_spice += f"Fq{name} {membrane} 0 Vsense{name} 1.0\n"
            lost = f"v(fallen{layer})*({leaving[0]!r}*{u}+({leaving[1]!r}))"
            circuit.B(f"f{name}", membrane, ground, current_expression=lost)


def _add_curves(circuit: Circuit, name: str, drives: Sequence[str], cells: CellCoefficients, u: str) -> str:
    """What the curves add to a column's current, microamperes; each of them is a source of its own, times the node of
    `drives`."""
    volts = [expression for curves in cells.curves for expression in curves.expressions(u)]
    circuit.raw_spice += "".join(f"Bw{m}_{name} w{m}_{name} 0 v={one}\n" for m, one in enumerate(volts))
    return "".join(f"+v({drive})*v(w{m}_{name})" for m, drive in enumerate(drives))


def _add_polynomial(
    circuit: Circuit, name: str, drives: Sequence[str], u: str, domain: tuple[float, float] | None
) -> str:
    """The column's current, microamperes, as an expression, its coefficients the nodes of `drives`; every step of
    Horner's scheme, and of that of the slope, is a source of its own: ngspice derives an expression by each voltage in
    it, term by term, and takes a quarter longer for a whole network when each polynomial is one expression."""
    held = u if domain is None else f"min(max({u},{domain[0]!r}),{domain[1]!r})"
    value, slope, lines = f"v({drives[-1]})", "0", [f"Bu{name} u{name} 0 v={held}\n"]
    for k in range(len(drives) - 2, -1, -1):
        p, d = f"p{k}_{name}", f"d{k}_{name}"
        lines.append(f"B{d} {d} 0 v={value}+v(u{name})*{slope}\n" * (domain is not None))
        lines.append(f"B{p} {p} 0 v=v({drives[k]})+v(u{name})*{value}\n")
        value, slope = f"v({p})", f"v({d})"
    circuit.raw_spice += "".join(lines)
    return value if domain is None else f"{value}+({u}-v(u{name}))*{slope}"
