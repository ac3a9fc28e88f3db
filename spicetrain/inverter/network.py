"""A trained inverter-based memristive network as what is programmed into the chip: conductances and sizes.

Numpy only: the netlists are built from it, the trainer makes it, verification compares the two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.layered import Layered, about_in, crossbars_in, load_stored, numbers_in, stored_crossbars
from spicetrain.array.placement import row_order
from spicetrain.array.wires import Segments
from spicetrain.rails import Rails
from spicetrain.storage import content_hash, write_atomic

FORMAT = "spicetrain-network-1"
Encoding = Literal["unipolar", "bipolar"]
Stored = TypeVar("Stored")


@dataclass(frozen=True)
class Network(Layered):
    """An inverter-based memristive network.

    crossbars  layer by layer
    sizes      per crossbar, the inverters behind its columns in unit fingers: [columns, 2] for a hidden layer (first
               and second inverter), [columns, 1] for the last
    encoding   how an input in 0..1 becomes the voltages of its row pair
    about      method, technology and whatever else belongs to its provenance; JSON
    ground_S   siemens from every inverter output to mid-rail: RIM's resistors (IEEE TCAS-II 2020); 0: there are none
    bias_pairs  equal devices in parallel that each bias conductance is made of
    row_ranking  the inputs, those first that vary most over the training images: what `row_order` goes by
    """

    crossbars: tuple[Crossbar, ...]
    sizes: tuple[NDArray[np.float64], ...]
    encoding: Encoding = "unipolar"
    about: dict[str, Any] = field(default_factory=dict)
    ground_S: float = 0.0
    bias_pairs: int = 1
    row_ranking: NDArray[np.int64] | None = None

    def row_order(self, segments: Segments | None) -> NDArray[np.int64] | None:
        """Which input drives which row pair of the first crossbar, [rows], where wires change it; None: as given.
        ConfigurationError when the network does not know how its inputs vary."""
        return row_order(self.row_ranking, segments)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is programmed and of its provenance; a file's own bytes differ from one writing to the next."""
        arrays = [array for crossbar in self.crossbars for array in vars(crossbar).values()] + list(self.sizes)
        return content_hash(
            *(array.tobytes() for array in arrays), self.layers, self.encoding, self.about, self.ground_S,
            *([] if self.bias_pairs == 1 else [self.bias_pairs]),
            *([] if self.row_ranking is None else [self.row_ranking.tolist()]),
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write safetensors, atomically; StorageError when that fails."""
        tensors = stored_crossbars(self.crossbars)
        tensors |= {f"{index}.sizes": np.ascontiguousarray(sizes) for index, sizes in enumerate(self.sizes)}
        if self.row_ranking is not None:
            tensors["row_ranking"] = np.ascontiguousarray(self.row_ranking)
        header = {"encoding": self.encoding, "about": json.dumps(self.about), "ground_S": repr(self.ground_S)}
        header["bias_pairs"] = str(self.bias_pairs)
        with write_atomic(path) as temporary:
            temporary.write_bytes(save(tensors, {"format": FORMAT, **header}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; StorageError when it is missing, damaged or something else."""
        return load_stored(path, FORMAT, cls._from)

    @classmethod
    def _from(cls, tensors: dict[str, NDArray], header: dict[str, str]) -> Self:
        crossbars = crossbars_in(tensors)
        inverters = [2] * (len(crossbars) - 1) + [1]
        sizes = tuple(
            numbers_in(tensors, f"{i}.sizes", (box.columns, count), above=0.0)
            for i, (box, count) in enumerate(zip(crossbars, inverters, strict=True))
        )
        encoding = header["encoding"]
        if encoding not in get_args(Encoding):
            raise ValueError(f"encoding {encoding!r}")
        ground_S = float(header.get("ground_S", 0.0))
        if not 0 <= ground_S < np.inf:
            raise ValueError(f"ground_S = {ground_S}, where a finite number from 0 on is wanted")
        bias_pairs = int(header.get("bias_pairs", 1))
        if bias_pairs < 1:
            raise ValueError(f"bias_pairs = {bias_pairs}, where a whole number from 1 on is wanted")
        ranking = tensors.get("row_ranking")
        if ranking is not None and not np.array_equal(np.sort(ranking), np.arange(crossbars[0].rows)):
            raise ValueError(f"row_ranking does not have each of the {crossbars[0].rows} rows once")
        return cls(crossbars, sizes, cast(Encoding, encoding), about_in(header), ground_S, bias_pairs, ranking)


def encode(inputs: ArrayLike, encoding: Encoding, rails: Rails) -> tuple[NDArray, NDArray]:
    """Voltages (v_pos, v_neg) of the row pairs, [samples, rows] each, for inputs in 0..1.

    unipolar: 0 is mid-rail on both rows, 1 the two rails. bipolar: 0 is the lower rail on the positive row.
    """
    x = np.asarray(inputs, dtype=np.float64)
    signal = rails.half_swing_V * (x if encoding == "unipolar" else 2 * x - 1)
    return rails.mid_V + signal, rails.mid_V - signal
