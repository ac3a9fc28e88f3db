"""Where the columns of a crossbar float when ideal sources hold its rows, whatever the devices; in numpy.

A column of ohmic devices stands at the mean of its rows, weighted with the conductances (`Crossbar`). With a law
(g / b) sinh(b v) the addition theorem leaves two sums over the rows, whatever the column's voltage v,

    I = (A cosh(b v) - B sinh(b v)) / b,    A = sum g sinh(b v_row),    B = sum g cosh(b v_row),

so that v = atanh(A / B) / b. Any other law: the one zero of a current that falls with v, by Newton between bounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.crossbar import Array, Crossbar
from spicetrain.array.device import Device
from spicetrain.rails import Rails

_AT_ONCE = 4_000_000  # devices x samples
_STEPS = 100
_NEAR_V = 1e-13


def sinh_sums(crossbar: Crossbar, v_pos: NDArray, v_neg: NDArray, rails: Rails, b_per_V: float) -> tuple[Array, Array]:
    """A and B of the module's docstring, [samples, columns] in siemens, voltages counted from mid-rail."""
    x_pos, x_neg, x_bias = (b_per_V * (v - rails.mid_V) for v in (v_pos, v_neg, rails.vdd_V))
    of_bias = crossbar.bias_pos - crossbar.bias_neg, crossbar.bias_pos + crossbar.bias_neg
    A = np.sinh(x_pos) @ crossbar.pos + np.sinh(x_neg) @ crossbar.neg + np.sinh(x_bias) * of_bias[0]
    B = np.cosh(x_pos) @ crossbar.pos + np.cosh(x_neg) @ crossbar.neg + np.cosh(x_bias) * of_bias[1]
    return A, B


def open_column_voltage(crossbar: Crossbar, v_pos: NDArray, v_neg: NDArray, rails: Rails, device: Device) -> Array:
    """Column voltages [samples, columns], ideal sources holding the rows at v_pos, v_neg [samples, rows], volts."""
    b_per_V = device.sinh_per_V
    if b_per_V == 0:
        return crossbar.open_column_voltage(v_pos, v_neg, rails)
    if b_per_V:
        A, B = sinh_sums(crossbar, v_pos, v_neg, rails, b_per_V)
        return rails.mid_V + np.arctanh(A / B) / b_per_V
    start = crossbar.open_column_voltage(v_pos, v_neg, rails)
    at_once = max(1, _AT_ONCE // crossbar.devices)
    parts = [slice(k, k + at_once) for k in range(0, len(start), at_once)]
    return np.concatenate([_solved(crossbar, v_pos[k], v_neg[k], rails, device, start[k]) for k in parts])


def _solved(crossbar: Crossbar, v_pos: NDArray, v_neg: NDArray, rails: Rails, device: Device, v_col: Array) -> Array:
    g, v_row = _all_rows(crossbar, v_pos, v_neg, rails)
    low, high = np.full_like(v_col, v_row.min()), np.full_like(v_col, v_row.max())
    for _ in range(_STEPS):
        across = v_row[:, :, None] - v_col[:, None]
        current = device.current(g, across).sum(1)
        low, high = np.where(current > 0, v_col, low), np.where(current > 0, high, v_col)
        nearer = v_col + current / device.slope(g, across).sum(1)
        nearer = np.where((nearer > low) & (nearer < high), nearer, (low + high) / 2)
        done = np.abs(nearer - v_col).max() < _NEAR_V
        v_col = nearer
        if done:
            break
    return v_col


def heat(crossbar: Crossbar, v_pos: NDArray, v_neg: NDArray, rails: Rails, device: Device) -> Array:
    """What the crossbar turns into heat, [samples], watts: all of it comes from the sources of its rows and of its bias
    rows, ideal ones as in `open_column_voltage`."""
    if device.sinh_per_V == 0:
        return crossbar.source_power(v_pos, v_neg, rails)
    v_col = open_column_voltage(crossbar, v_pos, v_neg, rails, device)
    found = np.empty(len(v_col))
    for k in range(len(v_col)):
        g, v_row = _all_rows(crossbar, v_pos[k : k + 1], v_neg[k : k + 1], rails)
        across = v_row[:, :, None] - v_col[k : k + 1, None]
        found[k] = (across * device.current(g, across)).sum()
    return found


def _all_rows(crossbar: Crossbar, v_pos: NDArray, v_neg: NDArray, rails: Rails) -> tuple[Array, Array]:
    """(conductances [all rows, columns], voltages [samples, all rows]), bias rows last."""
    bias = np.tile([rails.vdd_V, rails.vss_V], (len(v_pos), 1))
    g = np.concatenate((crossbar.pos, crossbar.neg, crossbar.bias_pos[None], crossbar.bias_neg[None]))
    return g, np.concatenate((v_pos, v_neg, bias), axis=1)
