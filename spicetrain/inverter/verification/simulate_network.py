"""Many images through the netlist of a network: one index sweep a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.netlists.transient import RAIL_CURRENTS
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.present import rail_power
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
) -> SimulatedVoltages:
    """Voltages of the saved nodes for every row of `inputs` (0..1), from ngspice, with `power` what the rails deliver;
    `mismatch` of the inverters behind every crossbar.

    Finished pieces are kept in the simulator's scratch folder; a later call with the same network, inputs, technology
    and ngspice goes on from them.

    Raises SimulationError, StorageError; ConfigurationError when the reduced form does not exist.
    """
    further: dict[str, object] = {} if mismatch is None else {"mismatch": [vars(layer) for layer in mismatch]}
    further |= {"power": True} if power else {}
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
    simulate = partial(simulate_piece, network, technology, form, hidden, mismatch=mismatch, power=power)
    done = run_pieces(simulator, simulate, pieces, f"verify {form}")
    return SimulatedVoltages(
        tuple(saved_nodes(network, hidden=hidden)),
        np.concatenate([arrays["voltages"] for arrays in done]),
        float(sum(arrays["seconds"] for arrays in done)),
        np.concatenate([arrays["power_W"] for arrays in done]) if power else None,
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
    power: bool = False,
) -> dict[str, ArrayLike]:
    """voltages [images, saved nodes], seconds of ngspice and, if asked, power_W [images] of the rails; for a worker,
    which need not load torch for it."""
    deck = network_deck(network, technology, inputs, form, hidden=hidden, mismatch=mismatch)
    simulation = simulator.simulate(replace(deck, saves=(*deck.saves, *RAIL_CURRENTS)) if power else deck)
    voltages = np.stack([simulation.values[name] for name in deck.saves], axis=1)
    of_rails = {"power_W": rail_power(simulation, technology.rails)} if power else {}
    return {"voltages": voltages, "seconds": simulation.seconds, **of_rails}
