"""Many images through the netlist of a network: one index sweep a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology
from spicetrain.verification.pieces import Piece, run_pieces

# Looking up a voltage costs time in proportion to the images of a piece, starting ngspice a constant.
REDUCED_PIECE = 125

_VOLTAGES = Recipe("voltages", 2)


@dataclass(frozen=True)
class SimulatedVoltages:
    """nodes: names; voltages [images, nodes]; seconds_ngspice: summed over processes."""

    nodes: tuple[str, ...]
    voltages: NDArray[np.float64]
    seconds_ngspice: float


def simulate_network(
    network: Network,
    technology: Technology,
    inputs: NDArray[np.float32],
    form: Form,
    simulator: Simulator,
    *,
    hidden: bool = False,
    mismatch: Sequence[InverterMismatch] | None = None,
) -> SimulatedVoltages:
    """Voltages of the saved nodes for every row of `inputs` (0..1), from ngspice; `mismatch` of the inverters behind
    every crossbar.

    Finished pieces are kept in the simulator's scratch folder; a later call with the same network, inputs, technology
    and ngspice goes on from them.

    Raises SimulationError, StorageError; ConfigurationError when the reduced form does not exist.
    """
    further = {} if mismatch is None else {"mismatch": [vars(layer) for layer in mismatch]}
    pieces = [
        Piece(
            part,
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
        for part in _parts(inputs, form, simulator.cores)
    ]
    simulate = partial(simulate_piece, network, technology, form, hidden, mismatch=mismatch)
    done = run_pieces(simulator, simulate, pieces, f"verify {form}")
    return SimulatedVoltages(
        tuple(saved_nodes(network, hidden=hidden)),
        np.concatenate([arrays["voltages"] for arrays in done]),
        float(sum(arrays["seconds"] for arrays in done)),
    )


def _parts(inputs: NDArray[np.float32], form: Form, cores: int) -> Iterator[NDArray[np.float32]]:
    """Flat decks are dear to set up: one a core. Reduced ones are cheap."""
    per_core = -(-len(inputs) // cores)
    size = per_core if form == "flat" else min(REDUCED_PIECE, per_core)
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def simulate_piece(
    network: Network,
    technology: Technology,
    form: Form,
    hidden: bool,
    simulator: Simulator,
    inputs: NDArray,
    *,
    mismatch: Sequence[InverterMismatch] | None = None,
) -> dict[str, ArrayLike]:
    """voltages [images, saved nodes] and seconds of ngspice; for a worker, which need not load torch for it."""
    deck = network_deck(network, technology, inputs, form, hidden=hidden, mismatch=mismatch)
    simulation = simulator.simulate(deck)
    voltages = np.stack([simulation.values[name] for name in deck.saves], axis=1)
    return {"voltages": voltages, "seconds": simulation.seconds}
