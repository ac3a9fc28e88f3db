"""Currents of inverters as a bicubic Hermite table: what a step of training in float32 on a CPU asks of the surface.

In a cell, with x, y in 0..1 along v_in and v_out,

    i = sum_nm c_nm y^n x^m,   n, m = 0..3

whose value, slopes and mixed second derivative at the four corners are the surface's, in float64: i is continuous with
its slopes, and they are exactly its slopes. Beyond the table it goes on straight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import Currents, CurrentSurface, Mismatch, transistor_currents
from spicetrain.inverter.training.kernels import Table, evaluate_all

_STEP_V = 5e-3  # a fifth of kT/q, on which currents rise: off by less than what float32 loses in the surface's MLP
_MOST_CELLS = 250  # of an axis
_NEAR_V = 1e-5  # for the mixed derivative
# Coefficients of 1, x, x^2, x^3 [4], from value and slope [2] at x = 0 and 1 [2].
_CUBIC = np.array([[[1.0, 0], [0, 0]], [[0, 0], [1, 0]], [[-3, 3], [-2, -1]], [[2, -2], [1, 1]]])


@dataclass(frozen=True)
class HermiteTables:
    """Of several currents over the same voltages. coefficients [currents, cells in, cells out, 16 (n, m)] float32,
    low_V and step_V of both axes."""

    coefficients: NDArray[np.float32]
    low_V: tuple[float, float]
    step_V: tuple[float, float]

    def above(self, mid_V: float) -> tuple[Table, ...]:
        """Each current's, of voltages from mid_V."""
        lowest = (np.float32(low - mid_V) for low in self.low_V)
        cells = (np.int32(count) for count in self.coefficients.shape[1:3])
        axes = (*cells, *lowest, *(np.float32(1 / step) for step in self.step_V))
        return tuple((of.reshape(-1), *axes) for of in self.coefficients)

    @cached_property
    def _of_volts(self) -> tuple[Table, ...]:
        return self.above(0.0)

    def __call__(self, v_in: Tensor, v_out: Tensor) -> Currents:
        """[currents, ...] each, at v_in [currents, ...] and v_out [...]."""
        found = np.empty((len(v_in), 3, v_out.numel()), np.float32)
        gates, outputs = v_in.contiguous().view(len(v_in), -1).numpy(), v_out.contiguous().view(-1).numpy()
        for table, gate, into in zip(self._of_volts, gates, found, strict=True):
            evaluate_all(table, gate, outputs, into)
        i, di_in, di_out = torch.from_numpy(found).view(len(v_in), 3, *v_out.shape).unbind(1)
        return i, di_in, di_out


@dataclass(frozen=True)
class HermiteCurrent:
    """What `current_surface.inverter_current` is of a surface, without mismatch."""

    tables: HermiteTables

    def __call__(self, v_in: Tensor, v_out: Tensor) -> Currents:
        i, di_in, di_out = self.tables(v_in.detach()[None], v_out.detach())
        return i[0], di_in[0], di_out[0]


@dataclass(frozen=True)
class HermiteTransistors:
    """What `current_surface.transistor_currents` is, with mismatch."""

    tables: HermiteTables

    def __call__(self, v_in: Tensor, v_out: Tensor, mismatch: Mismatch) -> tuple[Currents, Currents]:
        values = self.tables(v_in.detach() - mismatch.shift.detach(), v_out.detach())
        if mismatch.factor is not None:
            values = tuple(value * mismatch.factor.detach() for value in values)  # type: ignore[assignment]
        n, p = zip(*(value.unbind() for value in values), strict=True)
        return n, p

    def current(self, v_in: Tensor, v_out: Tensor, mismatch: Mismatch) -> Currents:
        n, p = self(v_in, v_out, mismatch)
        return p[0] - n[0], p[1] - n[1], p[2] - n[2]


def hermite_inverter(surface: CurrentSurface) -> HermiteCurrent:
    """Between the rails."""

    def of(v_in: Tensor, v_out: Tensor) -> Currents:
        n, p = transistor_currents(surface, v_in, v_out)
        return tuple((of_p - of_n)[None] for of_n, of_p in zip(n, p, strict=True))  # type: ignore[return-value]

    rails = (surface.vss_V, surface.vdd_V)
    return HermiteCurrent(_tables(surface, of, rails, rails))


def hermite_transistors(surface: CurrentSurface) -> HermiteTransistors:
    """Over the surface's domain."""

    def of(v_in: Tensor, v_out: Tensor) -> Currents:
        n, p = transistor_currents(surface, v_in, v_out)
        return tuple(torch.stack(both) for both in zip(n, p, strict=True))  # type: ignore[return-value]

    return HermiteTransistors(_tables(surface, of, *surface.domain_V))


@torch.no_grad()
def _tables(
    surface: CurrentSurface,
    currents: Callable[[Tensor, Tensor], Currents],
    over_in: tuple[float, float],
    over_out: tuple[float, float],
) -> HermiteTables:
    """Of a surface in float64; currents [currents, points in, points out]."""
    cells_in, cells_out = (min(math.ceil((high - low) / _STEP_V), _MOST_CELLS) for low, high in (over_in, over_out))
    axes = (
        torch.linspace(*over, cells + 1, dtype=torch.float64)
        for over, cells in ((over_in, cells_in), (over_out, cells_out))
    )
    v_in, v_out = torch.meshgrid(*axes, indexing="ij")
    step_in, step_out = float(v_in[1, 0] - v_in[0, 0]), float(v_out[0, 1] - v_out[0, 0])
    i, di_in, di_out = currents(v_in, v_out)
    above, below = (currents(v_in, v_out + near)[1] for near in (_NEAR_V, -_NEAR_V))
    mixed = (above - below) / (2 * _NEAR_V) * step_in * step_out
    nodes = torch.stack((i, di_in * step_in, di_out * step_out, mixed)).numpy()  # in units of a cell
    # [value or slope of either axis, currents, low or high end of either axis, cells in, cells out]
    corners = sliding_window_view(nodes.reshape(2, 2, *i.shape), (2, 2), (3, 4))
    coefficients = np.einsum("mek,nfl,fetijkl->tijnm", _CUBIC, _CUBIC, corners)
    tables = np.ascontiguousarray(coefficients.reshape(len(i), cells_in, cells_out, 16), dtype=np.float32)
    return HermiteTables(tables, (over_in[0], over_out[0]), (step_in, step_out))
