"""The whole inverter-based memristive network, every device of it (flat) or with its first crossbar reduced, or with
wires solved beforehand (mesh).

Nodes: x0_p, x0_n input rows, by the input's number, wherever their wires lie; c0_3 column 3 of crossbar 0; n0_3, p0_3
behind its first and second inverter; o_2 output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.mesh_columns import mesh_columns
from spicetrain.array.mesh_in_time import one_pole
from spicetrain.array.netlist import Pair, add_crossbar, add_open_column, add_sinh_column
from spicetrain.array.open_column import open_column_voltage, sinh_sums
from spicetrain.array.wires import SegmentFarads
from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.cells import MID, Of, add_ground_resistor, add_inverter, new_circuit
from spicetrain.inverter.netlists.start import Start, add_start
from spicetrain.inverter.network import Network, encode
from spicetrain.netlists.cells import VDD, VSS, Form, text_of
from spicetrain.netlists.forms import form_of
from spicetrain.netlists.index_source import add_index, add_lookup, sweep
from spicetrain.spice.deck import Deck
from spicetrain.technology import Technology

# Couplings from which on KLU is taken where there is one: of 100-50, ngspice 46 is then 3 to 5 times as fast as with
# Sparse, of 200-100 12 times. Both eliminate 2 n m^2, but Sparse reaches for every number in memory.
_MANY = 10_000

Drive = Callable[[Circuit, str, NDArray], None]
"""Adds to a circuit the source that holds a node at voltages [samples], one after the other."""


def network_deck(
    network: Network,
    technology: Technology,
    inputs: NDArray,
    form: Form,
    *,
    hidden: bool = False,
    mismatch: Sequence[InverterMismatch] | None = None,
    start: Start | None = None,
) -> Deck:
    """A deck that sweeps over `inputs` [samples, rows] (0..1) and saves the outputs, with `hidden` all inner voltages;
    `mismatch` of the inverters behind every crossbar; `start`: where Newton starts, see `add_start`.

    reduced: the first crossbar as what it is when ideal sources hold its rows, exactly. A column of ohmic devices is
    one source behind one resistor (Thevenin); of (g / b) sinh(b v), one current of two sums over its rows; of any other
    law, a source at the voltage where it floats. mesh: a column of the first crossbar is a source at the voltage where
    the exact mesh of its wires lets it float. flat: every device, and every segment of wires.

    ConfigurationError when the technology's wires do not allow the form; SimulationError when a mesh is not solved.
    """
    circuit = new_circuit(technology, mismatched=mismatch is not None)
    add_index(circuit)
    add_network(circuit, network, technology, inputs, form, add_lookup, mismatch)
    if start is not None:
        add_start(circuit, start)
    saves = tuple(f"v({node})" for node in saved_nodes(network, hidden=hidden))
    return Deck(
        text_of(circuit),
        sweep(len(inputs)),
        saves,
        points=len(inputs),
        large=is_large(network, technology, form),
        temperature_C=technology.temperature_C,
    )


def add_network(
    circuit: Circuit,
    network: Network,
    technology: Technology,
    inputs: NDArray,
    form: Form,
    drive: Drive,
    mismatch: Sequence[InverterMismatch] | None = None,
    *,
    in_time: bool = False,
    held: bool = False,
) -> None:
    """The network with `drive` as its sources: the rows' (flat), or the first columns' (reduced, mesh). in_time: with
    what wires have to ground, in a mesh's first crossbar as `one_pole`; and sources of their own for its bias rows.
    held: mid-rail is held from outside."""
    form = form_of(technology, form)
    farads = technology.wires.farads if in_time and technology.wires is not None else None
    if network.ground_S and not held:
        circuit.V(MID, MID, circuit.gnd, technology.rails.mid_V)
    v_pos, v_neg = encode(inputs, network.encoding, technology.rails)
    if form == "reduced":
        _add_reduced_first(circuit, network.crossbars[0], technology, v_pos, v_neg, drive)
    else:
        order, first = network.row_order(technology.segments), network.crossbars[0]
        pairs = np.arange(first.rows) if order is None else order
        laid_out = first.in_order(pairs), technology, v_pos[:, pairs], v_neg[:, pairs], drive
        if form == "mesh":
            _add_solved_first(circuit, *laid_out, farads)
        else:
            bias = _bias_sources(circuit, technology) if in_time else (VDD, VSS)
            _add_flat_first(circuit, *laid_out, [(f"x{i}_p", f"x{i}_n") for i in pairs], bias, farads)
    for layer, crossbar in enumerate(network.crossbars[1:], start=1):
        _add_inverter_pairs(circuit, layer - 1, network, None if mismatch is None else mismatch[layer - 1])
        rows = [(f"n{layer - 1}_{i}", f"p{layer - 1}_{i}") for i in range(crossbar.rows)]
        add_crossbar(
            circuit, layer, crossbar, rows, (VDD, VSS), technology.memristor, technology.segments, farads=farads
        )
    last = len(network.crossbars) - 1
    for j, (size,) in enumerate(network.sizes[last]):
        of = _of(None if mismatch is None else mismatch[last], 0, j)
        add_inverter(circuit, f"o_{j}", f"c{last}_{j}", f"o_{j}", size, mismatch=of)
        add_ground_resistor(circuit, f"o_{j}", network.ground_S)


def saved_nodes(network: Network, *, hidden: bool) -> list[str]:
    """The nodes a deck saves: outputs, then with `hidden` the columns and both inverter outputs, layer by layer."""
    nodes = [f"o_{j}" for j in range(network.layers[-1])]
    if hidden:
        last = len(network.crossbars) - 1
        for layer, crossbar in enumerate(network.crossbars):
            kinds = "c" if layer == last else "cnp"
            nodes += [f"{kind}{layer}_{j}" for kind in kinds for j in range(crossbar.columns)]
    return nodes


def is_large(network: Network, technology: Technology, form: Form) -> bool:
    """Whether a deck is to be solved with KLU, where ngspice has it."""
    return form == "flat" or technology.segments is not None or couplings(network) >= _MANY


def couplings(network: Network) -> int:
    """Devices behind inverters: what is left of the crossbars in a reduced netlist."""
    return sum(2 * crossbar.rows * crossbar.columns for crossbar in network.crossbars[1:])


def inverter_outputs(layers: Sequence[int]) -> list[str]:
    """The nodes behind all inverters of a network of these layers, without the columns."""
    hidden = [f"{kind}{i}_{j}" for i, columns in enumerate(layers[1:-1]) for kind in "np" for j in range(columns)]
    return hidden + [f"o_{j}" for j in range(layers[-1])]


def _add_reduced_first(
    circuit: Circuit, crossbar: Crossbar, technology: Technology, v_pos: NDArray, v_neg: NDArray, drive: Drive
) -> None:
    rails, device, conductances = technology.rails, technology.memristor, crossbar.column_sum
    if b_per_V := device.sinh_per_V:
        A, B = sinh_sums(crossbar, v_pos, v_neg, rails, b_per_V)
        for j, g in enumerate(conductances.tolist()):
            drive(circuit, f"a_{j}", A[:, j] / g)
            drive(circuit, f"b_{j}", B[:, j] / g)
            add_sinh_column(circuit, (f"a_{j}", f"b_{j}"), f"c0_{j}", g, b_per_V, rails.mid_V)
        return
    _add_floating(circuit, conductances, open_column_voltage(crossbar, v_pos, v_neg, rails, device), drive)


def _add_solved_first(
    circuit: Circuit,
    crossbar: Crossbar,
    technology: Technology,
    v_pos: NDArray,
    v_neg: NDArray,
    drive: Drive,
    farads: SegmentFarads | None,
) -> None:
    segments = technology.segments
    assert segments is not None  # or `form_of` refuses
    floating_V = mesh_columns(crossbar, v_pos, v_neg, technology.rails, technology.memristor, segments)
    if farads is None:
        _add_floating(circuit, crossbar.column_sum, floating_V, drive)
        return
    of_columns = one_pole(crossbar, segments, farads)
    _add_floating(circuit, of_columns.source_S, floating_V, drive)
    for j, farad in enumerate(of_columns.farads.tolist()):
        if farad:
            circuit.C(f"u0_{j}", f"c0_{j}", circuit.gnd, farad)


def _bias_sources(circuit: Circuit, technology: Technology) -> Pair:
    """Nodes at the rails' voltages that the rails do not feed."""
    nodes = "bias_up", "bias_low"
    for node, v in zip(nodes, (technology.rails.vdd_V, technology.rails.vss_V), strict=True):
        circuit.V(node, node, circuit.gnd, v)
    return nodes


def _add_floating(circuit: Circuit, conductances: NDArray, floating_V: NDArray, drive: Drive) -> None:
    """Columns that float at voltages [samples, columns], behind conductances, for gates leak some picoamperes."""
    for j, g in enumerate(conductances):
        drive(circuit, f"t_{j}", floating_V[:, j])
        add_open_column(circuit, f"t_{j}", f"c0_{j}", g)


def _add_flat_first(
    circuit: Circuit,
    crossbar: Crossbar,
    technology: Technology,
    v_pos: NDArray,
    v_neg: NDArray,
    drive: Drive,
    rows: Sequence[Pair],
    bias: Pair,
    farads: SegmentFarads | None,
) -> None:
    """`rows`: the nodes of the pairs, in the order in which their wires lie."""
    for i, (pos, neg) in enumerate(rows):
        drive(circuit, pos, v_pos[:, i])
        drive(circuit, neg, v_neg[:, i])
    add_crossbar(circuit, 0, crossbar, rows, bias, technology.memristor, technology.segments, farads=farads)


def _of(mismatch: InverterMismatch | None, inverter: int, column: int) -> Of | None:
    if mismatch is None:
        return None
    return mismatch.shift[:, inverter, column], mismatch.factor[:, inverter, column]


def _add_inverter_pairs(circuit: Circuit, layer: int, network: Network, mismatch: InverterMismatch | None) -> None:
    for j, (first, second) in enumerate(network.sizes[layer]):
        for k, (v_in, v_out, size) in enumerate((("c", "n", first), ("n", "p", second))):
            name, of = f"{v_out}{layer}_{j}", _of(mismatch, k, j)
            add_inverter(circuit, name, f"{v_in}{layer}_{j}", name, size, mismatch=of)
        for kind in "np":
            add_ground_resistor(circuit, f"{kind}{layer}_{j}", network.ground_S)
