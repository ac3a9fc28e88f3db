"""Newton for a stage of crossbars whose slopes are constant, in float32 on a CPU: the steps of `stage`, compiled.

What goes number by number is numba's, what is a product of matrices BLAS's. Voltages are from mid-rail here, and
those of both rows of a pair lie side by side: x = (x_n, x_p) [samples, 2 rows].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.linear_coupling import Ohmic, Wired
from spicetrain.array.tangent import WIDE, matrix_of
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.kernels import Table, linearize, move
from spicetrain.inverter.training.loaded_start import LoadedVtc
from spicetrain.inverter.training.newton import Tolerance, mean_shift
from spicetrain.inverter.training.small_systems import solve_systems
from spicetrain.inverter.training.wide_systems import WideSystems, inverse_of_mean
from spicetrain.rails import Rails

_SOME = 16  # samples
_NEAR_V = 1e-6  # where systems are not solved exactly: what a last Newton step of `Tolerance` leaves as well
_ROUGHLY = 0.1  # how far a first step is solved where that costs less: a second one follows


@dataclass(frozen=True)
class Compiled:
    """A stage: into the rows flow x_col b' - G x - x Y' + i_rows amperes, into columns x T - S x_col + i_columns."""

    crossbar: Ohmic | Wired
    T: Tensor
    b: Tensor
    G: Tensor
    S: Tensor
    i_columns: Tensor
    Y: Tensor | None = None
    i_rows: Tensor | None = None

    @classmethod
    def of(cls, crossbar: Ohmic | Wired, ground_S: float) -> Compiled:
        G = torch.cat((crossbar.G_n, crossbar.G_p)) + ground_S
        if isinstance(crossbar, Ohmic):
            g = torch.cat((crossbar.b_n, crossbar.b_p))
            i_columns = crossbar.i_bias + crossbar.rails.mid_V * (g.sum(0) - crossbar.S)
            return cls(crossbar, g, g, G, crossbar.S, i_columns)
        T, b = torch.cat((crossbar.T_n, crossbar.T_p)), torch.cat((crossbar.b_n, crossbar.b_p))
        known = crossbar, T, b, G, crossbar.S, crossbar.t_bias
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
    """Where the last Newton step started: a, b, t of `stage` side by side [samples, 3 rows], the matrices A or what
    solves without them, i_n and i_p side by side, dn_in = m_n dI/dv_in."""

    abt: Tensor
    systems: Tensor | WideSystems
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
    rows, columns = v_in.shape[1], len(stage.S)
    mid, half = rails.mid_V, rails.half_swing_V
    x_in, m = v_in.detach() - mid, m.detach().contiguous()
    inverters = tables[0], tables[-1], *_transistors(mismatch), m.numpy(), stage.G.numpy()
    start = partial(loaded.start, x_in, stage.G / m.flatten(), shift=mean_shift(mismatch))
    x, x_col, into, inverse = _start(stage, inverters, x_in, start, half)
    rows_at, size, taken = _Rows.of(x_in), x.new_empty(len(x)), 0
    while taken < tolerance.coarse_iterations + tolerance.iterations:
        if stage.Y is not None:  # by which rows see each other
            into = stage.into_rows(x, x_col)
        linearize(*inverters, *(of.numpy() for of in (into, x_in, x, *rows_at)))
        into_columns, rough = stage.into_columns(rows_at.moved, x_col), columns > WIDE and not taken
        systems: Tensor | WideSystems
        if columns > WIDE:
            a, b, t = rows_at.abt.tensor_split(3, 1)
            systems = WideSystems(stage.crossbar, a, b, t, inverse)
            dx_col, *pulls = systems.solve(into_columns, near=_ROUGHLY if rough else None, near_V=_NEAR_V)
            pull = torch.cat(pulls, 1)
        else:
            systems = matrix_of(rows_at.abt, stage.crossbar.outer, stage.S)
            dx_col = solve_systems(systems, into_columns)
            pull = dx_col @ stage.b.T
        step = rows_at.abt.numpy(), rows_at.from_rows.numpy(), pull.numpy()
        move(*step, np.float32(half), x.numpy(), size.numpy())
        x_col.add_(dx_col)
        taken += 1
        if bool(size.max() <= tolerance.step_V) and not rough:
            break
        if bool(x_col.abs().max() <= half):
            into.add_(pull)
        else:
            into = stage.into_rows(x, x_col.clamp_(-half, half))
    x_col.clamp_(-half, half)
    x.add_(mid)
    point = Point(rows_at.abt, systems, rows_at.i, rows_at.dn_in)
    return (x[:, :rows], x[:, rows:], x_col.add_(mid)), point, (size, taken)


class _Rows(NamedTuple):
    """What `kernels.linearize` fills: a, b, t side by side; i_n and i_p; dn_in; where rows go by themselves, and are
    then."""

    abt: Tensor
    i: Tensor
    dn_in: Tensor
    from_rows: Tensor
    moved: Tensor

    @classmethod
    def of(cls, x_in: Tensor) -> _Rows:
        samples, rows = x_in.shape
        return cls(*(x_in.new_empty(samples, parts * rows) for parts in (3, 2, 1, 2, 2)))


def _start(
    stage: Compiled, inverters: Any, x_in: Tensor, start: Callable[..., Tensor], half: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x, x_col): columns go from mid-rail by the mean matrix of some samples, and rows to where these pull them; what
    flows into the rows; the inverse of that matrix."""
    x = start()
    x_col = x.new_zeros(len(x), len(stage.S))
    some = x_in[:_SOME]
    rows_at = _Rows.of(some)
    into = stage.into_rows(x[:_SOME], x_col[:_SOME])
    linearize(*inverters, *(of.numpy() for of in (into, some, x, *rows_at)))
    inverse = inverse_of_mean(stage.crossbar, *rows_at.abt.tensor_split(3, 1)).nan_to_num_()
    x_col = (stage.into_columns(x, x_col) @ inverse.T).clamp_(-half, half)
    into = stage.into_rows(x, x_col)
    return start(into / stage.G), x_col, into, inverse


def _transistors(mismatch: Mismatch | None) -> tuple[Any, Any]:
    """Shifts and factors [currents, 2 (first, second inverter), samples or 1, rows or 1]."""
    if mismatch is None:
        return np.zeros((1, 2, 1, 1), np.float32), np.ones((1, 2, 1, 1), np.float32)
    shift, factor = mismatch.shift.detach().contiguous(), mismatch.factor
    return shift.numpy(), (torch.ones(2, 2, 1, 1) if factor is None else factor.detach().contiguous()).numpy()
