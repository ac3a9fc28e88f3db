"""Pieces of a long simulation: in parallel, each kept at once, so that an interrupted one goes on where it was."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.progress import track
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import write_atomic

Item = TypeVar("Item")
Arrays = dict[str, NDArray]


@dataclass(frozen=True)
class Piece(Generic[Item]):
    """`item` is what is simulated, `key` the hash of all that its answer depends on, `images` how many it has."""

    item: Item
    key: str
    images: int = 1


def run_pieces(
    simulator: Simulator,
    simulate: Callable[[Simulator, Item], dict[str, ArrayLike]],
    pieces: Sequence[Piece[Item]],
    what: str,
    unit: str = "images",
) -> list[Arrays]:
    """`simulate` of each piece, in order. Where the simulator has a scratch folder, each is kept there until the caller
    removes it, and one that is there already is read instead. `what`, `unit`: the work's name, for the bar.

    Raises what `simulate` raises, StorageError.
    """
    files = [None if simulator.scratch is None else simulator.scratch / f"{piece.key[:32]}.npz" for piece in pieces]
    found = {index: kept for index, file in enumerate(files) if (kept := _read(file)) is not None}
    missing = [index for index in range(len(pieces)) if index not in found]
    run = partial(simulate, simulator)
    with (
        track(what, sum(piece.images for piece in pieces), unit) as bar,
        closing(simulator.map(run, [pieces[index].item for index in missing])) as results,
    ):
        bar.advance(sum(pieces[index].images for index in found))
        for position, result in results:
            index = missing[position]
            found[index] = {name: np.asarray(value) for name, value in result.items()}
            _write(files[index], found[index])
            bar.advance(pieces[index].images)
    return [found[index] for index in range(len(pieces))]


def _write(file: Path | None, arrays: dict[str, Any]) -> None:
    if file is not None:
        with write_atomic(file) as temporary:
            np.savez(temporary, **arrays)


def _read(file: Path | None) -> Arrays | None:
    """A kept piece; None when it is absent or damaged: then it is simulated again."""
    if file is None:
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError, BadZipFile):
        return None
