"""What is programmed into crossbars, layer by layer, and the file it is kept in. Numpy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from spicetrain.array.crossbar import Crossbar
from spicetrain.errors import ArchitectureMismatch, StorageError

Stored = TypeVar("Stored")


class Layered:
    """What is programmed into crossbars, layer by layer."""

    crossbars: tuple[Crossbar, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        return (self.crossbars[0].rows, *(crossbar.columns for crossbar in self.crossbars))

    def require_layers(self, layers: Sequence[int], source: str) -> None:
        """ArchitectureMismatch when the network is not of this shape."""
        if self.layers != tuple(layers):
            raise ArchitectureMismatch(
                f"{source} holds a {shape_text(self.layers)} network, {shape_text(layers)} is wanted. It was trained "
                "for another architecture: name another checkpoint or folder, or change network.layers."
            )


def stored_crossbars(crossbars: Sequence[Crossbar]) -> dict[str, NDArray]:
    """The arrays of a network file, by name."""
    return {
        f"{index}.{name}_S": np.ascontiguousarray(value)
        for index, crossbar in enumerate(crossbars)
        for name, value in vars(crossbar).items()
    }


def crossbars_in(tensors: dict[str, NDArray]) -> tuple[Crossbar, ...]:
    """What `stored_crossbars` named; KeyError when one is not whole."""
    depth = sum(name.endswith(".pos_S") for name in tensors)
    names = ("pos", "neg", "bias_pos", "bias_neg")
    return tuple(Crossbar(*(tensors[f"{i}.{name}_S"] for name in names)) for i in range(depth))


def load_stored(path: Path, form: str, build: Callable[[dict[str, NDArray], dict[str, str]], Stored]) -> Stored:
    """`build`(arrays, header) of a network file of this format; StorageError when it is missing, damaged or another."""
    try:
        with safe_open(path, framework="numpy") as stored:
            header = stored.metadata() or {}
            if header.get("format") != form:
                found = header.get("format")
                raise StorageError(f"{path} is not a spicetrain network of this kind: {form} wanted, {found} found.")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"Cannot read the network {path}: {error}. Likely it is absent or damaged: `spicetrain train` writes "
            "that of a run folder again, from the checkpoint beside it."
        ) from error
    try:
        return build(tensors, header)
    except (KeyError, ValueError) as error:
        raise StorageError(
            f"{path} is not a whole spicetrain network ({error}). It was written by something else, or edited."
        ) from error


def shape_text(layers: Sequence[int]) -> str:
    """784-100-10."""
    return "-".join(str(width) for width in layers)
