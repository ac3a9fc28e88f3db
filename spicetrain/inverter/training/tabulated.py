"""A current surface as a bilinear table: a sixth of the price of its MLP, and close enough to start Newton from.

The solver always ends on the MLP itself; the table only brings it near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch, transistor_currents

# (v_in, v_out) of one shape, volts[, mismatch] -> (i_out in A, d i_out / d v_in, d i_out / d v_out in S), same shape.
Current = Callable[..., tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class TabulatedCurrent:
    """i_out = c0 + c1 x + c2 y + c3 x y in each cell; x, y in 0..1 along v_in and v_out. A `Current`.

    coefficients  [cells * cells, 4], v_in varies slowest
    low, step     volts
    """

    coefficients: Tensor
    low: float
    step: float
    cells: int

    def __call__(self, v_in: Tensor, v_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        column, x = _cell(v_in - self.low, self.step, self.cells)
        row, y = _cell(v_out - self.low, self.step, self.cells)
        i_out, di_dx, di_dy = _in_cell(self.coefficients, row.add_(column, alpha=self.cells), x, y)
        return i_out, di_dx.div_(self.step), di_dy.div_(self.step)


@dataclass(frozen=True)
class TabulatedTransistors:
    """The same of each transistor by itself, whose gates mismatch has shifted. A `Current`.

    coefficients      [2 * cells_in * cells_out, 4], those of the nMOS first
    low_in, low_out   volts; step: of both axes
    """

    coefficients: Tensor
    low_in: float
    low_out: float
    step: float
    cells_in: int
    cells_out: int

    def __call__(self, v_in: Tensor, v_out: Tensor, mismatch: Mismatch) -> tuple[Tensor, Tensor, Tensor]:
        column, x = _cell((v_in - mismatch.shift).sub_(self.low_in), self.step, self.cells_in)
        row, y = _cell(v_out - self.low_out, self.step, self.cells_out)
        column[1] += self.cells_in
        i, di_dx, di_dy = _in_cell(self.coefficients, column.mul_(self.cells_out).add_(row), x, y)
        if mismatch.factor is not None:
            i, di_dx, di_dy = i * mismatch.factor, di_dx * mismatch.factor, di_dy * mismatch.factor
        return i[1] - i[0], (di_dx[1] - di_dx[0]).div_(self.step), (di_dy[1] - di_dy[0]).div_(self.step)


def _cell(from_low: Tensor, step: float, cells: int) -> tuple[Tensor, Tensor]:
    """(cell, position in it 0 .. 1) of voltages above the table's lowest; it overwrites them."""
    position = from_low.mul_(1 / step)
    cell = position.to(torch.int32).clamp_(0, cells - 1)
    return cell, position.sub_(cell)


def _in_cell(coefficients: Tensor, cell: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(i, di/dx, di/dy) at x, y in 0..1 of the cells."""
    c0, c1, c2, c3 = torch.nn.functional.embedding(cell, coefficients).unbind(-1)
    di_dx = torch.addcmul(c1, c3, y)
    di_dy = torch.addcmul(c2, c3, x)
    return torch.addcmul(torch.addcmul(c0, c1, x), y, di_dy), di_dx, di_dy


def _cells_between(i: Tensor) -> Tensor:
    """Coefficients [cells, 4] of the cells between currents [..., v_in, v_out], the last axis fastest."""
    i00, i10, i01, i11 = i[..., :-1, :-1], i[..., 1:, :-1], i[..., :-1, 1:], i[..., 1:, 1:]
    return torch.stack([i00, i10 - i00, i01 - i00, i11 - i10 - i01 + i00], dim=-1).reshape(-1, 4).contiguous()


@dataclass(frozen=True)
class TabulatedVtc:
    """v_out(v_in) of the unloaded inverter at equidistant v_in from `low` on, linear in between; volts.

    values  [points, 2]: v_out, and by how much the next point is higher
    """

    values: Tensor
    low: float
    step: float

    def __call__(self, v_in: Tensor) -> Tensor:
        cell, x = _cell(v_in - self.low, self.step, len(self.values))
        value, rise = torch.nn.functional.embedding(cell, self.values).unbind(-1)
        return torch.addcmul(value, rise, x)


@torch.no_grad()
def tabulate_vtc(current: Current, low: float, high: float, *, like: Tensor, cells: int = 250) -> TabulatedVtc:
    """The unloaded VTC of `current`, where i_out = 0, by bisection: i_out falls with v_out."""
    v_in = torch.linspace(low, high, cells + 1, dtype=like.dtype, device=like.device)
    lowest, highest = torch.full_like(v_in, low), torch.full_like(v_in, high)
    for _ in range(24):
        middle = (lowest + highest) / 2
        rises = current(v_in, middle)[0] > 0
        lowest, highest = torch.where(rises, middle, lowest), torch.where(rises, highest, middle)
    values = torch.stack([lowest[:-1], lowest.diff()], dim=-1)
    return TabulatedVtc(values.contiguous(), low, (high - low) / cells)


@torch.no_grad()
def tabulate(current: Current, low: float, high: float, *, like: Tensor, cells: int = 250) -> TabulatedCurrent:
    """Tabulate `current` over the square low..high (volts) with the dtype and device of `like`."""
    v = torch.linspace(low, high, cells + 1, dtype=like.dtype, device=like.device)
    v_in, v_out = torch.meshgrid(v, v, indexing="ij")
    return TabulatedCurrent(_cells_between(current(v_in, v_out)[0]), low, (high - low) / cells, cells)


@torch.no_grad()
def tabulate_transistors(surface: CurrentSurface, cells: int = 250) -> TabulatedTransistors:
    """Both transistors of `surface` over its domain, in its precision; `cells` between the rails."""
    step = (surface.vdd_V - surface.vss_V) / cells
    (low_in, high_in), (low_out, _) = surface.domain_V
    cells_in = round((high_in - low_in) / step)
    v_in, v_out = (
        low + step * torch.arange(count + 1, dtype=surface.mean.dtype, device=surface.mean.device)
        for low, count in ((low_in, cells_in), (low_out, cells))
    )
    over = torch.meshgrid(v_in, v_out, indexing="ij")
    n, p = transistor_currents(surface, over[0], over[1])
    coefficients = _cells_between(torch.stack((n[0], p[0])))
    return TabulatedTransistors(coefficients, low_in, low_out, step, cells_in, cells)
