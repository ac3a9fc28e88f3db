"""Many small linear systems at once, in float32 on a CPU: eliminated side by side, where LAPACK takes one by one.

Without pivoting, which the systems of a stage hardly ever need; every solution is put into its equation, and what does
not fulfil it is solved by LAPACK, with pivoting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

_SIDE_BY_SIDE = 16
_NEAR = np.float32(1e-5)  # of the right side's largest


def solve_systems(A: Tensor, right: Tensor, *, transposed: bool = False) -> Tensor:
    """x [systems, n] of A x = right, or of A' x = right; A [systems, n, n], right [systems, n]. A singular one gives
    numbers that are not finite."""
    x = torch.empty_like(right)
    unsolved = _solve(A.numpy(), right.numpy(), transposed, x.numpy())
    if unsolved.any():
        them = torch.from_numpy(unsolved)
        x[them] = solve_with_pivots(A[them], right[them], transposed)
    return x


def solve_with_pivots(A: Tensor, right: Tensor, transposed: bool) -> Tensor:
    """What `solve_systems` gives, by LAPACK."""
    lu, pivots, _ = torch.linalg.lu_factor_ex(A)
    solution: Tensor = torch.linalg.lu_solve(lu, pivots, right[..., None], adjoint=transposed)
    return solution[..., 0]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _solve(A: Any, right: Any, transposed: Any, x: Any) -> Any:
    """Fills x; which systems [systems] it does not solve."""
    systems, n = right.shape
    of, lu = np.empty((n, n, _SIDE_BY_SIDE), np.float32), np.empty((n, n, _SIDE_BY_SIDE), np.float32)
    b, v = np.empty((n, _SIDE_BY_SIDE), np.float32), np.empty((n, _SIDE_BY_SIDE), np.float32)
    off, largest = np.empty(_SIDE_BY_SIDE, np.float32), np.empty(_SIDE_BY_SIDE, np.float32)
    unsolved = np.zeros(systems, np.bool_)
    for start in range(0, systems, _SIDE_BY_SIDE):
        for s in range(_SIDE_BY_SIDE):
            which = min(start + s, systems - 1)
            for i in range(n):
                b[i, s] = v[i, s] = right[which, i]
                for j in range(n):
                    of[i, j, s] = lu[i, j, s] = A[which, j, i] if transposed else A[which, i, j]
        _eliminate(lu, v)
        off[:], largest[:] = 0, 0
        for i in range(n):
            row = b[i].copy()
            for j in range(n):
                for s in range(_SIDE_BY_SIDE):
                    row[s] -= of[i, j, s] * v[j, s]
            for s in range(_SIDE_BY_SIDE):
                off[s], largest[s] = off[s] + abs(row[s]), max(largest[s], abs(b[i, s]))
        for s in range(min(_SIDE_BY_SIDE, systems - start)):
            unsolved[start + s] = not off[s] <= _NEAR * largest[s]
            for i in range(n):
                x[start + s, i] = v[i, s]
    return unsolved


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _eliminate(lu: Any, v: Any) -> None:
    """v [n, side by side] becomes the solution, lu [n, n, side by side] its factors."""
    n = len(v)
    for k in range(n):
        for s in range(_SIDE_BY_SIDE):
            lu[k, k, s] = 1 / lu[k, k, s]
        for i in range(k + 1, n):
            for s in range(_SIDE_BY_SIDE):
                lu[i, k, s] *= lu[k, k, s]
                v[i, s] -= lu[i, k, s] * v[k, s]
            for j in range(k + 1, n):
                for s in range(_SIDE_BY_SIDE):
                    lu[i, j, s] -= lu[i, k, s] * lu[k, j, s]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            for s in range(_SIDE_BY_SIDE):
                v[k, s] -= lu[k, j, s] * v[j, s]
        for s in range(_SIDE_BY_SIDE):
            v[k, s] *= lu[k, k, s]
