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
from torch import Tensor

from spicetrain.array.linear_coupling import Ohmic, Wired
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.kernels import Table, linearize, move
from spicetrain.inverter.training.loaded_start import LoadedVtc
from spicetrain.inverter.training.newton import Tolerance, unshifted
from spicetrain.inverter.training.small_systems import solve_systems
from spicetrain.rails import Rails

_SOME = 16  # samples


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

    def into_columns(self, x: Tensor, x_col: Tensor) -> Tensor:
        return torch.addmm(self.i_columns, x, self.T).addcmul_(self.S, x_col, value=-1)

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
    v_in: Tensor, loaded: LoadedVtc, rails: Rails, tolerance: Tolerance,
) -> tuple[tuple[Tensor, Tensor, Tensor], Point, tuple[Tensor, int]]:  # fmt: skip
    """(v_n, v_p, v_col) of the solution, the last step's point, its size [samples] in volts and how many there were.

    m       [2, rows]: fingers of the first and of the second inverters
    tables  of the inverter's current; with mismatch of its nMOS's and its pMOS's; of voltages from mid-rail
    loaded  the outputs to start from, of voltages from mid-rail likewise
    """
    samples, rows = v_in.shape
    mid, half = rails.mid_V, rails.half_swing_V
    x_in = v_in.detach() - mid
    x_near, g = unshifted(x_in, None if mismatch is None else mismatch.of(0)), stage.G / m.detach().flatten()
    x = loaded.start(x_near, g)
    abt, dn_in = x.new_empty(samples, 3 * rows), torch.empty_like(x_in)
    i, from_rows, moved, size = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x), x.new_empty(samples)
    of_stage = (*_transistors(mismatch), m.detach().contiguous().numpy(), stage.G.numpy())
    taken, columns = 0, len(stage.S)
    # Columns are not at mid-rail: all go by the mean matrix of some, and the rows to where they are pulled then.
    x_col = x.new_zeros(samples, columns)
    some = [of[:_SOME].numpy() for of in (stage.into_rows(x, x_col), x_in, x, abt, i, dn_in, from_rows, moved)]
    linearize(tables[0], tables[-1], *of_stage, *some)
    mean = torch.diag(stage.S) - (abt[:_SOME].mean(0) @ stage.outer).view(columns, columns)
    x_col = torch.linalg.solve_ex(mean, stage.into_columns(x, x_col).T)[0].T.nan_to_num_().clamp_(-half, half)
    x = loaded.start(x_near, g, stage.into_rows(x, x_col).div_(stage.G))
    arrays = [of.numpy() for of in (x_in, x, abt, i, dn_in, from_rows, moved)]
    while taken < tolerance.coarse_iterations + tolerance.iterations:
        into = stage.into_rows(x, x_col)
        linearize(tables[0], tables[-1], *of_stage, into.numpy(), *arrays)
        A = (abt @ stage.outer).neg_().view(samples, columns, columns)
        A.diagonal(dim1=1, dim2=2).add_(stage.S)
        dx_col = solve_systems(A, stage.into_columns(moved, x_col))
        pull = dx_col @ stage.b.T
        move(abt.numpy(), from_rows.numpy(), pull.numpy(), np.float32(half), x.numpy(), size.numpy())
        x_col.add_(dx_col).clamp_(-half, half)
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
