"""A crossbar with its wires between its rows' sources and currents drawn from its columns, for the trainer:
`mesh_ports`, fast and differentiable.

Fast is the transfer T of `wired`, and with s the share in which a column's node follows its end (its wire alone), 1 / r
the conductance of that end, b what a row delivers, and R the resistance that two columns share of a row wire

    Y_jk = delta_jk / r_j - R_jk sum_i w_ij w_ik,   w_ij = s_ij sqrt(g_ij b_ij),      B = T Y,      A = diag(b 1).

What the mesh has beyond that is measured now and then, and added: measured at g itself, it makes the fast form exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.mesh import Mesh
from spicetrain.array.mesh_ports import mesh_ports
from spicetrain.array.wired import ROUGHLY, fast_form, row_wires_of
from spicetrain.array.wires import Segments


class Ports(NamedTuple):
    """Siemens, see `mesh_ports`; row wires in their order. B [row wires, columns], Y [columns, columns].

    own      [row wires]: the diagonal of A
    between  [row wires, row wires]: A without it, of a correction at hand where something drives the rows
    reach    segments whose capacitance stands at a column's end; None without a correction
    """

    B: Tensor
    Y: Tensor
    own: Tensor
    between: Tensor | None = None
    reach: float | None = None


def ports(g: Conductances, segments: Segments, correction: Ports | None = None) -> Ports:
    """The fast form, with a correction if there is one. Differentiable in g, the correction being held."""
    cells = row_wires_of(g)
    T, b, end, shared_ohm = fast_form(cells, segments)
    r = end[segments.sensed(len(cells))[0]]
    w = end / r * (cells * b).sqrt()
    Y = torch.diag(1 / r) - shared_ohm * (w.T @ w)
    if correction is None:
        return Ports(T @ Y, Y, b.sum(1))
    B, Y = T @ Y + correction.B, Y + correction.Y
    return Ports(B, Y, b.sum(1) + correction.own, correction.between, correction.reach)


@torch.no_grad()
def ports_corrections(
    crossbars: Sequence[Conductances], segments: Segments, driven: Sequence[bool], *, near: float = ROUGHLY
) -> list[Ports]:
    """Of all crossbars of a network; driven: whether something that gives way drives a crossbar's rows."""
    pairs = zip(crossbars, driven, strict=True)
    return [ports_correction(g, segments, driven=of_rows, near=near) for g, of_rows in pairs]


@torch.no_grad()
def ports_correction(g: Conductances, segments: Segments, *, driven: bool, near: float = ROUGHLY) -> Ports:
    """What the mesh, solved to `near`, has beyond the fast form at g. Raises SimulationError when it is not solved."""
    fine = Conductances(*(value.detach().double() for value in g))
    fast, like = ports(fine, segments), g.pos
    exact = mesh_ports(Mesh(row_wires_of(fine).cpu().numpy(), segments, tolerance=near), rows=driven)
    B, Y = (torch.from_numpy(array).to(fast.B) for array in (exact.B, exact.Y))
    own, between = torch.zeros_like(fast.own), None
    if exact.A is not None:
        A = torch.from_numpy(exact.A).to(fast.B)
        own, between = A.diagonal() - fast.own, (A - torch.diag(A.diagonal())).to(like)
    return Ports((B - fast.B).to(like), (Y - fast.Y).to(like), own.to(like), between, exact.reach)
