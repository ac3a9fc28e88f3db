"""Where Newton starts in a stage: outputs of inverters that drive a conductance g to where its columns pull,

    I(v_in, v_out) = g (v_out - v_pull)        for one finger,

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

_INPUTS, _LOADS, _PULLS = 129, 51, 17  # of which one is mid-rail
_LOAD_RANGE = 1e-4, 10.0  # of the inverter's own largest slope; one that saturates has less than a thousandth of it
_ZERO, _ONE, _NEXT = np.float32(0), np.float32(1), np.uint32(1)


@dataclass(frozen=True)
class LoadedVtc:
    """v_out [pulls, inputs, loads] float32 from mid-rail, over v_pull and v_in from rail to rail and over log g."""

    values: NDArray[np.float32]
    half_V: float
    log_g: tuple[float, float]

    def start(self, x_in: Tensor, g: Tensor, pull: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """(v_n, v_p) side by side [samples, 2 rows] from mid-rail, behind x_in [samples, rows]; driving g [2 rows]
        siemens a finger, to `pull` [samples, 2 rows] from mid-rail; None: to mid-rail. shift [2 (first, second
        inverter), samples or 1, rows or 1]: by how much later they switch, volts."""
        low, high = self.log_g
        loads = self.values.shape[2] - 1
        at = ((g.log() - low) * (loads / (high - low))).clamp(0, loads)
        found = x_in.new_empty(len(x_in), len(g))
        pulled = x_in.new_empty(0, len(g)) if pull is None else pull
        of = x_in.new_zeros(2, 1, 1) if shift is None else shift
        given = (at, x_in, pulled, of, found)
        _start(self.values, np.float32(self.half_V), *(numbers.numpy() for numbers in given))
        return found


@torch.no_grad()
def loaded_vtc(current: Current, rails: Rails) -> LoadedVtc:
    """By bisection: what the inverter feeds falls with v_out, what the load takes rises."""
    half, mid = rails.half_swing_V, rails.mid_V
    v = torch.linspace(-half, half, _INPUTS) + mid
    own_S = float(current(*torch.meshgrid(v, v, indexing="ij"))[2].abs().max())
    lightest, heaviest = (float(np.log(own_S * share)) for share in _LOAD_RANGE)
    loads, pulls = torch.linspace(lightest, heaviest, _LOADS).exp(), torch.linspace(-half, half, _PULLS) + mid
    v_pull, v_in, g = torch.meshgrid(pulls, v, loads, indexing="ij")
    low, high = torch.full_like(v_in, mid - half), torch.full_like(v_in, mid + half)
    for _ in range(20):
        middle = (low + high) / 2
        rises = current(v_in, middle)[0] > g * (middle - v_pull)
        low, high = torch.where(rises, middle, low), torch.where(rises, high, middle)
    return LoadedVtc((low - mid).contiguous().numpy(), half, (lightest, heaviest))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _start(values: Any, half: Any, at: Any, x_in: Any, pull: Any, shift: Any, found: Any) -> None:
    """pull [samples, 2 rows]; of no samples: mid-rail, the middle of the planes."""
    pulls, inputs, loads = values.shape
    samples, rows = x_in.shape
    flat, plane, pulled = values.reshape(-1), np.int32(inputs * loads), len(pull) > 0
    per_x = np.float32(0.5) * np.float32(inputs - 1) / half
    per_z = np.float32(0.5) * np.float32(pulls - 1) / half
    first, y = np.empty(2 * rows, np.int32), np.empty(2 * rows, np.float32)
    for q in range(2 * rows):
        b = min(max(np.int32(at[q]), np.int32(0)), np.int32(loads - 2))  # at may be no number
        first[q], y[q] = b + np.int32(0 if pulled else pulls // 2) * plane, at[q] - np.float32(b)
    of_samples, of_rows = shift.shape[1], shift.shape[2]
    for s in range(samples):
        for of_pair in range(2):
            for r in range(rows):
                q = of_pair * rows + r
                later = shift[of_pair, min(s, of_samples - 1), min(r, of_rows - 1)]
                x = ((found[s, r] if of_pair else x_in[s, r]) - later + half) * per_x
                a = min(max(np.int32(x), np.int32(0)), np.int32(inputs - 2))
                k, x = first[q] + a * np.int32(loads), x - np.float32(a)
                if pulled:
                    z = (pull[s, q] + half) * per_z
                    c = min(max(np.int32(z), np.int32(0)), np.int32(pulls - 2))
                    k, z = k + c * plane, min(max(z - np.float32(c), _ZERO), _ONE)
                    v = _between(flat, k, loads, x, y[q])
                    found[s, q] = v + z * (_between(flat, k + plane, loads, x, y[q]) - v)
                else:
                    found[s, q] = _between(flat, k, loads, x, y[q])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _between(flat: Any, k: Any, loads: Any, x: Any, y: Any) -> Any:
    """Bilinear."""
    k = np.uint32(k)  # is no place from the end
    m = k + np.uint32(loads)
    v_0 = flat[k] + y * (flat[k + _NEXT] - flat[k])
    v_1 = flat[m] + y * (flat[m + _NEXT] - flat[m])
    return v_0 + x * (v_1 - v_0)
