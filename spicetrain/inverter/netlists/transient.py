"""The whole network in time: images presented one after the other, each a step of the sources.

Capacitance is what the transistor models have, what wires that resist have to ground, and, if wanted, one more at every
column and every inverter output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.netlists.cells import new_circuit
from spicetrain.inverter.netlists.network import add_network, is_large
from spicetrain.inverter.network import Network
from spicetrain.netlists.cells import VDD, VSS, Form, text_of
from spicetrain.spice.deck import Deck
from spicetrain.technology import Technology

# ngspice's own chgtol, 1e-14 C, is more than any charge here: its step control then sleeps, hold times are off by 3 %
# and a settled output by 1 mV. With this one, on a trained 784-100-10 network, a hundredth of it or reltol 1e-6 changes
# hold times by 0.1 % and energies by 1e-6, and a period a thousand times as long changes nothing.
OPTIONS = {"chgtol": 1e-17}

_LEAST_STEPS = 50  # a period: what is drawn and integrated is never coarser

RAIL_CURRENTS = (f"i(v{VDD})", f"i(v{VSS})")
"""The vectors of the rails' currents, amperes, as ngspice counts them: into the source's upper end."""


@dataclass(frozen=True)
class Wiring:
    """Capacitance to ground besides that of the transistors, in farads: of every crossbar column, of every inverter
    output (which is a row of the next crossbar, or an output of the network)."""

    column_F: float = 0.0
    row_F: float = 0.0


@dataclass(frozen=True)
class Timing:
    """Each image is held for period_s; the sources go from one to the next in the first edge_s of it, linearly."""

    period_s: float
    edge_s: float

    def __post_init__(self) -> None:
        if not 0 < self.edge_s < self.period_s:
            raise ConfigurationError(
                f"edge_s = {self.edge_s:g} s and period_s = {self.period_s:g} s: an edge takes some time, and less "
                "than a period."
            )


def transient_deck(
    network: Network, technology: Technology, inputs: NDArray, timing: Timing, wiring: Wiring, form: Form = "reduced"
) -> Deck:
    """A .tran over `inputs` [samples, rows] (0..1): it starts from the DC point of the first, and the edge towards
    sample k + 1 begins at k periods. Saves the outputs and the rails' currents.

    reduced: the rails feed the inverters and the bias rows from the second crossbar on; the first crossbar is what
    `network_deck` has, because ideal sources hold its rows. In time that is exact of ohmic devices, and of
    (g / b) sinh(b v) but for an image's edge, in which the sums go linearly and not the rows; of other laws it is not
    a crossbar. mesh: of the first crossbar, between wires that resist, every column is a source behind one resistance
    and one capacitance (`one_pole`); of all further ones every segment is there. Off flat, random networks on ptm90,
    hold times of single images by up to, and that of the slowest one by:

        20-5-3     5 ohm, 1 fF a segment; 100 ohm, 2 fF               0.3; 0.9 %              0.3; 0.5 %
        100-20-10  5 ohm, 0.2 fF; 20 ohm, 0.5 fF; 100 ohm, 0.5 fF     0.1; 1.2; 5.7 %         0.003; 1.2; 0.2 %
        784-4-3    0.25 ohm, 0.02 fF; 5 ohm, 0.2 fF                   0.01; 5 %               0.01; 1.4 %

    and energies as much as the slowest image. flat: every device and every segment. In all of them the bias rows of the
    first crossbar have sources of their own, as its other rows do.

    ConfigurationError when there is no second sample.
    """
    if len(inputs) < 2:
        raise ConfigurationError(f"A transient over {len(inputs)} samples has no edge: two are needed.")
    circuit = new_circuit(technology)
    add_network(circuit, network, technology, inputs, form, partial(_add_steps, timing), in_time=True)
    _add_wiring(circuit, network, wiring)
    outputs = tuple(f"v(o_{j})" for j in range(network.layers[-1]))
    # The second number bounds ngspice's own step.
    analysis = f".tran {timing.period_s / _LEAST_STEPS!r} {(len(inputs) - 1) * timing.period_s!r}"
    return Deck(
        text_of(circuit),
        analysis,
        (*outputs, *RAIL_CURRENTS),
        points=None,
        large=is_large(network, technology, form),
        temperature_C=technology.temperature_C,
        options=OPTIONS,
    )


def _add_steps(timing: Timing, circuit: Circuit, node: str, voltages: NDArray) -> None:
    values = [float(v) for v in voltages]
    corners = [(0.0, values[0])]
    for k, (before, after) in enumerate(zip(values, values[1:], strict=False)):
        start = k * timing.period_s
        corners += [(start, before)] * (k > 0) + [(start + timing.edge_s, after)]
    words = " ".join(f"{t!r} {v!r}" for t, v in corners)
    circuit.raw_spice += f"V{node} {node} 0 pwl({words})\n"


def _add_wiring(circuit: Circuit, network: Network, wiring: Wiring) -> None:
    last = len(network.crossbars) - 1
    for layer, crossbar in enumerate(network.crossbars):
        for j in range(crossbar.columns):
            rows = [f"o_{j}"] if layer == last else [f"n{layer}_{j}", f"p{layer}_{j}"]
            for node, farad in [(f"c{layer}_{j}", wiring.column_F), *((row, wiring.row_F) for row in rows)]:
                if farad:
                    circuit.C(f"w_{node}", node, circuit.gnd, farad)
