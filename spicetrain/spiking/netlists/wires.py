"""Arrays with wires: every segment with its capacitance, or the first layer as what it is to its membranes."""

from __future__ import annotations

from PySpice.Spice.Netlist import Circuit

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.mesh_ports import ports_of
from spicetrain.array.netlist import add_crossbar
from spicetrain.array.wires import Segments, Wires, row_voltages
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.inputs import Inputs, row_volts
from spicetrain.spiking.netlists.cells import add_pulses
from spicetrain.technology import Technology


def add_wired_array(circuit: Circuit, layer: int, crossbar: Crossbar, technology: Technology) -> None:
    """Every device and segment of a `1r` between its rows e<layer>_<i>, i<layer>_<i> and its membranes m<layer>_<j>."""
    wires, segments = wires_of(technology)
    rows = [(f"e{layer}_{i}", f"i{layer}_{i}") for i in range(crossbar.rows + 1)]
    add_crossbar(circuit, layer, crossbar, rows[:-1], rows[-1], technology.memristor, segments, "m", wires.farads)


def add_mesh_columns(
    circuit: Circuit, crossbar: Crossbar, spiking: SpikingCircuit, technology: Technology, inputs: Inputs
) -> None:
    """The columns of the first layer, `inputs` [steps, rows] on ideal sources: exactly what the mesh of its wires is to
    the membranes, sources behind conductances and conductances from one membrane to the next. Of the wires'
    capacitance, what the model has (FittedSpikingCircuit.capacitance_F): the columns', at the membranes.

    Raises SimulationError when the mesh cannot be solved.
    """
    wires, segments = wires_of(technology)
    ports = ports_of(crossbar, segments)
    v_pos, v_neg = (row_volts(inputs, rail, spiking.rest_V) for rail in (spiking.rails.vdd_V, spiking.rails.vss_V))
    v_rows = row_voltages(v_pos, v_neg, spiking.rails.vdd_V, spiking.rails.vss_V) - spiking.rest_V
    to_source = ports.Y.sum(1)
    source_V = spiking.rest_V + v_rows @ ports.B / to_source
    lines = []
    for j, g in enumerate(to_source.tolist()):
        add_pulses(circuit, f"x{j}", spiking.clock, source_V[:, j].tolist(), spiking.rest_V)
        lines.append(f"Rx{j} x{j} m0_{j} {1 / g!r}\n")
        lines += [f"Rx{j}_{k} m0_{j} m0_{k} {float(-1 / ports.Y[j, k])!r}\n" for k in range(j)]
        if column_F := wires.farads.column_F:
            lines.append(f"Cx{j} m0_{j} 0 {column_F * ports.reach!r}\n")
    circuit.raw_spice += "".join(lines)


def wires_of(technology: Technology) -> tuple[Wires, Segments]:
    """Of a technology that has wires."""
    wires, segments = technology.wires, technology.segments
    assert wires is not None and segments is not None
    return wires, segments
