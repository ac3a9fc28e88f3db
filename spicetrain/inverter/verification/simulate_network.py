"""Many images through the netlist of a network: one index sweep a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.netlists.network import Form, network_deck, saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.pool import available_cores
from spicetrain.spice.simulate import simulate
from spicetrain.storage import content_hash, sha256_of_file
from spicetrain.technology import Technology
from spicetrain.verification.pieces import TIMEOUT_S, run_pieces

# Looking up a voltage costs time in proportion to the images of a piece, starting ngspice a constant.
REDUCED_PIECE = 125


@dataclass(frozen=True)
class SimulatedVoltages:
    """nodes: names; voltages [images, nodes]; seconds_ngspice: summed over processes."""

    nodes: tuple[str, ...]
    voltages: NDArray[np.float64]
    seconds_ngspice: float


@dataclass(frozen=True)
class Piece:
    """Inputs [images, rows] in 0..1, from image `start` on."""

    start: int
    inputs: NDArray[np.float32]


def simulate_network(
    network_file: Path,
    technology: Technology,
    inputs: NDArray[np.float32],
    form: Form,
    ngspice: Ngspice,
    scratch: Path,
    *,
    hidden: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
) -> SimulatedVoltages:
    """Voltages of the saved nodes for every row of `inputs` (0..1), from ngspice.

    scratch  where finished pieces are kept until the caller removes it; a later call with the same network, inputs,
             technology and ngspice goes on from them

    Raises SimulationError, StorageError; ConfigurationError when the reduced form does not exist.
    """
    network = Network.load(network_file)
    key = content_hash(
        sha256_of_file(network_file), technology.fingerprint, np.ascontiguousarray(inputs).tobytes(), form, hidden,
        ngspice.version,
    )  # fmt: skip
    pieces = list(_pieces(inputs, form, workers or available_cores()))
    files = [scratch / f"{key[:16]}-{piece.start}-{len(piece.inputs)}.npz" for piece in pieces]
    run = partial(simulate_piece, network, technology, form, hidden, ngspice)
    images = [len(piece.inputs) for piece in pieces]
    done = run_pieces(run, pieces, files, images, f"verify {form}", workers=workers, executor=executor)
    return SimulatedVoltages(
        tuple(saved_nodes(network, hidden=hidden)),
        np.concatenate([arrays["voltages"] for arrays in done]),
        float(sum(arrays["seconds"] for arrays in done)),
    )


def _pieces(inputs: NDArray[np.float32], form: Form, workers: int) -> Iterator[Piece]:
    """Flat decks are dear to set up: one a worker. Reduced ones are cheap."""
    per_worker = -(-len(inputs) // workers)
    size = per_worker if form == "flat" else min(REDUCED_PIECE, per_worker)
    for start in range(0, len(inputs), size):
        yield Piece(start, inputs[start : start + size])


def simulate_piece(
    network: Network, technology: Technology, form: Form, hidden: bool, ngspice: Ngspice, piece: Piece
) -> dict[str, ArrayLike]:
    """voltages [images, saved nodes] and seconds of ngspice; for a worker, which need not load torch for it."""
    deck = network_deck(network, technology, piece.inputs, form, hidden=hidden)
    simulation = simulate(deck, ngspice, timeout_s=TIMEOUT_S)
    voltages = np.stack([simulation.values[name] for name in deck.saves], axis=1)
    return {"voltages": voltages, "seconds": simulation.seconds}
