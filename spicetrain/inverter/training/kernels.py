"""What a training step does number by number, compiled by numba: the table of currents, the rows of a stage.

In one file, because numba's cache of compiled functions looks at the file of a function, not at those it calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

Table = tuple[Any, ...]
"""As numba takes it, of one current: its coefficients in a row, cells and lowest volts of both axes, cells a volt."""

_ZERO, _ONE, _TWO, _THREE = (np.float32(n) for n in range(4))  # numba would make a product with 2 one of float64
POINTS = 64  # evaluated in one go, in the first cache
_INDEX = ir.IntType(32)
_FOUR = ir.VectorType(ir.FloatType(), 4)


@intrinsic
def cubics(typing_context: Any, c: Any, start: Any, y: Any, found: Any, row: Any) -> Any:
    """found[row, :4] = c_0 + c_1 y + c_2 y^2 + c_3 y^3 and found[row, 4:] its slope, with the four vectors of four
    c_n = c[start + 4 n :][:4]. c [numbers], found [rows, 8] float32, contiguous; nothing checks start and row."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def vectors(place: int, first: Any) -> Any:
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            return builder.bitcast(builder.gep(array.data, [first]), _FOUR.as_pointer())

        def load(n: int) -> Any:
            loaded = builder.load(builder.gep(cell, [ir.Constant(_INDEX, n)]))
            loaded.align = 4
            return loaded

        def plus(product: tuple[Any, Any], addend: Any) -> Any:
            return builder.fadd(builder.fmul(*product, flags=["contract"]), addend, flags=["contract"])

        def times(factor: float, vector: Any) -> Any:
            return builder.fmul(vector, ir.Constant(_FOUR, [factor] * 4))

        _, start, y, _, row = arguments
        cell, into = vectors(0, start), vectors(3, builder.mul(row, ir.Constant(row.type, 8)))
        c_0, c_1, c_2, c_3 = (load(n) for n in range(4))
        undefined = ir.Constant(_FOUR, ir.Undefined)
        first = builder.insert_element(undefined, y, ir.Constant(_INDEX, 0))
        ys = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, 4), [0] * 4))
        value = plus((plus((plus((c_3, ys), c_2), ys), c_1), ys), c_0)
        slope = plus((plus((times(3.0, c_3), ys), times(2.0, c_2)), ys), c_1)
        for n, vector in enumerate((value, slope)):
            builder.store(vector, builder.gep(into, [ir.Constant(_INDEX, n)])).align = 4
        return context.get_dummy_value()

    return types.void(c, start, y, found, row), code


@njit(cache=True, nogil=True)
def scratch() -> Any:
    """What `evaluate` writes on."""
    return np.empty(4 * POINTS, np.float32), np.empty(POINTS, np.int32), np.empty((POINTS, 8), np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def evaluate(table: Any, w: Any, v_in: Any, v_out: Any, found: Any, points: Any, on: Any) -> None:
    """i, di/dv_in, di/dv_out at w[found:], w[found + POINTS:], w[found + 2 POINTS:], of the voltages at w[v_in:] and
    w[v_out:], up to POINTS of them.

    Places in one array, not slices: a slice costs as much as sixteen points, and of several arrays the compiler cannot
    know that they do not overlap.
    """
    c, cells_in, cells_out, low_in, low_out, per_in, per_out = table
    at, start, q = on
    last_in, last_out = cells_in - np.int32(1), cells_out - np.int32(1)
    for k in range(points):
        from_a, from_b = (w[v_in + k] - low_in) * per_in, (w[v_out + k] - low_out) * per_out
        a = min(max(np.int32(from_a), np.int32(0)), last_in)
        b = min(max(np.int32(from_b), np.int32(0)), last_out)
        from_a, from_b = from_a - np.float32(a), from_b - np.float32(b)
        x, y = min(max(from_a, _ZERO), _ONE), min(max(from_b, _ZERO), _ONE)
        at[k], at[POINTS + k], at[2 * POINTS + k], at[3 * POINTS + k] = x, y, from_a - x, from_b - y
        start[k] = (a * cells_out + b) * np.int32(16)
    for k in range(points):
        cubics(c, start[k], at[POINTS + k], q, k)  # type: ignore[call-arg]  # the compiler brings the first
    for k in range(points):
        x = at[k]
        dx = (_THREE * q[k, 3] * x + _TWO * q[k, 2]) * x + q[k, 1]
        dy = ((q[k, 7] * x + q[k, 6]) * x + q[k, 5]) * x + q[k, 4]
        i = ((q[k, 3] * x + q[k, 2]) * x + q[k, 1]) * x + q[k, 0]
        w[found + k] = i + dx * at[2 * POINTS + k] + dy * at[3 * POINTS + k]
        w[found + POINTS + k], w[found + 2 * POINTS + k] = dx * per_in, dy * per_out


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate_all(table: Any, v_in: Any, v_out: Any, found: Any) -> None:
    """found [3, points] at v_in, v_out [points]."""
    on, w = scratch(), np.empty(5 * POINTS, np.float32)
    for start in range(0, len(v_out), POINTS):
        points = min(POINTS, len(v_out) - start)
        for k in range(points):
            w[k], w[POINTS + k] = v_in[start + k], v_out[start + k]
        evaluate(table, w, 0, POINTS, 2 * POINTS, points, on)
        for n in range(3):
            for k in range(points):
                found[n, start + k] = w[(2 + n) * POINTS + k]


# Where the parts of the workspace w begin.
_M_N, _M_P, _G_N, _G_P, _X_IN, _X_N, _X_P, _INTO_N, _INTO_P, _A, _B, _T, _FROM_N, _FROM_P, _DN_IN, _GATE = (
    POINTS * n for n in range(16)
)
_N, _P, _ONE_KIND, _ALL = 16 * POINTS, 19 * POINTS, 22 * POINTS, 25 * POINTS  # of current and slopes


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def linearize(
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
def move(abt: Any, from_rows: Any, pull: Any, half: Any, x: Any, size: Any) -> None:
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
