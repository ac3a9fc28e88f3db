"""What a crossbar is to the nodes on both sides: currents, their slopes, and the gradient in its devices; in torch.

Rows n and p of every pair stand at v_n, v_p [samples, rows], the columns at v_col [samples, columns]. Newton's method
on all of them needs of the crossbar

    into_n, into_p, into_c    currents that it feeds into the nodes
    G_n, G_p, S               by how much these fall with the node's own voltage: sums of slopes over its devices
    the slopes s_n, s_p [rows, columns] of the devices themselves, in products only

Ohmic devices have one slope for all voltages: it is their conductance. Those of (g / b) sinh(b v) have, by the addition
theorem, products of a function of the row and one of the column: products of matrices do for all devices at once what
any other law needs device by device.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

WIDE = 24
"""Columns up to which matrices are made for all samples at once; beyond, `wide_systems` solves without them."""

Gradients = tuple[Tensor | None, ...]
"""With respect to what the crossbar is given by: pos, neg, bias_pos, bias_neg, or the fields of a WiredCrossbar."""


class Tangent(Protocol):
    """At one point: G_n, G_p [samples or 1, rows], S [samples or 1, columns], siemens."""

    G_n: Tensor
    G_p: Tensor
    S: Tensor

    def currents(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(into_n, into_p, into_c), amperes, there: where voltages are that point's."""

    def to_columns(self, x_n: Tensor, x_p: Tensor) -> Tensor:
        """s_n' x_n + s_p' x_p, [samples, columns], of [samples, rows]."""

    def to_rows(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(s_n y, s_p y), [samples, rows], of [samples, columns]."""

    def matrix(self, a: Tensor, b: Tensor, t: Tensor, *, rough: bool) -> Tensor:
        """S - s_n' a s_n - s_p' b s_p - s_p' t s_n, [samples, columns, columns], of [samples, rows] on diagonals.

        rough  a third of the work will do: more steps follow
        """

    @property
    def adjoint(self) -> Tangent:
        """With the slopes of currents into rows and into columns in each other's place."""
        return self  # of a crossbar without wires they are the same

    def gradients(self, l_n: Tensor, l_p: Tensor, l_c: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Gradients:
        """Of -(l_n into_n + l_p into_p + l_c into_c) there, summed over samples."""


class Coupling(Protocol):
    """A crossbar between its rows and its columns."""

    def floating(self, v_n: Tensor, v_p: Tensor) -> Tensor:
        """About where the columns float, [samples, columns] volts, the rows held."""

    def tangent(self, v_n: Tensor, v_p: Tensor, v_col: Tensor) -> Tangent: ...


def outer_products(columns: tuple[Tensor, Tensor], rows: tuple[Tensor, Tensor]) -> Tensor:
    """[..., 3 rows, columns * columns] of slopes (n, p) [..., rows, columns], as they are to the columns and to the
    rows: the matrix is linear in a, b and t, and one product with this table assembles it for all samples."""
    (to_n, to_p), (from_n, from_p) = columns, rows
    pairs = (to_n, from_n), (to_p, from_p), (to_p, from_n)
    return torch.cat([(x[..., :, None] * y[..., None, :]).flatten(-2) for x, y in pairs], -2)


def matrix_of(abt: Tensor, outer: Tensor, S: Tensor) -> Tensor:
    """`Tangent.matrix` of slopes that are the same for all samples; a, b, t side by side [samples, 3 rows]."""
    columns = len(S)
    A = (abt @ outer).neg_().view(-1, columns, columns)
    A.diagonal(dim1=1, dim2=2).add_(S)
    return A


def matrix_by_products(
    a: Tensor, b: Tensor, t: Tensor, columns: tuple[Tensor, Tensor], rows: tuple[Tensor, Tensor], S: Tensor
) -> Tensor:
    """The same without a table, which grows with the square of the columns; slopes as in `outer_products`."""
    (to_n, to_p), (from_n, from_p) = columns, rows
    from_both = torch.addcmul(b[:, :, None] * from_p, t[:, :, None], from_n)
    return torch.diag(S) - to_n.T @ (a[:, :, None] * from_n) - to_p.T @ from_both
