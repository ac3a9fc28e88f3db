"""What is programmed into crossbars, layer by layer, and the file it is kept in. Numpy only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.wires import Segments
from spicetrain.errors import ArchitectureMismatch, StorageError

Stored = TypeVar("Stored")


class Layered:
    """What is programmed into crossbars, layer by layer."""

    crossbars: tuple[Crossbar, ...]
    bias_pairs: int = 1  # equal devices in parallel that each bias conductance is made of

    def row_order(self, segments: Segments | None) -> NDArray[np.int64] | None:
        """Which input drives which row pair of the first crossbar, [rows], where wires change it; None: as given."""
        return None

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
    """What `stored_crossbars` named; KeyError when one is not whole, ValueError when it cannot be programmed."""
    depth = sum(name.endswith(".pos_S") for name in tensors)
    if depth == 0:
        raise ValueError("it has no crossbar")
    crossbars: list[Crossbar] = []
    for i in range(depth):
        rows, columns = tensors[f"{i}.pos_S"].shape if tensors[f"{i}.pos_S"].ndim == 2 else (0, 0)
        if crossbars and rows != crossbars[-1].columns:
            raise ValueError(f"{i}.pos_S has {rows} rows, and the crossbar before it {crossbars[-1].columns} columns")
        shapes = {"pos": (rows, columns), "neg": (rows, columns), "bias_pos": (columns,), "bias_neg": (columns,)}
        arrays = [numbers_in(tensors, f"{i}.{name}_S", shape, above=0.0) for name, shape in shapes.items()]
        crossbars.append(Crossbar(*arrays))
    return tuple(crossbars)


def numbers_in(
    tensors: dict[str, NDArray], name: str, shape: tuple[int, ...], *, above: float = -np.inf
) -> NDArray[np.float64]:
    """The named tensor, float64; KeyError when it is absent, ValueError naming what is wrong with it when it is of
    another shape or kind, or has a value that is not finite or not above `above`."""
    found = tensors[name]
    if found.shape != shape or found.dtype.kind != "f" or not found.size:
        raise ValueError(
            f"{name} is {found.dtype} {list(found.shape)}, where a float {list(shape)} of one value or more is wanted"
        )
    values: NDArray[np.float64] = found.astype(np.float64, copy=False)
    bad = np.argwhere(~(np.isfinite(values) & (values > above)))
    if len(bad):
        first, limit = tuple(bad[0].tolist()), "" if above == -np.inf else f" above {above:g}"
        raise ValueError(
            f"{name}{list(first)} = {values[first]}, where a finite number{limit} is wanted, "
            f"and {len(bad)} of its {values.size} values are no such number"
        )
    return values


def about_in(header: dict[str, str]) -> dict[str, Any]:
    """The provenance; KeyError when it is absent, ValueError when it is no JSON object."""
    about = json.loads(header["about"])
    if not isinstance(about, dict):
        raise ValueError(f"about is {about!r}, where a JSON object is wanted")
    return about


def load_stored(path: Path, form: str, build: Callable[[dict[str, NDArray], dict[str, str]], Stored]) -> Stored:
    """`build`(arrays, header) of a network file of this format; StorageError when it is missing, damaged or another."""
    try:
        with safe_open(path, framework="numpy") as stored:
            header = stored.metadata() or {}
            if header.get("format") != form:
                found = header.get("format")
                raise StorageError(f"{path} is not a spicetrain network of this kind: {form} wanted, {found} found.")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: numbers that numpy has not
        raise StorageError(
            f"Cannot read the network {path}: {error}. Likely it is absent or damaged: `spicetrain train` writes "
            "that of a run folder again, from the checkpoint beside it."
        ) from error
    try:
        return build(tensors, header)
    except (KeyError, ValueError) as error:
        raise StorageError(
            f"{path} is not a whole spicetrain network ({error}). It was written by something else, or edited: restore "
            "it, or let `spicetrain train` write that of a run folder again, from the checkpoint beside it."
        ) from error


def shape_text(layers: Sequence[int]) -> str:
    """784-100-10."""
    return "-".join(str(width) for width in layers)
