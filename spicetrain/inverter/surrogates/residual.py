"""What a fitted surface is off by at every measured point, between them a bicubic spline.

An MLP ends where the luck of its fit ends, at 1e-5 of a transistor's current or so, of which two inverters make some
microvolts. That is nothing to a training or to the accuracy of a chip, but it is to a comparison with ngspice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import spline_filter
from torch import Tensor


@dataclass(frozen=True)
class Residual:
    """Cubic B-splines over a regular grid, for both transistors.

    coefficients  [2, points along v_in + 2, points along v_out + 2]
    low_V, step_V  of (v_in, v_out)
    """

    coefficients: Tensor
    low_V: tuple[float, float]
    step_V: tuple[float, float]

    def of(self, transistor: int, v_in: Tensor, v_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(value, slope over v_in, slope over v_out in 1/V), [points] each, at voltages [points]; its ends beyond."""
        table = self.coefficients[transistor]
        cells = tuple(
            _basis((v - low) / step, size - 2)
            for v, low, step, size in zip((v_in, v_out), self.low_V, self.step_V, table.shape, strict=True)
        )
        (row, at_in, d_in), (column, at_out, d_out) = cells
        four = torch.arange(4, device=table.device)
        index = (row[:, None, None] + four[:, None]) * table.shape[1] + column[:, None, None] + four
        near = table.reshape(-1)[index]  # [points, 4, 4]
        over_out, slope_out = (torch.einsum("pij,pj->pi", near, weights) for weights in (at_out, d_out))
        value, slope_in = ((weights * over_out).sum(1) for weights in (at_in, d_in))
        return value, slope_in / self.step_V[0], (at_in * slope_out).sum(1) / self.step_V[1]


def _basis(position: Tensor, points: int) -> tuple[Tensor, Tensor, Tensor]:
    """(first coefficient, weights of four, their slopes), [points(, 4)], at positions counted in grid steps."""
    cell = position.floor().clamp(0, points - 2).long()
    f = (position - cell).clamp(0, 1)
    g = 1 - f
    weights = torch.stack((g**3, 3 * f**3 - 6 * f**2 + 4, 3 * g**3 - 6 * g**2 + 4, f**3), -1) / 6
    slopes = torch.stack((-(g**2), 3 * f**2 - 4 * f, -3 * g**2 + 4 * g, f**2), -1) / 2
    return cell, weights, slopes


def residual_of(values: NDArray[np.float64], v_in: NDArray[np.float64], v_out: NDArray[np.float64]) -> Residual:
    """The spline through `values` [2, v_in, v_out] on evenly spaced voltages; what is not finite is taken from the
    nearest point along v_out."""
    filled = np.stack([_filled(of_one) for of_one in values])
    coefficients = np.stack([spline_filter(of_one, order=3, mode="mirror") for of_one in filled])
    padded = np.pad(coefficients, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    steps = [float(v[-1] - v[0]) / (len(v) - 1) for v in (v_in, v_out)]
    return Residual(torch.from_numpy(padded), (float(v_in[0]), float(v_out[0])), (steps[0], steps[1]))


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    columns = np.arange(values.shape[1])
    return np.stack([np.interp(columns, columns[have], row[have]) for row, have in zip(values, known, strict=True)])
