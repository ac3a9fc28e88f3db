"""The spiking network in time: one image, all its clock steps, in one .tran, or in one for each layer.

A layer works one step behind the layer before it: layer l (from 0) is driven in the steps l .. l + n - 1 of the clock
for an image of n steps, and the run lasts n + L - 1 steps for L layers. The latch between steps is ideal: nothing of a
layer reaches the layer before it, so that each can be simulated by itself, driven by what was latched there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.netlist import add_open_column
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import VDD, VSS, Form, text_of
from spicetrain.spice.deck import Deck
from spicetrain.spiking.chip import AccessShifts, NeuronShifts, pairs_of
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.inputs import Inputs, row_volts
from spicetrain.spiking.netlists.cells import (
    access_transistor,
    add_held_spike,
    add_ideal_row,
    add_neuron,
    add_pulsed_row,
    add_pulses,
    add_spiking_row,
    add_threshold_supplies,
    new_spiking_circuit,
    supplies,
    threshold_supplies,
)
from spicetrain.spiking.netlists.columns import CellCoefficients, add_columns, add_given_columns
from spicetrain.spiking.netlists.forms import require_form
from spicetrain.spiking.netlists.wires import add_mesh_columns, add_wired_array
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology

__all__ = ["CellCoefficients", "latched", "membranes_at_latch", "saved_vectors", "spiking_deck"]

# Trained 784-100-10 networks, layer by layer, a clock step and core: 0.15 s (1r), 0.7 s (1t1r). With ngspice's own
# trtol, 7, a fifth less, but 0.06 mV wrong after every reset on lif-1r-graded, and then 1 % of the spikes. `bypass`
# leaves out transistors whose voltages stand still: half the time, the same membranes.
OPTIONS = {"reltol": 1e-4, "vntol": 1e-6, "abstol": 1e-12, "trtol": 1, "bypass": 1}
# Of an integrator by itself, which is never reset; and of a layer of a 1r by itself that is: without the edges of the
# next layer's rows, ngspice takes steps at a reset's edges that cost 30 uV.
_NEVER_RESET, _RESET_ALONE = {"abstol": 1e-9}, {"reltol": 1e-5}
# ngspice's chgtol: below the charge of this voltage on the smallest membrane, no charge is followed closely.
_CHGTOL_V = 0.03
# Of a clock step: between 5 uV and 1 uV of a membrane that is reset. Of an integrator both together are a quarter less
# time, and 2 uV.
_LONGEST_STEP, _LONGEST_STEP_NEVER_RESET = 0.05, 0.1


def spiking_deck(
    network: SpikingNetwork,
    spiking: SpikingCircuit,
    technology: Technology,
    spikes: ArrayLike,
    form: Form,
    *,
    layer: int | None = None,
    cells: tuple[CellCoefficients, ...] | None = None,
    shifts: tuple[NeuronShifts, ...] | None = None,
    access: tuple[AccessShifts, ...] | None = None,
) -> Deck:
    """A .tran over one image, `spikes` [n, rows] (bool, or levels in 0..1 of ideal rows, see `inputs`). Saves
    v(m<l>_<j>), the membranes, v(s<l>_<j>), the latched spikes (0..1) of layers that fire, and the currents of the
    supplies, as ngspice counts them: into the source's upper end.

    layer: it alone, by the same clock; `spikes` are then those of its own rows. None: the whole network.

    flat: every device, and every segment of wires. reduced, 1r: a column of the first layer is exactly one source
    behind one conductance (Thevenin), because ideal sources hold its rows. mesh: the same of a 1r with wires, whose
    columns are coupled; every further layer is flat. reduced, 1t1r: in every layer the cells of a column are one
    current and one charge, polynomials of the membrane with the coefficients in `cells`, behind ideal word lines.
    shifts: of the neurons' transistors by layer, [columns]; the crossbars are a chip's own already.
    access: of the flat form of a 1t1r, side -> [rows + 1, columns]; in the reduced one they are in `cells`.

    ConfigurationError: spikes of another shape, a reduced form that is not exact, coefficients missing.
    """
    layers = tuple(range(len(network.crossbars))) if layer is None else (layer,)
    inputs = _checked(network, spiking, technology, spikes, form, cells, layers[0])
    steps, fire = len(inputs), layers != (network.integrator,)
    clock_steps = steps + len(network.crossbars) - 1
    circuit = new_spiking_circuit(spiking, technology, clock_steps, latches=fire)
    for one in layers:
        crossbar, threshold_V = network.crossbars[one], network.thresholds_V[one]
        add_threshold_supplies(circuit, one, threshold_V, spiking)
        for j in range(crossbar.columns):
            shift = None if shifts is None else shifts[one].of(j)
            fires = one != network.integrator
            add_neuron(circuit, one, j, threshold_V, spiking, technology, shifts=shift, fires=fires)
        given = inputs if one == layers[0] else None
        if form == "reduced" and cells is not None:
            _add_reduced_columns(circuit, one, cells[one], spiking, steps, given)
        elif form == "reduced" and one == 0:
            _add_thevenin_columns(circuit, crossbar, spiking, inputs)
        elif form == "mesh" and one == 0:
            add_mesh_columns(circuit, crossbar, spiking, technology, inputs)
        else:
            _add_rows(circuit, one, crossbar, spiking, technology, steps, given)
            _add_array(circuit, one, crossbar, spiking, technology, None if access is None else access[one])
    own = OPTIONS | {"chgtol": _CHGTOL_V * min(spiking.neuron.capacitance_F)}
    if not fire:
        own |= _NEVER_RESET
    elif layer is not None and spiking.array == "1r":
        own |= _RESET_ALONE
    step_s = spiking.clock.step_s
    longest_s = (_LONGEST_STEP if fire else _LONGEST_STEP_NEVER_RESET) * step_s
    return Deck(
        text_of(circuit),
        f".tran {spiking.clock.integrate_s / 10!r} {clock_steps * step_s!r} 0 {longest_s!r}",
        saved_vectors(network, spiking, layers),
        points=None,
        large=form == "flat" or technology.wires is not None,
        temperature_C=technology.temperature_C,
        options=own,
    )


def saved_vectors(
    network: SpikingNetwork, spiking: SpikingCircuit, layers: Sequence[int] | None = None
) -> tuple[str, ...]:
    """What a deck of these layers saves (None: of all): membranes and spikes, layer by layer, then the supplies'
    currents."""
    layers = _of_deck(network, layers)
    nodes = [
        f"v({kind}{layer}_{j})"
        for layer in layers
        for kind in ("m" if layer == network.integrator else "ms")
        for j in range(network.layers[layer + 1])
    ]
    sources = [*supplies(spiking), *(node for layer in layers for node in threshold_supplies(layer))]
    return (*nodes, *(f"i(v{node})" for node in sources))


def _checked(
    network: SpikingNetwork,
    spiking: SpikingCircuit,
    technology: Technology,
    spikes: ArrayLike,
    form: Form,
    cells: tuple[CellCoefficients, ...] | None,
    layer: int,
) -> Inputs:
    given = np.asarray(spikes)
    levels = np.issubdtype(given.dtype, np.floating) and bool(((given != 0) & (given != 1)).any())
    inputs: Inputs = given.astype(np.float32) if levels else given.astype(np.bool_)
    rows = network.layers[layer]
    if inputs.ndim != 2 or inputs.shape[1] != rows or not len(inputs):
        raise ConfigurationError(
            f"Spikes of shape {np.shape(spikes)}: [time steps, {rows}] are wanted, one column for each row of the "
            "layer. They may be of another network, or of all images at once."
        )
    if levels and (layer > 0 or spiking.array != "1r" or spiking.inputs != "ideal"):
        raise ConfigurationError(
            f"Inputs between 0 and 1, for example {given[(given != 0) & (given != 1)][0]:g}: only ideal sources at "
            f"the rows of a 1r hold them there, and circuit {spiking.name!r} is a {spiking.array} with "
            f"{spiking.inputs} inputs. Give spikes, 0 or 1."
        )
    require_form(form, spiking, technology)
    if form == "reduced" and spiking.array == "1t1r" and (cells is None or len(cells) != len(network.crossbars)):
        raise ConfigurationError(
            f"The reduced form of a 1t1r array needs the cells' coefficients for each of its {len(network.crossbars)} "
            f"layers, and {'none' if cells is None else len(cells)} are given: fit the surrogates first, or take "
            "--netlist flat."
        )
    return inputs


def _add_reduced_columns(
    circuit: Circuit, layer: int, cells: CellCoefficients, spiking: SpikingCircuit, steps: int, given: Inputs | None
) -> None:
    if given is not None:
        add_given_columns(circuit, layer, cells, spiking, given.astype(np.bool_))
        return
    rows = cells.spiking.shape[1] - 1
    for i in range(rows):
        add_held_spike(circuit, layer, i)
    add_columns(circuit, layer, cells, spiking, steps)


def _add_thevenin_columns(circuit: Circuit, crossbar: Crossbar, spiking: SpikingCircuit, inputs: Inputs) -> None:
    v_pos, v_neg = (row_volts(inputs, rail, spiking.rest_V) for rail in (spiking.rails.vdd_V, spiking.rails.vss_V))
    thevenin_V, conductances = crossbar.thevenin(v_pos, v_neg, spiking.rails)
    for j, g in enumerate(conductances):
        add_pulses(circuit, f"x{j}", spiking.clock, thevenin_V[:, j].tolist(), spiking.rest_V)
        add_open_column(circuit, f"x{j}", f"m0_{j}", g)


def _add_rows(
    circuit: Circuit,
    layer: int,
    crossbar: Crossbar,
    spiking: SpikingCircuit,
    technology: Technology,
    steps: int,
    given: Inputs | None,
) -> None:
    """A row spikes as it is `given` [steps, rows]; None: as the neuron of the layer before it that drives it."""
    every = np.ones(steps, bool)
    if given is None:
        for i in range(crossbar.rows):
            add_spiking_row(circuit, layer, i, spiking, technology)
        known = {crossbar.rows: every}
    else:
        known = dict(enumerate([*given.T, every]))
    for i, row in known.items():
        if layer == 0 and spiking.inputs == "ideal":
            add_ideal_row(circuit, f"0_{i}", row, spiking)
        else:
            add_pulsed_row(circuit, f"{layer}_{i}", [False] * layer + row.tolist(), spiking, technology)


def _add_array(
    circuit: Circuit,
    layer: int,
    crossbar: Crossbar,
    spiking: SpikingCircuit,
    technology: Technology,
    access: AccessShifts | None,
) -> None:
    """Every device, column by column: row by row, ngspice's Sparse needs eight times as long to order the matrix."""
    if technology.wires is not None:
        add_wired_array(circuit, layer, crossbar, technology)
        return
    sides = pairs_of(crossbar)
    lines: list[str] = []
    for j in range(crossbar.columns):
        for i in range(crossbar.rows + 1):
            for of_side, g in sides.items():
                side = of_side[0]
                row, name = f"{side}{layer}_{i}", f"{side}{layer}_{i}_{j}"
                if spiking.array == "1r":
                    technology.memristor.add(circuit, name, row, f"m{layer}_{j}", float(g[i, j]))
                else:
                    rail = VDD if side == "e" else VSS
                    technology.memristor.add(circuit, name, rail, f"y{name}", float(g[i, j]))
                    shift_V = None if access is None else float(access[of_side][i, j])
                    lines.append(access_transistor(name, row, f"m{layer}_{j}", spiking, technology, shift_V=shift_V))
    circuit.raw_spice += "".join(lines)


def membranes_at_latch(
    values: dict[str, NDArray],
    network: SpikingNetwork,
    spiking: SpikingCircuit,
    steps: int,
    layers: Sequence[int] | None = None,
) -> list[NDArray[np.float64]]:
    """Membranes as the latch takes them, by layer [steps, columns], volts, from the values of a `spiking_deck` of these
    layers (None: of all)."""
    at_s = spiking.clock.integrate_s
    return [
        _once_a_step("m", layer, network.layers[layer + 1], at_s, values, spiking, steps)
        for layer in _of_deck(network, layers)
    ]


def latched(
    values: dict[str, NDArray],
    network: SpikingNetwork,
    spiking: SpikingCircuit,
    steps: int,
    layers: Sequence[int] | None = None,
) -> list[NDArray[np.bool_]]:
    """Spikes as they were latched, likewise; none of an integrator."""
    held_s = spiking.clock.integrate_s + spiking.clock.rest_s / 2
    return [
        np.zeros((steps, network.layers[layer + 1]), bool)
        if layer == network.integrator
        else _once_a_step("s", layer, network.layers[layer + 1], held_s, values, spiking, steps) > 0.5
        for layer in _of_deck(network, layers)
    ]


def _of_deck(network: SpikingNetwork, layers: Sequence[int] | None) -> Sequence[int]:
    return range(len(network.crossbars)) if layers is None else layers


def _once_a_step(
    letter: str,
    layer: int,
    width: int,
    at_s: float,
    values: dict[str, NDArray],
    spiking: SpikingCircuit,
    steps: int,
) -> NDArray[np.float64]:
    """v(<letter><layer>_<j>), `at_s` after the beginning of every step that the layer works in, [steps, columns]."""
    when_s = (layer + np.arange(steps)) * spiking.clock.step_s + at_s
    return np.stack([np.interp(when_s, values["time"], values[f"v({letter}{layer}_{j})"]) for j in range(width)], 1)
