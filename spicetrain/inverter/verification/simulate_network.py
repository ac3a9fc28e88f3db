"""Many images through the netlist of a network: one index sweep a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.netlists.start import Start
from spicetrain.inverter.netlists.transient import RAIL_CURRENTS
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.present import rail_power
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology
from spicetrain.verification.pieces import Piece, run_pieces

# Of images: starting ngspice costs as much as twenty, and what is under way is lost where it is interrupted.
REDUCED_PIECE = 250

_VOLTAGES = Recipe("voltages", 3)


@dataclass(frozen=True)
class SimulatedVoltages:
    """nodes: names; voltages [images, nodes]; seconds_ngspice: summed over processes; power_W [images] of both rails,
    where it was asked for."""

    nodes: tuple[str, ...]
    voltages: NDArray[np.float64]
    seconds_ngspice: float
    power_W: NDArray[np.float64] | None = None


def simulate_network(
    network: Network,
    technology: Technology,
    inputs: NDArray[np.float32],
    form: Form,
    simulator: Simulator,
    *,
    hidden: bool = False,
    mismatch: Sequence[InverterMismatch] | None = None,
    power: bool = False,
    start: Start | None = None,
) -> SimulatedVoltages:
    """Voltages of the saved nodes for every row of `inputs` (0..1), from ngspice, with `power` what the rails deliver;
    `mismatch` of the inverters behind every crossbar; `start`: where Newton starts, [images] by node.

    Finished pieces are kept in the simulator's scratch folder; a later call with the same network, inputs, technology
    and ngspice goes on from them.

    Raises SimulationError, StorageError; ConfigurationError when the reduced form does not exist.
    """
    further: dict[str, object] = {} if mismatch is None else {"mismatch": [vars(layer) for layer in mismatch]}
    further |= {"power": True} if power else {}
    further |= {} if start is None else {"start": True}  # where it starts, the answer does not depend on
    pieces = [
        Piece(
            (part, None if start is None else {node: voltages[at] for node, voltages in start.items()}),
            _VOLTAGES.key(
                network=network,
                technology=technology,
                inputs=part,
                form=form,
                hidden=hidden,
                ngspice=simulator.version,
                **further,
            ),  # fmt: skip
            len(part),
        )
        for at, part in _parts(inputs, form, simulator.cores)
    ]
    simulate = partial(_simulate_part, network, technology, form, hidden, mismatch=mismatch, power=power)
    done = run_pieces(simulator, simulate, pieces, f"verify {form}")
    return SimulatedVoltages(
        tuple(saved_nodes(network, hidden=hidden)),
        np.concatenate([arrays["voltages"] for arrays in done]),
        float(sum(arrays["seconds"] for arrays in done)),
        np.concatenate([arrays["power_W"] for arrays in done]) if power else None,
    )


def _parts(inputs: NDArray[np.float32], form: Form, cores: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Flat decks are dear to set up: one a core. Reduced ones are cheap."""
    per_core = -(-len(inputs) // cores)
    size = per_core if form == "flat" else min(REDUCED_PIECE, per_core)
    for first in range(0, len(inputs), size):
        at = slice(first, first + size)
        yield at, inputs[at]


def _simulate_part(
    network: Network,
    technology: Technology,
    form: Form,
    hidden: bool,
    simulator: Simulator,
    part: tuple[NDArray, Start | None],
    *,
    mismatch: Sequence[InverterMismatch] | None,
    power: bool,
) -> dict[str, ArrayLike]:
    inputs, start = part
    return simulate_piece(
        network, technology, form, hidden, simulator, inputs, mismatch=mismatch, power=power, start=start
    )


def simulate_piece(
    network: Network,
    technology: Technology,
    form: Form,
    hidden: bool,
    simulator: Simulator,
    inputs: NDArray,
    *,
    mismatch: Sequence[InverterMismatch] | None = None,
    power: bool = False,
    start: Start | None = None,
) -> dict[str, ArrayLike]:
    """voltages [images, saved nodes], seconds of ngspice and, if asked, power_W [images] of the rails; for a worker,
    which need not load torch for it."""
    deck = network_deck(network, technology, inputs, form, hidden=hidden, mismatch=mismatch, start=start)
    simulation = simulator.simulate(replace(deck, saves=(*deck.saves, *RAIL_CURRENTS)) if power else deck)
    voltages = np.stack([simulation.values[name] for name in deck.saves], axis=1)
    of_rails = {"power_W": rail_power(simulation, technology.rails)} if power else {}
    return {"voltages": voltages, "seconds": simulation.seconds, **of_rails}
