"""Where Newton starts in a stage: outputs of inverters that drive a conductance g to mid-rail, all columns there,

    I(v_in, v_out) = g (v_out - mid)        for one finger,

tabulated once. From there two steps are enough; from outputs without loads, 0.1 V off, five.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.inverter.training.tabulated import Current
from spicetrain.rails import Rails

_INPUTS, _LOADS = 129, 41
_LOAD_RANGE = 1e-3, 10.0  # of the inverter's own largest slope


@dataclass(frozen=True)
class LoadedVtc:
    """v_out [inputs, loads] float32 from mid-rail, over v_in from rail to rail and over log g."""

    values: NDArray[np.float32]
    half_V: float
    log_g: tuple[float, float]

    def start(self, x_in: Tensor, g: Tensor) -> Tensor:
        """(v_n, v_p) side by side [samples, 2 rows] from mid-rail, behind x_in [samples, rows]; driving g [2 rows]
        siemens a finger."""
        low, high = self.log_g
        loads = self.values.shape[1] - 1
        at = ((g.log() - low) * (loads / (high - low))).clamp(0, loads)
        found = x_in.new_empty(len(x_in), len(g))
        _start(self.values, np.float32(self.half_V), at.numpy(), x_in.numpy(), found.numpy())
        return found


@torch.no_grad()
def loaded_vtc(current: Current, rails: Rails) -> LoadedVtc:
    """By bisection: what the inverter feeds falls with v_out, what the load takes rises."""
    half, mid = rails.half_swing_V, rails.mid_V
    v = torch.linspace(-half, half, _INPUTS) + mid
    own_S = float(current(*torch.meshgrid(v, v, indexing="ij"))[2].abs().max())
    lightest, heaviest = (float(np.log(own_S * share)) for share in _LOAD_RANGE)
    v_in, g = torch.meshgrid(v, torch.linspace(lightest, heaviest, _LOADS).exp(), indexing="ij")
    low, high = torch.full_like(v_in, mid - half), torch.full_like(v_in, mid + half)
    for _ in range(20):
        middle = (low + high) / 2
        rises = current(v_in, middle)[0] > g * (middle - mid)
        low, high = torch.where(rises, middle, low), torch.where(rises, high, middle)
    return LoadedVtc((low - mid).contiguous().numpy(), half, (lightest, heaviest))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _start(values: Any, half: Any, at: Any, x_in: Any, found: Any) -> None:
    samples, rows = x_in.shape
    for s in range(samples):
        for r in range(rows):
            found[s, r] = _between(values, half, x_in[s, r], at[r])
        for r in range(rows):
            found[s, rows + r] = _between(values, half, found[s, r], at[rows + r])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _between(values: Any, half: Any, x_in: Any, at: Any) -> Any:
    """Bilinear."""
    inputs, loads = values.shape
    x = (x_in + half) * (np.float32(0.5) * np.float32(inputs - 1) / half)
    a = min(max(np.int32(x), np.int32(0)), np.int32(inputs - 2))
    b = min(max(np.int32(at), np.int32(0)), np.int32(loads - 2))  # at may be no number
    x, y = x - np.float32(a), at - np.float32(b)
    v_0 = values[a, b] + y * (values[a, b + 1] - values[a, b])
    v_1 = values[a + 1, b] + y * (values[a + 1, b + 1] - values[a + 1, b])
    return v_0 + x * (v_1 - v_0)
