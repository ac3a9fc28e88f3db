"""What the rows of the first layer are given, [..., steps, rows]: spikes (bool), or of the encoder `direct` how far
each is driven from rest to its rail, 0..1 (float32)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Inputs = NDArray[np.bool_] | NDArray[np.float32]


def packed(inputs: Inputs) -> NDArray:
    """Spikes eight a byte along the last axis, uint8; levels as they are."""
    if inputs.dtype == np.bool_:
        return np.packbits(inputs.astype(np.bool_), axis=-1)
    return np.ascontiguousarray(inputs, np.float32)


def unpacked(stored: NDArray, rows: int) -> Inputs:
    """What `packed` gave of so many rows; ValueError when it is not of so many."""
    bits = stored.dtype == np.uint8
    if stored.ndim != 3 or stored.shape[2] != (-(-rows // 8) if bits else rows):
        raise ValueError(f"{stored.shape} packed spikes for {rows} neurons")
    return np.unpackbits(stored, axis=-1, count=rows).astype(bool) if bits else stored.astype(np.float32)


def row_volts(inputs: Inputs, level_V: float, rest_V: float) -> NDArray[np.float64]:
    """Of rows that rest at `rest_V`, and stand at `level_V` while they spike, or by a share on the way to it."""
    if inputs.dtype == np.bool_:
        return np.where(inputs, level_V, rest_V)
    volts: NDArray[np.float64] = rest_V + inputs.astype(np.float64) * (level_V - rest_V)
    return volts
