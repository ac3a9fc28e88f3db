"""Newton for a stage of crossbars whose slopes are constant, in float32 on a CPU: the steps of `stage`, compiled.

What goes number by number is numba's, what is a product of matrices BLAS's. Voltages are from mid-rail here, and
those of both rows of a pair lie side by side: x = (x_n, x_p) [samples, 2 rows].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from spicetrain.array.linear_coupling import Ohmic, Wired
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.hermite import POINTS, Table, evaluate, scratch
from spicetrain.inverter.training.loaded_start import LoadedVtc
from spicetrain.inverter.training.newton import Tolerance, unshifted
from spicetrain.inverter.training.small_systems import solve_systems

_ZERO, _ONE = np.float32(0), np.float32(1)


@dataclass(frozen=True)
class Compiled:
    """A stage: into the rows flows x_col b' - G x - x Y' + i_rows, into the columns x T - S x_col + i_columns, amperes;
    outer as in `tangent.outer_products`."""

    T: Tensor
    b: Tensor
    G: Tensor
    S: Tensor
    i_columns: Tensor
    outer: Tensor
    Y: Tensor | None = None
    i_rows: Tensor | None = None

    @classmethod
    def of(cls, crossbar: Ohmic | Wired, ground_S: float) -> Compiled:
        G = torch.cat((crossbar.G_n, crossbar.G_p)) + ground_S
        if isinstance(crossbar, Ohmic):
            g = torch.cat((crossbar.g_n, crossbar.g_p))
            i_columns = crossbar.i_bias + crossbar.rails.mid_V * (g.sum(0) - crossbar.S)
            return cls(g, g, G, crossbar.S, i_columns, crossbar.outer)
        T, b = torch.cat((crossbar.T_n, crossbar.T_p)), torch.cat((crossbar.b_n, crossbar.b_p))
        known = T, b, G, crossbar.S, crossbar.t_bias, crossbar.outer
        if crossbar.Y is None:
            return cls(*known)
        of_rows = crossbar.Y[:-2].unflatten(0, (-1, 2)).transpose(0, 1).flatten(0, 1)
        by_rows = of_rows[:, :-2].unflatten(1, (-1, 2)).transpose(1, 2).flatten(1)
        i_rows = crossbar.half_V * (of_rows[:, -1] - of_rows[:, -2])
        return cls(*known, by_rows.contiguous(), i_rows)

    def into_rows(self, x: Tensor, x_col: Tensor) -> Tensor:
        into = x_col @ self.b.T
        if self.Y is not None and self.i_rows is not None:
            into.add_(self.i_rows).sub_(x @ self.Y.T)
        return into


@dataclass(frozen=True)
class Point:
    """Where the last Newton step started: a, b, t of `stage` side by side [samples, 3 rows], the matrix A, i_n and i_p
    side by side, dn_in = m_n dI/dv_in."""

    abt: Tensor
    A: Tensor
    i: Tensor
    dn_in: Tensor


def newton(
    stage: Compiled, m: Tensor, tables: Sequence[Table], mismatch: Mismatch | None,
    v_in: Tensor, loaded: LoadedVtc, rails: tuple[float, float], tolerance: Tolerance,
) -> tuple[tuple[Tensor, Tensor, Tensor], Point, tuple[Tensor, int]]:  # fmt: skip
    """(v_n, v_p, v_col) of the solution, the last step's point, its size [samples] in volts and how many there were.

    m       [2, rows]: fingers of the first and of the second inverters
    tables  of the inverter's current; with mismatch of its nMOS's and its pMOS's; of voltages from mid-rail
    loaded  to start from
    """
    samples, rows = v_in.shape
    low, high = rails
    mid = (low + high) / 2
    x_in = v_in.detach() - mid
    x = loaded.start(unshifted(x_in, None if mismatch is None else mismatch.of(0)), stage.G / m.detach().flatten())
    x_col = torch.addmm(stage.i_columns, x, stage.T).div_(stage.S)
    abt, dn_in = x.new_empty(samples, 3 * rows), torch.empty_like(x_in)
    i, from_rows, moved, size = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x), x.new_empty(samples)
    of_stage = (*_transistors(mismatch), m.detach().contiguous().numpy(), stage.G.numpy())
    arrays = [of.numpy() for of in (x_in, x, abt, i, dn_in, from_rows, moved)]
    half, columns = np.float32((high - low) / 2), len(stage.S)
    taken = 0
    while taken < tolerance.coarse_iterations + tolerance.iterations:
        into = stage.into_rows(x, x_col)
        _linearize(tables[0], tables[-1], *of_stage, into.numpy(), *arrays)
        A = (abt @ stage.outer).neg_().view(samples, columns, columns)
        A.diagonal(dim1=1, dim2=2).add_(stage.S)
        right = torch.addmm(stage.i_columns, moved, stage.T).addcmul_(stage.S, x_col, value=-1)
        dx_col = solve_systems(A, right)
        pull = dx_col @ stage.b.T
        _move(abt.numpy(), from_rows.numpy(), pull.numpy(), half, x.numpy(), size.numpy())
        x_col.add_(dx_col).clamp_(low - mid, high - mid)
        taken += 1
        if bool(size.max() <= tolerance.step_V):
            break
    x.add_(mid)
    return (x[:, :rows], x[:, rows:], x_col.add_(mid)), Point(abt, A, i, dn_in), (size, taken)


def _transistors(mismatch: Mismatch | None) -> tuple[Any, Any]:
    """Shifts and factors [currents, 2 (first, second inverter), samples or 1, rows or 1]."""
    if mismatch is None:
        return np.zeros((1, 2, 1, 1), np.float32), np.ones((1, 2, 1, 1), np.float32)
    shift, factor = mismatch.shift.detach().contiguous(), mismatch.factor
    return shift.numpy(), (torch.ones(2, 2, 1, 1) if factor is None else factor.detach().contiguous()).numpy()


# Where the parts of the workspace w begin.
_M_N, _M_P, _G_N, _G_P, _X_IN, _X_N, _X_P, _INTO_N, _INTO_P, _A, _B, _T, _FROM_N, _FROM_P, _DN_IN, _GATE = (
    POINTS * n for n in range(16)
)
_N, _P, _ONE_KIND, _ALL = 16 * POINTS, 19 * POINTS, 22 * POINTS, 25 * POINTS  # of current and slopes


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _linearize(
    first: Any, last: Any, shift: Any, factor: Any, m: Any, G: Any, into: Any,
    x_in: Any, x: Any, abt: Any, i: Any, dn_in: Any, from_rows: Any, moved: Any,
) -> None:  # fmt: skip
    """At x: a, b, t; from_rows = (a F_n, b F_p + t F_n), where rows go, columns held; moved = x + from_rows."""
    samples, rows = x_in.shape
    on, w = scratch(), np.empty(_ALL, np.float32)
    for start in range(0, rows, POINTS):
        points = min(POINTS, rows - start)
        q, t = rows + start, 2 * rows + start
        for k in range(points):
            w[_M_N + k], w[_M_P + k] = m[0, start + k], m[1, start + k]
            w[_G_N + k], w[_G_P + k] = G[start + k], G[q + k]
        for s in range(samples):
            for k in range(points):
                w[_X_IN + k] = x_in[s, start + k]
            for k in range(points):
                w[_X_N + k], w[_X_P + k] = x[s, start + k], x[s, q + k]
            for k in range(points):
                w[_INTO_N + k], w[_INTO_P + k] = into[s, start + k], into[s, q + k]
            if len(shift) == 1:
                evaluate(first, w, _X_IN, _X_N, _N, points, on)
                evaluate(first, w, _X_N, _X_P, _P, points, on)
            else:
                _mismatched(first, last, shift, factor, 0, s, start, w, _X_IN, _X_N, _N, points, on)
                _mismatched(first, last, shift, factor, 1, s, start, w, _X_N, _X_P, _P, points, on)
            _eliminate_rows(points, w)
            for k in range(points):
                abt[s, start + k], abt[s, q + k], abt[s, t + k] = w[_A + k], w[_B + k], w[_T + k]
            for k in range(points):
                from_rows[s, start + k], from_rows[s, q + k] = w[_FROM_N + k], w[_FROM_P + k]
            for k in range(points):
                moved[s, start + k], moved[s, q + k] = w[_X_N + k] + w[_FROM_N + k], w[_X_P + k] + w[_FROM_P + k]
            for k in range(points):
                i[s, start + k], i[s, q + k] = w[_N + k], w[_P + k]
            for k in range(points):
                dn_in[s, start + k] = w[_DN_IN + k]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _mismatched(
    n: Any, p: Any, shift: Any, factor: Any, which: Any, s: Any, start: Any,
    w: Any, x_in: Any, x_out: Any, found: Any, points: Any, on: Any,
) -> None:  # fmt: skip
    """As `evaluate`, of the first or of the second inverters of sample s, by their transistors n and p."""
    s_shift, s_factor = min(s, shift.shape[2] - 1), min(s, factor.shape[2] - 1)
    for of in range(2):
        for k in range(points):
            w[_GATE + k] = w[x_in + k] - shift[of, which, s_shift, min(start + k, shift.shape[3] - 1)]
        evaluate(p if of else n, w, _GATE, x_out, _ONE_KIND, points, on)
        for part in range(0, 3 * POINTS, POINTS):
            for k in range(points):
                value = factor[of, which, s_factor, min(start + k, factor.shape[3] - 1)] * w[_ONE_KIND + part + k]
                w[found + part + k] = value - w[found + part + k] if of else value


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _eliminate_rows(points: Any, w: Any) -> None:
    for k in range(points):
        m_n, m_p = w[_M_N + k], w[_M_P + k]
        a = _ONE / (w[_G_N + k] - m_n * w[_N + 2 * POINTS + k])
        b = _ONE / (w[_G_P + k] - m_p * w[_P + 2 * POINTS + k])
        t = m_p * w[_P + POINTS + k] * a * b
        F_n = w[_INTO_N + k] + m_n * w[_N + k] - w[_G_N + k] * w[_X_N + k]
        F_p = w[_INTO_P + k] + m_p * w[_P + k] - w[_G_P + k] * w[_X_P + k]
        w[_A + k], w[_B + k], w[_T + k] = a, b, t
        w[_FROM_N + k], w[_FROM_P + k] = a * F_n, b * F_p + t * F_n
        w[_DN_IN + k] = m_n * w[_N + POINTS + k]


@njit(cache=True, nogil=True, error_model="numpy")
def _move(abt: Any, from_rows: Any, pull: Any, half: Any, x: Any, size: Any) -> None:
    """x by a step, between -half and half; size [samples] its largest part, not a number where one is none."""
    samples, rows = len(x), x.shape[1] // 2
    for s in range(samples):
        largest, broken = _ZERO, _ZERO
        for r in range(rows):
            q = rows + r
            dx_n = from_rows[s, r] + abt[s, r] * pull[s, r]
            dx_p = from_rows[s, q] + abt[s, rows + q] * pull[s, r] + abt[s, q] * pull[s, q]
            x[s, r], x[s, q] = min(max(x[s, r] + dx_n, -half), half), min(max(x[s, q] + dx_p, -half), half)
            largest = max(largest, max(abs(dx_n), abs(dx_p)))
            broken += _ZERO * dx_n + _ZERO * dx_p
        size[s] = largest + broken
