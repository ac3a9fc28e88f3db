"""A crossbar with its wires, exactly: every node of every row and column wire, however large; in numpy.

Rows are driven by ideal sources through their feeds, columns float, or carry a load where they are sensed. With w the
nodes of the row wires, u those of the column wires, L the Laplacian of a chain of segments, g the cells,

    (L / r_row + diag(g) + feeds) w - g u = feeds v_row          (L / r_column + diag(g) + load) u - g w = 0.

Wires by themselves are tridiagonal, and what couples them, g, is small beside 1 / r: eliminating w leaves a symmetric
system of u that conjugate gradients, preconditioned by the column wires, solve to the last digits in a few steps
(7 at 1 ohm and 1,000 x 1,000 cells of microsiemens, 12 at 10 ohm). LAPACK's dpttrs solves all wires of a side at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.lapack import dpttrf, dpttrs

from spicetrain.array.wires import Segments
from spicetrain.errors import SimulationError

Array = NDArray[np.float64]

_AT_ONCE = 8_000_000  # cells x right sides
_STEPS = 2000


class MeshVoltages(NamedTuple):
    """row_nodes, column_nodes [samples, rows, columns]; sensed [samples, columns]; volts."""

    row_nodes: Array
    column_nodes: Array
    sensed: Array


def feeds_of(segments: Segments, columns: int) -> Array:
    """What a row wire is tied to its source by at each column, [columns] siemens."""
    feeds = np.zeros(columns)
    feeds[list(segments.driven(columns))] = 1 / segments.feed_ohm
    return feeds


def delivered(v_rows: Array, row_nodes: Array, feeds: Array) -> Array:
    """Amperes [samples, rows] that sources at v_rows feed into wires whose nodes are at row_nodes."""
    found: Array = feeds.sum() * v_rows - row_nodes @ feeds
    return found


class Tridiagonal:
    """Symmetric positive definite matrices side by side: diagonal [wires, nodes], below it `off`, 0 at the last node.

    Raises SimulationError when they are singular.
    """

    def __init__(self, diagonal: Array, off: Array):
        # One node more, tied to nothing: LAPACK's wrapper refuses a chain of one node.
        d, e, info = dpttrf(np.append(diagonal, 1.0), off.ravel())
        if info or not np.isfinite(diagonal).all():
            wires, nodes = diagonal.shape
            raise SimulationError(
                f"The wires of a crossbar ({wires} of {nodes} nodes) are singular: likely a conductance is 0, negative "
                "or NaN."
            )
        self._factors = d, e

    def solve(self, right: Array) -> Array:
        """[samples, wires, nodes] both."""
        samples, size = len(right), right[0].size
        padded = np.zeros((samples, size + 1))
        padded[:, :size] = right.reshape(samples, size)
        found, _ = dpttrs(*self._factors, padded.T, overwrite_b=1)
        return np.ascontiguousarray(found.T[:, :size]).reshape(right.shape)


class Chains:
    """Wires side by side, [wires, nodes], each a chain of segments with conductances to elsewhere at its nodes; or one
    chain a tile, of the nodes `tiles`. `tied` joins nodes of each wire, of every chain at most its two ends."""

    def __init__(self, segment_S: float, to_elsewhere: Array, *, tiles: Sequence[range] = (), tied: Sequence[int] = ()):
        wires, nodes = to_elsewhere.shape
        tiles = tiles or (range(nodes),)
        self._off = np.full(nodes, -segment_S)
        self._off[[tile.stop - 1 for tile in tiles]] = 0.0
        self.diagonal = to_elsewhere - self._off - np.roll(self._off, 1)
        self._chains = Tridiagonal(self.diagonal, np.tile(self._off, (wires, 1)))
        self.tied = list(tied) if len(tied) > 1 else []
        if self.tied:
            self._tie(tiles)

    def _tie(self, tiles: Sequence[range]) -> None:
        """Between tied nodes the inverse is tridiagonal, too: two of them at most see each other."""
        wires, nodes = self.diagonal.shape
        places = [[k for k, node in enumerate(self.tied) if node in tile] for tile in tiles]
        sets = range(max(map(len, places)))  # of the first ones in every chain, and of the second ones
        of_tile = np.array([[some[min(k, len(some) - 1)] for some in places] for k in sets])
        self._of_node = np.repeat(of_tile, [len(tile) for tile in tiles], axis=1)
        unit = np.zeros((len(sets), wires, nodes))
        for some in places:
            for k, place in enumerate(some):
                unit[k, :, self.tied[place]] = 1.0
        self._around = self._chains.solve(unit)
        own, off = np.empty((wires, len(self.tied))), np.zeros((wires, len(self.tied)))
        for some in places:
            for k, place in enumerate(some):
                own[:, place] = self._around[k, :, self.tied[place]]
                if k:
                    off[:, some[0]] = self._around[0, :, self.tied[place]]
        self._ends = Tridiagonal(own, off)
        self._of_one = self._ends.solve(np.ones((1, *own.shape)))[0]

    def solve(self, right: Array) -> Array:
        """Node voltages of currents into the nodes, [samples, wires, nodes] both."""
        found = self._chains.solve(right)
        if self.tied:  # an ideal tie: currents through it, none in all, that make its nodes equal
            needed = self._ends.solve(found[..., self.tied])
            joined = needed.sum(-1) / self._of_one.sum(-1)
            through = joined[..., None] * self._of_one - needed
            for around, of_node in zip(self._around, self._of_node, strict=True):
                found += around * through[..., of_node]
        return found

    def free(self, currents: Array) -> Array:
        """Without what flows through the tie: it leaves its nodes equal shares of their sum."""
        if self.tied:
            currents[..., self.tied] = currents[..., self.tied].mean(-1, keepdims=True)
        return currents

    def currents(self, v: Array) -> Array:
        """Out of the nodes at `v`, without a tie's."""
        out = self.diagonal * v
        out[..., 1:] += self._off[:-1] * v[..., :-1]
        out[..., :-1] += self._off[:-1] * v[..., 1:]
        return out


def column_chains(segments: Segments, to_elsewhere: Array) -> Chains:
    """The column wires of a crossbar, [columns, row wires], tied where they are sensed."""
    rows = to_elsewhere.shape[1]
    ties = segments.sensed(rows)
    return Chains(1 / segments.column_ohm, to_elsewhere, tiles=segments.tiles(rows), tied=ties)


@dataclass(frozen=True)
class Mesh:
    """g [rows, columns] siemens, in the order of the wires; load_S at every sensed end, to 0 V; solved to `tolerance`
    of the energy's root, below 1e-11 of which rounding stands.

    Raises SimulationError when a conductance is 0, negative or NaN.
    """

    g: Array
    segments: Segments
    load_S: ArrayLike = 0.0
    tolerance: float = 1e-11

    @cached_property
    def _rows(self) -> Chains:
        return Chains(1 / self.segments.row_ohm, self.g + self._feeds)

    @cached_property
    def _columns(self) -> Chains:
        to_elsewhere = self._g_T.copy()
        to_elsewhere[:, self._sensed[0]] += np.asarray(self.load_S, dtype=np.float64)
        return column_chains(self.segments, to_elsewhere)

    @cached_property
    def _g_T(self) -> Array:
        return np.ascontiguousarray(self.g.T, dtype=np.float64)

    @cached_property
    def _feeds(self) -> Array:
        return feeds_of(self.segments, self.g.shape[1])

    @cached_property
    def _sensed(self) -> tuple[int, ...]:
        return self.segments.sensed(self.g.shape[0])

    def columns(self, v_rows: Array) -> Array:
        """Voltages [samples, columns] where the columns are sensed, the rows' sources at v_rows [samples, rows]."""
        parts = [self._solved(*self._driven(v_rows[part])).sensed for part in self._parts(len(v_rows))]
        return np.concatenate(parts)

    def nodes(self, v_rows: Array, through: ArrayLike = 0.0) -> MeshVoltages:
        """The same with all nodes: the memory of 2 rows x columns numbers a sample. `through` [samples, rows, columns]:
        amperes besides those of g, from the row's node to the column's."""
        into_rows, into_columns = self._driven(v_rows)
        further = np.broadcast_to(through, into_rows.shape)
        return self._solved(into_rows - further, into_columns + further.swapaxes(1, 2))

    def transfer(self) -> Array:
        """T [rows, columns]: columns(v) = v T. By as many solutions as there are columns."""
        unit = np.eye(self.g.shape[1])
        parts = [self.adjoint(unit[part]).row_nodes @ self._feeds for part in self._parts(len(unit))]
        return np.concatenate(parts).T

    def conductance(self) -> Array:
        """Y [rows, rows]: currents Y v that the sources deliver at v, the columns open or loaded; siemens."""
        return self.delivered(np.eye(len(self.g))).T

    def delivered(self, v_rows: Array) -> Array:
        """Amperes [samples, rows] that the sources deliver at v_rows [samples, rows]."""
        parts = [v_rows[part] for part in self._parts(len(v_rows))]
        return np.concatenate([delivered(v, self.nodes(v).row_nodes, self._feeds) for v in parts])

    def adjoint(self, upstream: Array) -> MeshVoltages:
        """What a current of `upstream` [samples, columns] amperes into every sensed end makes of all nodes, the sources
        at 0 V: by reciprocity, the derivatives of sum(upstream * sensed) with respect to currents into the nodes."""
        into = np.zeros((len(upstream), *self._g_T.shape))
        into[:, :, self._sensed[0]] = upstream
        return self._solved(np.zeros((len(upstream), *self.g.shape)), into)

    def gradient(self, v_rows: Array, upstream: Array) -> tuple[Array, Array]:
        """Of sum(upstream * columns(v_rows)), upstream [samples, columns]: (with respect to g [rows, columns], to
        v_rows [samples, rows])."""
        with_g, with_v = np.zeros(self.g.shape), np.empty(v_rows.shape)
        for part in self._parts(len(v_rows)):
            at, back = self.nodes(v_rows[part]), self.adjoint(upstream[part])
            with_g -= ((back.row_nodes - back.column_nodes) * (at.row_nodes - at.column_nodes)).sum(0)
            with_v[part] = back.row_nodes @ self._feeds
        return with_g, with_v

    def _parts(self, samples: int) -> Iterator[slice]:
        at_once = max(1, _AT_ONCE // self.g.size)
        for start in range(0, samples, at_once):
            yield slice(start, min(start + at_once, samples))

    def _driven(self, v_rows: Array) -> tuple[Array, Array]:
        """Currents into the row and the column nodes when the feeds pull at v_rows."""
        return v_rows[:, :, None] * self._feeds, np.zeros((len(v_rows), *self._g_T.shape))

    def _solved(self, into_rows: Array, into_columns: Array) -> MeshVoltages:
        """Of currents into all nodes, [samples, rows, columns] and [samples, columns, rows]."""
        alone = self._rows.solve(into_rows)
        u = self._conjugate_gradients(into_columns + self._g_T * alone.swapaxes(1, 2))
        w = alone + self._pulled(u)
        return MeshVoltages(w, np.ascontiguousarray(u.swapaxes(1, 2)), u[:, :, self._sensed[0]])

    def _schur(self, u: Array) -> Array:
        """The columns' equation with the rows eliminated."""
        return self._columns.free(self._columns.currents(u) - self._g_T * self._pulled(u).swapaxes(1, 2))

    def _pulled(self, u: Array) -> Array:
        """The row nodes when nothing but the columns pulls on them, [samples, rows, columns]."""
        return self._rows.solve((self._g_T * u).swapaxes(1, 2))

    def _conjugate_gradients(self, right: Array) -> Array:
        right = self._columns.free(right)
        u = self._columns.solve(right)
        residual = right - self._schur(u)
        p = z = self._columns.solve(residual)
        decline = _inner(residual, z)
        enough = self.tolerance**2 * np.maximum(_inner(right, u), np.finfo(float).tiny)
        for _ in range(_STEPS):
            if np.all(decline <= enough):
                return u
            image = self._schur(p)
            share = decline / np.maximum(_inner(p, image), np.finfo(float).tiny)
            u = u + share[:, None, None] * p
            residual = residual - share[:, None, None] * image
            z = self._columns.solve(residual)
            before, decline = decline, _inner(residual, z)
            p = z + (decline / np.maximum(before, np.finfo(float).tiny))[:, None, None] * p
        raise SimulationError(
            f"The mesh of {self.g.shape[0]} x {self.g.shape[1]} cells is not solved after {_STEPS} steps: likely the "
            f"wires' resistances ({self.segments.row_ohm:g} and {self.segments.column_ohm:g} ohm a segment) are far "
            "too large for its conductances."
        )


def _inner(a: Array, b: Array) -> Array:
    return np.einsum("skn,skn->s", a, b)
