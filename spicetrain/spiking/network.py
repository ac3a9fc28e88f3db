"""A trained spiking network as what is programmed into the chip: conductances and threshold supplies. Numpy only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.layered import Layered, about_in, crossbars_in, load_stored, numbers_in, stored_crossbars
from spicetrain.storage import content_hash, write_atomic

FORMAT = "spicetrain-spiking-network-1"


@dataclass(frozen=True)
class SpikingNetwork(Layered):
    """A spiking network on memristor arrays.

    crossbars     layer by layer; `pos` are the excitatory, `neg` the inhibitory devices, `bias_pos` and `bias_neg`
                  those of one more row pair, which spikes in every time step
    thresholds_V  of each layer: the middle of its threshold inverters' supply, volts
    about         method, technology, circuit and whatever else belongs to its provenance; JSON
    """

    crossbars: tuple[Crossbar, ...]
    thresholds_V: tuple[float, ...]
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def integrator(self) -> int | None:
        """The layer whose neurons do not fire but are read by their membranes, the last; None: all fire."""
        return len(self.crossbars) - 1 if self.about.get("readout") == "integrator" else None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is programmed and of its provenance."""
        arrays = stored_crossbars(self.crossbars)
        return content_hash(*(array.tobytes() for array in arrays.values()), self.layers, self.thresholds_V, self.about)

    def save(self, path: Path) -> None:
        """Write safetensors, atomically; StorageError when that fails."""
        tensors = stored_crossbars(self.crossbars) | {"thresholds_V": np.array(self.thresholds_V)}
        with write_atomic(path) as temporary:
            temporary.write_bytes(save(tensors, {"format": FORMAT, "about": json.dumps(self.about)}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; StorageError when it is missing, damaged or something else."""
        return load_stored(path, FORMAT, cls._from)

    @classmethod
    def _from(cls, tensors: dict[str, NDArray], header: dict[str, str]) -> Self:
        crossbars = crossbars_in(tensors)
        thresholds = numbers_in(tensors, "thresholds_V", (len(crossbars),))
        return cls(crossbars, tuple(thresholds.tolist()), about_in(header))
