"""Pieces of a long simulation: in parallel, each kept at once, so that an interrupted one goes on where it was."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.progress import track
from spicetrain.spice.pool import map_unordered
from spicetrain.storage import write_atomic

Piece = TypeVar("Piece")
Arrays = dict[str, NDArray]

TIMEOUT_S = 3600.0
"""Of one piece in ngspice."""


def run_pieces(
    simulate: Callable[[Piece], dict[str, ArrayLike]],
    pieces: Sequence[Piece],
    files: Sequence[Path],
    images: Sequence[int],
    what: str,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> list[Arrays]:
    """`simulate` of each piece, in order, kept in its file; one that has its file already is read instead.

    images  how many each piece has, what  the work's name: for the bar

    Raises what `simulate` raises, StorageError.
    """
    found = {index: kept for index, file in enumerate(files) if (kept := _read(file)) is not None}
    missing = [index for index in range(len(pieces)) if index not in found]
    with (
        track(what, sum(images), "images") as bar,
        closing(map_unordered(simulate, [pieces[i] for i in missing], workers=workers, executor=executor)) as results,
    ):
        bar.advance(sum(images[index] for index in found))
        for position, result in results:
            index = missing[position]
            arrays: dict[str, Any] = {name: np.asarray(value) for name, value in result.items()}
            with write_atomic(files[index]) as temporary:
                np.savez(temporary, **arrays)
            found[index] = arrays
            bar.advance(images[index])
    return [found[index] for index in range(len(pieces))]


def _read(file: Path) -> Arrays | None:
    """A kept piece; None when it is absent or damaged: then it is simulated again."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError, BadZipFile):
        return None
