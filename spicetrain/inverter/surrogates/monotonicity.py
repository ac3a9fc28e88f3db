"""The certificate that the stage solver's equations have one solution only.

At an inverter's output node the solver meets m i_out(v_in, v_out) = G (v_out - v), with any load G > 0 and any size m.
Its derivative D = G - m di_out/dv_out is positive, and the solution single, when di_out/dv_out <= 0 over the whole
domain. The exact derivative f is evaluated on a dense grid. Inside a cell of sides h it can exceed its largest corner
by no more than its distance from the bilinear interpolation, h^2/8 (max |f_xx| + max |f_yy|); the second derivatives
are taken from the second differences around the cell's corners, doubled. Whether the grid resolves the surrogate is
tested with the bound itself: made of every second point only, it should cover the points it has not seen; by how much
it misses any of them is added. A feature narrower than half a cell (0.5 mV at the default grid and 0.5 V between the
rails) that no grid point touches would not be seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.inverter.surrogates.current_surface import CurrentSurface, inverter_current

Grid = NDArray[np.float64]

_SAFETY = 2.0
_CHUNK_ROWS = 64


@dataclass(frozen=True)
class Certificate:
    """What was found, per finger. A derivative is certified when its bound, valid between grid points too, is <= 0.

    max_di_dv_out_S, max_di_dv_in_S       largest on the grid
    bound_di_dv_out_S, bound_di_dv_in_S   largest possible anywhere in the domain
    margin_S               -bound_di_dv_out_S: the least output conductance one can rely on; negative when not certified
    least_unique_load_S    load conductance per finger from which on the solution is single; 0 when certified
    certified, falls_with_v_in   verdicts on di_out/dv_out (what the solver needs) and on di_out/dv_in (it inverts)
    """

    grid: int
    safety: float
    max_di_dv_out_S: float
    bound_di_dv_out_S: float
    max_di_dv_in_S: float
    bound_di_dv_in_S: float
    margin_S: float
    least_unique_load_S: float
    certified: bool
    falls_with_v_in: bool

    def to_json(self) -> dict[str, float | int | bool]:
        """Plain values."""
        return asdict(self)


def certify(surface: CurrentSurface, grid: int = 501) -> Certificate:
    """Examine di_out/dv_out and di_out/dv_in on a `grid` x `grid` (odd) over the surface's domain, in float64."""
    over_in, over_out = derivatives_on_grid(surface, grid)
    bound_in, bound_out = _bound(over_in), _bound(over_out)
    return Certificate(
        grid=grid,
        safety=_SAFETY,
        max_di_dv_out_S=float(over_out.max()),
        bound_di_dv_out_S=bound_out,
        max_di_dv_in_S=float(over_in.max()),
        bound_di_dv_in_S=bound_in,
        margin_S=-bound_out,
        least_unique_load_S=max(bound_out, 0.0),
        certified=bound_out <= 0,
        falls_with_v_in=bound_in <= 0,
    )


def derivatives_on_grid(surface: CurrentSurface, grid: int) -> tuple[Grid, Grid]:
    """(di_out/dv_in, di_out/dv_out) of one finger in S, [v_in, v_out], over the measured domain."""
    exact = surface.to(torch.float64)
    v_in, v_out = (torch.linspace(low, high, grid, dtype=torch.float64) for low, high in surface.domain_V)
    over_in, over_out = np.empty((grid, grid)), np.empty((grid, grid))
    for row in range(0, grid, _CHUNK_ROWS):  # keeps the activations in the cache
        rows = slice(row, row + _CHUNK_ROWS)
        over = torch.meshgrid(v_in[rows], v_out, indexing="ij")
        with torch.no_grad():
            _, d_in, d_out = inverter_current(exact, over[0], over[1])
        over_in[rows], over_out[rows] = d_in.numpy(), d_out.numpy()
    return over_in, over_out


def _bound(values: Grid) -> float:
    """The largest value possible anywhere in the domain, between the grid points too."""
    unseen = values[1::2, 1::2]  # the middles of the cells of every second point
    missed = (unseen - _cell_bounds(values[::2, ::2])).max()
    return float(_cell_bounds(values).max() + max(missed, 0.0))


def _cell_bounds(values: Grid) -> Grid:
    """The largest value possible in each cell, if its second derivatives are those around it."""
    bend = _second_differences(values) + _second_differences(values.T).T
    return _largest_corner(values) + _SAFETY / 8 * _largest_corner(bend)


def _second_differences(values: Grid) -> Grid:
    """|f(x - h) - 2 f(x) + f(x + h)| along the first axis; an edge takes its neighbour's."""
    return np.pad(np.abs(np.diff(values, 2, axis=0)), ((1, 1), (0, 0)), mode="edge")


def _largest_corner(values: Grid) -> Grid:
    """Of every cell, [rows - 1, columns - 1]."""
    pairs = np.maximum(values[:-1], values[1:])
    return np.maximum(pairs[:, :-1], pairs[:, 1:])
