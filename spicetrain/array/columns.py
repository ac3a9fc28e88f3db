"""Columns of a crossbar between rows that something else holds, whatever the devices; in torch, differentiable.

The laws are those of `open_column`. Where they have no closed form, every device of a small array is looked at. Of a
large one the current into a column is known at a few voltages around those where columns stand, as products of
matrices, and a polynomial in between has its zero, in float64 moved to that of the current itself. The gradient is the
implicit function's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.open_column import open_column_voltage
from spicetrain.rails import Rails

_FEW = 4_000_000  # devices x samples: above it the polynomial is faster
_NODES = 8
_ROUNDS = 4
_NEWTON_STEPS = 6
_MARGIN = 0.1  # of the range of all columns
_LEAST_V = 1e-4


def open_columns(g: Conductances, signal: Tensor, rails: Rails, device: Device) -> Tensor:
    """Column voltages [samples, columns], ideal sources holding the pairs at mid-rail +- signal [samples, rows]."""
    b_per_V = device.sinh_between(rails)
    if b_per_V == 0:
        return g.open_columns(signal, rails)
    if b_per_V is None:
        return _solved(g, signal, -signal, rails, device)
    sinh, cosh = twice_hyperbolic(b_per_V * signal)
    return _of_sums(sinh @ (g.pos - g.neg), cosh @ (g.pos + g.neg), g, rails, b_per_V)


def held_columns(g: Conductances, v_pos: Tensor, v_neg: Tensor, rails: Rails, device: Device) -> Tensor:
    """The same with the rows held at v_pos, v_neg [samples, rows], volts."""
    b_per_V = device.sinh_between(rails)
    if b_per_V == 0:
        return g.column_voltages(v_pos, v_neg, rails)
    if b_per_V is None:
        return _solved(g, v_pos - rails.mid_V, v_neg - rails.mid_V, rails, device)
    (sh_pos, ch_pos), (sh_neg, ch_neg) = (twice_hyperbolic(b_per_V * (v - rails.mid_V)) for v in (v_pos, v_neg))
    return _of_sums(sh_pos @ g.pos + sh_neg @ g.neg, ch_pos @ g.pos + ch_neg @ g.neg, g, rails, b_per_V)


def twice_hyperbolic(x: Tensor) -> tuple[Tensor, Tensor]:
    """Twice the sinh and the cosh, by one exponential: what digits the one loses near 0 the other does not have."""
    up = x.exp()
    down = up.reciprocal()
    return up - down, up + down


def _of_sums(A: Tensor, B: Tensor, g: Conductances, rails: Rails, b_per_V: float) -> Tensor:
    """v = atanh(A / B) / b, A and B twice those of `open_column` and without the bias rows yet."""
    x = b_per_V * rails.half_swing_V
    A = A + 2 * math.sinh(x) * (g.bias_pos - g.bias_neg)
    B = B + 2 * math.cosh(x) * (g.bias_pos + g.bias_neg)
    return rails.mid_V + torch.atanh(A / B) / b_per_V


class _Rows(NamedTuple):
    """Devices proportional to `g` [rows, columns], of rows at v [samples or 1, rows] above mid-rail."""

    g: Tensor
    v: Tensor
    law: Device

    def current(self, v_col: float) -> Tensor:
        """Into every column at v_col, [samples or 1, columns], of all rows but those at mid-rail."""
        across = self.v - v_col
        return (self.law.current(torch.ones_like(across), across) * (self.v != 0)) @ self.g

    def idle(self) -> Tensor:
        """The conductances of the rows at mid-rail together, [samples or 1, columns]. A law bends most around 0 V, and
        the columns stand near mid-rail: no polynomial knows what these rows do."""
        return (self.v == 0).to(self.g) @ self.g


def _solved(g: Conductances, v_pos: Tensor, v_neg: Tensor, rails: Rails, device: Device) -> Tensor:
    """Columns, volts, of any law; v_pos, v_neg above mid-rail."""
    half_V = rails.half_swing_V
    bias = g.pos.new_tensor([[half_V, -half_V]])
    sides = [(g.pos, v_pos), (g.neg, v_neg), (torch.stack((g.bias_pos, g.bias_neg)), bias)]
    rows = [_Rows(part, v, law) for of_side, v in sides for part, law in device.parts(of_side)]
    symmetric = Rails(vdd_V=half_V, vss_V=-half_V)
    if v_pos.shape[0] * g.pos.numel() < _FEW:
        v_col = _exactly(g, v_pos, v_neg, symmetric, device)
        current, slope = _sums(rows, v_col)
        return rails.mid_V + v_col + (current - current.detach()) / slope.detach()
    idle = [(row.idle(), row.law) for row in rows]
    v_col = g.column_voltages(v_pos, v_neg, symmetric).detach()
    for _ in range(_ROUNDS):
        nodes = _Nodes.around(v_col)
        at_nodes = torch.stack([sum((row.current(v) for row in rows), torch.zeros(())) for v in nodes.voltages])
        polynomial = nodes.coefficients(at_nodes)
        with torch.no_grad():
            v_col = _zero(polynomial, nodes, idle, v_col).clamp(-half_V, half_V)
        if nodes.hold(v_col):
            break
    if v_col.dtype == torch.float64:
        v_col = _exactly(g, v_pos, v_neg, symmetric, device)
    current, slope = _current_at(polynomial, nodes, idle, v_col)
    return rails.mid_V + v_col + (current - current.detach()) / slope.detach()


def _sums(rows: Sequence[_Rows], v_col: Tensor) -> tuple[Tensor, Tensor]:
    """As `_current_at`, device by device."""
    across = [(row, row.v[:, :, None] - v_col[:, None]) for row in rows]
    current = sum((row.law.current(row.g, v).sum(1) for row, v in across), torch.zeros(()))
    return current, sum((row.law.slope(row.g, v).sum(1) for row, v in across), torch.zeros(()))


class _Nodes(NamedTuple):
    """Chebyshev points of an interval of column voltages."""

    middle_V: float
    half_V: float

    @classmethod
    def around(cls, v_col: Tensor) -> _Nodes:
        low, high = float(v_col.min()), float(v_col.max())
        return cls((low + high) / 2, (high - low) * (0.5 + _MARGIN) + _LEAST_V)

    @property
    def positions(self) -> NDArray[np.float64]:
        return np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)

    @property
    def voltages(self) -> list[float]:
        return [float(v) for v in self.middle_V + self.half_V * self.positions]

    def hold(self, v_col: Tensor) -> bool:
        return bool(((v_col - self.middle_V).abs() <= self.half_V).all())

    def coefficients(self, values: Tensor) -> Tensor:
        """Of the polynomial through values [nodes, ...], lowest power of (v - middle) / half first."""
        powers = np.linalg.inv(np.vander(self.positions, increasing=True))
        return torch.tensordot(torch.as_tensor(powers).to(values), values, 1)


def _current_at(
    polynomial: Tensor, nodes: _Nodes, idle: Sequence[tuple[Tensor, Device]], v_col: Tensor
) -> tuple[Tensor, Tensor]:
    """(current into every column, by how much it falls with the column's voltage), both [samples, columns]."""
    x = (v_col - nodes.middle_V) / nodes.half_V
    value, rise = polynomial[-1], torch.zeros(())
    for coefficient in reversed(polynomial[:-1]):
        value, rise = coefficient + x * value, value + x * rise
    for g, law in idle:
        value = value + law.current(g, -v_col)
    return value, sum((law.slope(g, -v_col) for g, law in idle), -rise / nodes.half_V)


def _zero(polynomial: Tensor, nodes: _Nodes, idle: Sequence[tuple[Tensor, Device]], v_col: Tensor) -> Tensor:
    for _ in range(_NEWTON_STEPS):
        current, slope = _current_at(polynomial, nodes, idle, v_col)
        v_col = v_col + (current / slope).clamp(-nodes.half_V, nodes.half_V)
    return v_col


def _exactly(g: Conductances, v_pos: Tensor, v_neg: Tensor, rails: Rails, device: Device) -> Tensor:
    crossbar = Crossbar(*(of.detach().cpu().numpy() for of in g))
    solved = open_column_voltage(crossbar, v_pos.detach().cpu().numpy(), v_neg.detach().cpu().numpy(), rails, device)
    return torch.as_tensor(solved).to(g.pos)
