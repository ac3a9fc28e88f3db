"""Many images through the netlist of a network: one index sweep a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from spicetrain.netlists.network import Form, network_deck, saved_nodes
from spicetrain.network import Network
from spicetrain.progress import track
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.pool import available_cores, map_unordered
from spicetrain.spice.simulate import simulate
from spicetrain.storage import content_hash, sha256_of_file, write_atomic
from spicetrain.technology import Technology

# Looking up a voltage costs time in proportion to the images of a piece, starting ngspice a constant.
REDUCED_PIECE = 125
TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class SimulatedVoltages:
    """nodes: names; voltages [images, nodes]; seconds_ngspice: summed over processes."""

    nodes: tuple[str, ...]
    voltages: NDArray[np.float64]
    seconds_ngspice: float


@dataclass(frozen=True)
class _Piece:
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
    found = {index: kept for index, file in enumerate(files) if (kept := _read(file)) is not None}
    missing = [index for index in range(len(pieces)) if index not in found]
    run = partial(_simulate_piece, network, technology, form, hidden, ngspice)
    with (
        track(f"verify {form}", len(inputs), "images") as bar,
        closing(map_unordered(run, [pieces[i] for i in missing], workers=workers, executor=executor)) as results,
    ):
        bar.advance(sum(len(voltages) for voltages, _ in found.values()))
        for position, (voltages, seconds) in results:
            index = missing[position]
            with write_atomic(files[index]) as temporary:
                np.savez(temporary, voltages=voltages, seconds=seconds)
            found[index] = voltages, seconds
            bar.advance(len(voltages))
    ordered = [found[index] for index in range(len(pieces))]
    return SimulatedVoltages(
        tuple(saved_nodes(network, hidden=hidden)),
        np.concatenate([voltages for voltages, _ in ordered]),
        float(sum(seconds for _, seconds in ordered)),
    )


def _pieces(inputs: NDArray[np.float32], form: Form, workers: int) -> Iterator[_Piece]:
    """Flat decks are dear to set up: one a worker. Reduced ones are cheap."""
    per_worker = -(-len(inputs) // workers)
    size = per_worker if form == "flat" else min(REDUCED_PIECE, per_worker)
    for start in range(0, len(inputs), size):
        yield _Piece(start, inputs[start : start + size])


def _simulate_piece(
    network: Network, technology: Technology, form: Form, hidden: bool, ngspice: Ngspice, piece: _Piece
) -> tuple[NDArray[np.float64], float]:
    deck = network_deck(network, technology, piece.inputs, form, hidden=hidden)
    simulation = simulate(deck, ngspice, timeout_s=TIMEOUT_S)
    return np.stack([simulation.values[name] for name in deck.saves], axis=1), simulation.seconds


def _read(file: Path) -> tuple[NDArray[np.float64], float] | None:
    """A kept piece; None when it is absent or damaged: then it is simulated again."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return stored["voltages"], float(stored["seconds"])
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError, BadZipFile):
        return None
