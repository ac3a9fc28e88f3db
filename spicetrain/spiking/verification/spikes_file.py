"""spikes.npz: all spikes of the first images, of the inputs, of the model and of SPICE.

input (levels of `direct`: float32 as they are), and by layer model_<l>, spice_<l>: bits packed along the last axis,
[images, steps, bytes]; v_model_<l>,
v_spice_<l> [images, steps, columns]: membranes at the latch in volts, float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from spicetrain.array.layered import shape_text
from spicetrain.errors import StorageError
from spicetrain.spiking.inputs import Inputs, packed, unpacked
from spicetrain.spiking.verification.figures import Layer
from spicetrain.storage import write_atomic

SPIKES = "spikes.npz"
IMAGES = 20
"""That are kept."""


@dataclass(frozen=True)
class KeptSpikes:
    """inputs [images, steps, rows]; model, spice: by layer."""

    inputs: Inputs
    model: Sequence[Layer]
    spice: Sequence[Layer]


def write_spikes(folder: Path, inputs: Inputs, model: Sequence[Layer], spice: Sequence[Layer]) -> None:
    """Of all images, of which the first are kept; inputs [images, steps, rows]. StorageError when that fails."""
    arrays: dict[str, Any] = {"input": packed(inputs[:IMAGES])}
    for side, layers in (("model", model), ("spice", spice)):
        for index, (spikes, v) in enumerate(layers):
            arrays[f"{side}_{index}"] = packed(spikes[:IMAGES])
            arrays[f"v_{side}_{index}"] = v[:IMAGES].astype(np.float32)
    with write_atomic(folder / SPIKES) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_spikes(path: Path, layers: Sequence[int]) -> KeptSpikes:
    """What `write_spikes` wrote of a network of these widths, inputs first; StorageError: damaged, or of another."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            model, spice = ([_layer(stored, side, k, width) for k, width in enumerate(layers[1:])] for side in _SIDES)
            return KeptSpikes(unpacked(stored["input"], layers[0]), model, spice)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise StorageError(
            f"{path} does not hold the spikes of a {shape_text(layers)} network ({error}): it is damaged, or of "
            "another one. Remove it and run `spicetrain verify` again."
        ) from error


_SIDES = ("model", "spice")


def _layer(stored: Any, side: str, index: int, width: int) -> Layer:
    spikes = unpacked(stored[f"{side}_{index}"], width).astype(np.bool_)
    v = stored[f"v_{side}_{index}"].astype(np.float64)
    if spikes.shape != v.shape:
        raise ValueError(f"layer {index}: {spikes.shape} spikes, {v.shape} membranes")
    return spikes, v
