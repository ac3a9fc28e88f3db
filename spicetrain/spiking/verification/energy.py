"""Energy of one image in ngspice, by supply: what each gives over all its clock steps, in joules.

vdd, vss, rest   the rails and the rest supply
threshold        both supplies of the threshold inverters, all layers
rows             `1r` with ideal inputs: the sources of the first layer's rows, from the membranes in ngspice and the
                 conductances; exact, also in the reduced and the mesh form, in which these rows are not there, but for
                 what charges their wires; at levels between rest and a rail (encoder `direct`) likewise, without what
                 converters would take
cells            reduced `1t1r`, in which the cells are measured currents from nowhere: what they take from vdd and vss.
                 In the flat form the rails give it, and it is in theirs

A supply that takes energy back counts with its sign. Not inside: whatever is ideal, that is the latches, the gates of
the reset transistors and of the row drivers, and ideal word lines; in a reduced `1t1r` there are no word-line drivers
either. The leak's gate draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.mesh import Mesh, feeds_of
from spicetrain.array.mesh_ports import ports_of
from spicetrain.array.wires import Segments, row_voltages, row_wires
from spicetrain.netlists.cells import VDD, VSS, Form
from spicetrain.spiking.circuit import Clock, SpikingCircuit
from spicetrain.spiking.inputs import Inputs, row_volts
from spicetrain.spiking.netlists.cells import REST, threshold_supplies, word_supplies
from spicetrain.spiking.verification.netlist import Netlist, Sides

Array = NDArray[np.float64]
Spikes = NDArray[np.bool_]


def energy_by_supply(
    values: Mapping[str, NDArray], netlist: Netlist, rows: Mapping[int, Inputs], form: Form
) -> dict[str, float]:
    """values: as ngspice gave them for a deck of the netlist; rows: of every layer in it its inputs, [steps, rows]."""
    circuit, time_s = netlist.circuit, values["time"]
    given = {
        supply: sum(-volts * _integral(values[f"i(v{node})"], time_s) for node, volts in nodes.items())
        for supply, nodes in _supplies(netlist, rows).items()
    }
    membranes = {
        layer: np.stack([values[f"v(m{layer}_{j})"] for j in range(netlist.network.layers[layer + 1])], 1)
        for layer in rows
    }
    if 0 in rows and circuit.array == "1r" and circuit.inputs == "ideal":
        segments, first = netlist.technology.segments, netlist.network.crossbars[0]
        if segments is None:
            given["rows"] = row_energy(time_s, membranes[0], rows[0], first, circuit)
        else:
            given["rows"] = wired_row_energy(time_s, membranes[0], rows[0], first, circuit, segments)
    if circuit.array == "1t1r" and form == "reduced":
        given["cells"] = sum(
            cell_energy(time_s, v, rows[layer].astype(np.bool_), layer, netlist.sides[layer], circuit, netlist.domain)
            for layer, v in membranes.items()
        )
    return given


def row_energy(time_s: Array, membranes_V: Array, inputs: Inputs, crossbar: Crossbar, circuit: SpikingCircuit) -> float:
    """Of the ideal sources at the rows of a `1r`'s first layer; membranes_V [points, columns], inputs [steps, rows].
    With y from rest to a row's rail, x its input, e the rows' `enable`: a device takes g v (v - membrane) for
    v = rest + e x y."""
    enable, step = _enable(time_s, circuit.clock), _step(time_s, circuit.clock)
    rest_V, power, x = circuit.rest_V, np.zeros(len(time_s)), inputs.astype(np.float64)
    of_x, of_square, every = (crossbar.active_sums(one) for one in (x, x**2, np.ones(crossbar.rows)))
    rails_V = circuit.rails.vdd_V, circuit.rails.vss_V
    for level_V, linear, square, total in zip(rails_V, of_x, of_square, every, strict=True):
        driven_V = (enable * (level_V - rest_V))[:, None]
        power += (rest_V * total * (rest_V - membranes_V)).sum(1)
        power += (driven_V * _of_step(linear, step) * (2 * rest_V - membranes_V)).sum(1)
        power += (driven_V**2 * _of_step(square, step)).sum(1)
    return _integral(power, time_s)


def wired_row_energy(
    time_s: Array, membranes_V: Array, inputs: Inputs, crossbar: Crossbar, circuit: SpikingCircuit, segments: Segments
) -> float:
    """The same behind wires. With y the rows from rest when a step drives them, B and Y of `mesh_ports` and u the
    membranes from rest, the sources deliver  A y e - B u  with e the rows' `enable`, and all of them together what the
    columns take."""
    enable, step, rest_V = _enable(time_s, circuit.clock), _step(time_s, circuit.clock), circuit.rest_V
    ports, mesh = ports_of(crossbar, segments), Mesh(row_wires(crossbar), segments)
    high_V, low_V = circuit.rails.vdd_V, circuit.rails.vss_V
    v_pos, v_neg = (row_volts(inputs, rail, rest_V) for rail in (high_V, low_V))
    y = row_voltages(v_pos, v_neg, high_V, low_V) - rest_V
    at, short_A = mesh.nodes(y), y @ ports.B
    fed = (feeds_of(segments, crossbar.columns) * (y[:, :, None] - at.row_nodes)).sum(2)
    # What y'A y is with the columns held at rest, where the mesh has them open at `sensed`.
    squares = (y * fed).sum(1) + (at.sensed * short_A).sum(1)
    u = membranes_V - rest_V
    driven, into = _of_step(squares[:, None], step)[:, 0], _of_step(short_A, step)
    power = enable * (enable * driven - (into * u).sum(1))
    return _integral(power + rest_V * (enable[:, None] * into - u @ ports.Y).sum(1), time_s)


def cell_energy(
    time_s: Array,
    membranes_V: Array,
    spikes: Spikes,
    layer: int,
    sides: Sides,
    circuit: SpikingCircuit,
    domain: tuple[float, float] | None = None,
) -> float:
    """Of vdd and vss through the cells of a layer of a `1t1r`: membranes_V [points, columns], spikes [steps, rows];
    beyond `domain` their polynomials are tangents, as in the deck (CellCoefficients)."""
    enable, step = _enable(time_s, circuit.clock), _step(time_s, circuit.clock) - layer
    active = np.hstack([spikes, np.ones((len(spikes), 1), bool)]).astype(float)
    u, power = membranes_V - circuit.rest_V, np.zeros(len(time_s))
    held = u if domain is None else np.clip(u, *domain)
    for level_V, cells in zip((circuit.rails.vdd_V, circuit.rails.vss_V), sides, strict=True):
        current, slope = np.zeros_like(u), np.zeros_like(u)
        for a in cells.change[::-1]:  # Horner's scheme, and that of the derivative
            slope = slope * held + current
            current = current * held + _of_step(active @ a, step)
        current += (u - held) * slope
        volts = np.moveaxis(cells.curves.volts(u)[0], -1, 0)
        current += sum(_of_step(active @ share, step) * one for share, one in zip(cells.shares, volts, strict=True))
        power += level_V * enable * current.sum(1)
    return _integral(power, time_s)


def _supplies(netlist: Netlist, layers: Iterable[int]) -> dict[str, dict[str, float]]:
    """Volts of each supply's nodes, in a deck of these layers."""
    rails, half = netlist.circuit.rails, netlist.circuit.neuron.half_supply_V
    thresholds = {
        node: netlist.network.thresholds_V[layer] + sign * half
        for layer in layers
        for node, sign in zip(threshold_supplies(layer), (1, -1), strict=True)
    }
    words = word_supplies(netlist.circuit)
    return {
        "vdd": {VDD: rails.vdd_V},
        "vss": {VSS: rails.vss_V},
        "rest": {REST: netlist.circuit.rest_V},
        "threshold": thresholds,
    } | ({"word lines": words} if words else {})


def _step(time_s: Array, clock: Clock) -> NDArray[np.int64]:
    return np.floor(time_s / clock.step_s).astype(np.int64)


def _enable(time_s: Array, clock: Clock) -> Array:
    """0..1: how far the rows are driven."""
    phase_s = time_s - _step(time_s, clock) * clock.step_s
    up, down = phase_s / clock.edge_s, (phase_s - clock.integrate_s) / clock.edge_s
    return np.clip(up, 0, 1) - np.clip(down, 0, 1)


def _of_step(by_step: Array, step: NDArray[np.int64]) -> Array:
    """by_step [steps, columns] at every point, [points, columns]; 0 where the layer is not active."""
    active = (step >= 0) & (step < len(by_step))
    return np.where(active[:, None], by_step[np.clip(step, 0, len(by_step) - 1)], 0.0)


def _integral(values: Array, time_s: Array) -> float:
    return float(np.trapezoid(values, time_s))
