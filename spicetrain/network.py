"""A trained inverter-based memristive network as what is programmed into the chip: conductances and sizes.

Numpy only: the netlists are built from it, the trainer makes it, verification compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from spicetrain.errors import ArchitectureMismatch, StorageError
from spicetrain.storage import content_hash, write_atomic
from spicetrain.technology import Rails

FORMAT = "spicetrain-network-1"
Encoding = Literal["unipolar", "bipolar"]
Stored = TypeVar("Stored")


@dataclass(frozen=True)
class Crossbar:
    """Conductances of one crossbar in siemens, float64.

    pos, neg            [rows, columns]: from the positive and the negative row of each pair. In the first crossbar the
                        positive row carries the encoded input; from the second on it is the first inverter of a pair
                        (inverting), the negative row the second (PHAX, IEEE TCAD 2018, 10.1109/TCAD.2017.2764070).
    bias_pos, bias_neg  [columns]: to the upper and to the lower rail.
    """

    pos: NDArray[np.float64]
    neg: NDArray[np.float64]
    bias_pos: NDArray[np.float64]
    bias_neg: NDArray[np.float64]

    @property
    def rows(self) -> int:
        return int(self.pos.shape[0])

    @property
    def columns(self) -> int:
        return int(self.pos.shape[1])

    @property
    def column_sum(self) -> NDArray[np.float64]:
        """All conductances of a column, [columns], siemens."""
        return self.pos.sum(0) + self.neg.sum(0) + self.bias_pos + self.bias_neg

    def bias_current(self, rails: Rails) -> NDArray[np.float64]:
        """Current of the two bias rows into a column held at 0 V, [columns], amperes."""
        return self.bias_pos * rails.vdd_V + self.bias_neg * rails.vss_V

    def open_column_voltage(self, v_pos: NDArray, v_neg: NDArray, rails: Rails) -> NDArray[np.float64]:
        """Column voltages [samples, columns] when ideal sources hold the rows at v_pos, v_neg [samples, rows], volts.

        A column drives only gates, so it floats at the mean of its rows weighted with the conductances.
        """
        return (v_pos @ self.pos + v_neg @ self.neg + self.bias_current(rails)) / self.column_sum

    def source_power(self, v_pos: NDArray, v_neg: NDArray, rails: Rails) -> NDArray[np.float64]:
        """What the crossbar turns into heat, [samples], watts: all of it comes from the sources of its rows and of its
        bias rows, when ideal ones hold them as in `open_column_voltage`."""
        v_col = self.open_column_voltage(v_pos, v_neg, rails)
        bias = self.bias_pos.sum() * rails.vdd_V**2 + self.bias_neg.sum() * rails.vss_V**2
        rows = v_pos**2 @ self.pos.sum(1) + v_neg**2 @ self.neg.sum(1)
        heat: NDArray[np.float64] = rows + bias - v_col**2 @ self.column_sum
        return heat


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


@dataclass(frozen=True)
class Network(Layered):
    """An inverter-based memristive network.

    crossbars  layer by layer
    sizes      per crossbar, the inverters behind its columns in unit fingers: [columns, 2] for a hidden layer (first
               and second inverter), [columns, 1] for the last
    encoding   how an input in 0..1 becomes the voltages of its row pair
    about      method, technology and whatever else belongs to its provenance; JSON
    ground_S   siemens from every inverter output to mid-rail: RIM's resistors (IEEE TCAS-II 2020); 0: there are none
    """

    crossbars: tuple[Crossbar, ...]
    sizes: tuple[NDArray[np.float64], ...]
    encoding: Encoding = "unipolar"
    about: dict[str, Any] = field(default_factory=dict)
    ground_S: float = 0.0

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is programmed and of its provenance; a file's own bytes differ from one writing to the next."""
        arrays = [array for crossbar in self.crossbars for array in vars(crossbar).values()] + list(self.sizes)
        return content_hash(
            *(array.tobytes() for array in arrays), self.layers, self.encoding, self.about, self.ground_S
        )

    def save(self, path: Path) -> None:
        """Write safetensors, atomically; StorageError when that fails."""
        tensors = stored_crossbars(self.crossbars)
        tensors |= {f"{index}.sizes": np.ascontiguousarray(sizes) for index, sizes in enumerate(self.sizes)}
        header = {"encoding": self.encoding, "about": json.dumps(self.about), "ground_S": repr(self.ground_S)}
        with write_atomic(path) as temporary:
            save_file(tensors, temporary, {"format": FORMAT, **header})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; StorageError when it is missing, damaged or something else."""
        return load_stored(path, FORMAT, cls._from)

    @classmethod
    def _from(cls, tensors: dict[str, NDArray], header: dict[str, str]) -> Self:
        crossbars = crossbars_in(tensors)
        sizes = tuple(tensors[f"{i}.sizes"] for i in range(len(crossbars)))
        encoding = header["encoding"]
        if encoding not in get_args(Encoding):
            raise ValueError(f"encoding {encoding!r}")
        ground_S = float(header.get("ground_S", 0.0))
        return cls(crossbars, sizes, cast(Encoding, encoding), json.loads(header["about"]), ground_S)


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


def encode(inputs: ArrayLike, encoding: Encoding, rails: Rails) -> tuple[NDArray, NDArray]:
    """Voltages (v_pos, v_neg) of the row pairs, [samples, rows] each, for inputs in 0..1.

    unipolar: 0 is mid-rail on both rows, 1 the two rails. bipolar: 0 is the lower rail on the positive row.
    """
    x = np.asarray(inputs, dtype=np.float64)
    signal = rails.half_swing_V * (x if encoding == "unipolar" else 2 * x - 1)
    return rails.mid_V + signal, rails.mid_V - signal
