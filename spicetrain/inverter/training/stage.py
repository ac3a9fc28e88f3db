"""The stage solver: Kirchhoff's current law at every node between the columns of one crossbar and those of the next.

A stage is n inverter pairs and the crossbar that they drive and that loads them. Unknown are the outputs of the first
inverters v_n, of the second v_p, and the K columns v_col of the crossbar, which drive only gates:

    F_n = m_n I(v_in, v_n) - G_n v_n + g_n v_col + i_ground        D_n = G_n - m_n dI/dv_out > 0
    F_p = m_p I(v_n, v_p) - G_p v_p + g_p v_col + i_ground         D_p likewise,  T = m_p dI/dv_in (v_n, v_p)
    F_c = g_n' v_n + g_p' v_p - S v_col + i_bias                   G = row sums, S = column sums of the conductances

(G with the resistor to mid-rail, where every inverter output has one; i_ground is its current at 0 V.)

Newton on all of it at once; eliminating the inverter nodes leaves one K x K system per sample,

    A dv_col = F_c + g_n' F_n / D_n + g_p' (F_p + T F_n / D_n) / D_p
    A = S - g_n' D_n^-1 g_n - g_p' D_p^-1 g_p - g_p' (T / D_n D_p) g_n.

The gradient is that of the implicit function: one adjoint system with the same A, transposed; nothing is unrolled. It
uses the linearization of the last Newton step, so it is as exact as that step was small.

Mismatch enters I alone: every transistor its own shift of the gate and factor of the current.

Voltages may also be given, solved by somebody else for the same circuit (ngspice): they are then the values, and the
gradient is that of the implicit function linearized there, which asks of the surface its slopes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.newton import Tolerance, convergence_of, iterate, mismatch_gradient, unshifted
from spicetrain.inverter.training.tabulated import Current
from spicetrain.inverter.training.voltages import Convergence


class _Stage:
    """One crossbar and its inverter sizes, in the notation of the module's docstring."""

    def __init__(
        self, g: Conductances, m_n: Tensor, m_p: Tensor, inverters: Inverters, mismatch: Mismatch | None = None
    ):
        self.g_n, self.g_p, self.m_n, self.m_p = g_n, g_p, _, _ = g.pos, g.neg, m_n, m_p
        self.mismatch = () if mismatch is None else (mismatch,)
        self.G_n, self.G_p = (sums + inverters.ground_S for sums in g.row_sums())
        self.S, self.i_bias, self.i_ground = g.column_sum(), g.bias_current(inverters.rails), inverters.i_ground
        rows, columns = g_n.shape
        # A is linear in 1/D_n, 1/D_p and T/(D_n D_p): one product with these tables assembles it for all samples.
        pairs = [(g_n, g_n), (g_p, g_p), (g_p, g_n)]
        self.outer = torch.cat([(a[:, :, None] * b[:, None, :]).view(rows, columns * columns) for a, b in pairs])

    def linearize(self, current: Current, v_in: Tensor, v_n: Tensor, v_p: Tensor) -> tuple[Tensor, ...]:
        """(i_n, i_p, m_n dI/dv_in, 1/D_n, 1/D_p, T / (D_n D_p)) at a point, [samples, rows] each."""
        i, di_in, di_out = current(torch.stack([v_in, v_n]), torch.stack([v_n, v_p]), *self.mismatch)
        a = torch.reciprocal(self.G_n - self.m_n * di_out[0])
        b = torch.reciprocal(self.G_p - self.m_p * di_out[1])
        t = (self.m_p * di_in[1]).mul_(a).mul_(b)
        return i[0], i[1], self.m_n * di_in[0], a, b, t

    def matrix(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """A, [samples, columns, columns], siemens."""
        columns = len(self.S)
        A = (torch.cat([a, b, t], dim=1) @ self.outer).neg_().view(-1, columns, columns)
        A.diagonal(dim1=1, dim2=2).add_(self.S)
        return A


def _newton_step(
    stage: _Stage, linear: tuple[Tensor, ...], v_n: Tensor, v_p: Tensor, v_col: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(dv_n, dv_p, dv_col) of one Newton step, volts."""
    i_n, i_p, _, a, b, t = linear
    F_n = torch.addcmul(v_col @ stage.g_n.T + stage.i_ground, stage.m_n, i_n).addcmul_(stage.G_n, v_n, value=-1)
    F_p = torch.addcmul(v_col @ stage.g_p.T + stage.i_ground, stage.m_p, i_p).addcmul_(stage.G_p, v_p, value=-1)
    F_c = torch.addmm(stage.i_bias, v_n, stage.g_n).addmm_(v_p, stage.g_p).addcmul_(stage.S, v_col, value=-1)
    from_n, from_p = a * F_n, torch.addcmul(b * F_p, t, F_n)
    right = F_c.addmm_(from_n, stage.g_n).addmm_(from_p, stage.g_p)
    dv_col = torch.linalg.solve(stage.matrix(a, b, t), right)
    pull = dv_col @ stage.g_n.T
    dv_n = from_n.addcmul_(a, pull)
    dv_p = from_p.addcmul_(t, pull).addcmul_(b, dv_col @ stage.g_p.T)
    return dv_n, dv_p, dv_col


def _newton(
    stage: _Stage, inverters: Inverters, v_in: Tensor, tolerance: Tolerance
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, ...], tuple[Tensor, int]]:
    """(v_n, v_p, v_col) of the solution, the last linearization, the last step [samples] and how many there were."""
    low, high = inverters.low, inverters.high
    v_n = inverters.vtc(unshifted(v_in, *(mismatch.of(0) for mismatch in stage.mismatch)))
    v_p = inverters.vtc(unshifted(v_n, *(mismatch.of(1) for mismatch in stage.mismatch)))
    v_col = torch.addmm(stage.i_bias, v_n, stage.g_n).addmm_(v_p, stage.g_p).div_(stage.S)
    linear: tuple[Tensor, ...] = ()

    def step(current: Current) -> Tensor:
        nonlocal linear
        linear = stage.linearize(current, v_in, v_n, v_p)
        dv_n, dv_p, dv_col = _newton_step(stage, linear, v_n, v_p, v_col)
        for v, dv in ((v_n, dv_n), (v_p, dv_p), (v_col, dv_col)):
            v.add_(dv).clamp_(low, high)
        return torch.maximum(dv_n.abs_().amax(1), dv_p.abs_().amax(1))

    taken = iterate(step, inverters, tolerance)
    return (v_n, v_p, v_col), linear, taken


class _SolveStage(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        v_in: Tensor,
        g_n: Tensor,
        g_p: Tensor,
        b_pos: Tensor,
        b_neg: Tensor,
        m_n: Tensor,
        m_p: Tensor,
        shift: Tensor | None,
        factor: Tensor | None,
        inverters: Inverters,
        tolerance: Tolerance,
        given: tuple[Tensor, Tensor, Tensor] | None,
    ) -> tuple[Any, ...]:
        mismatch = None if shift is None else Mismatch(shift, factor)
        stage = _Stage(Conductances(g_n, g_p, b_pos, b_neg), m_n, m_p, inverters, mismatch)
        if given is None:
            solution, linear, taken = _newton(stage, inverters, v_in, tolerance)
        else:
            v_n, v_p, v_col = (v.detach() for v in given)  # what is returned becomes part of autograd's graph
            solution, linear = (v_n, v_p, v_col), stage.linearize(inverters.current, v_in, v_n, v_p)
            taken = v_in.new_zeros(len(v_in)), 0
        ctx.stage, ctx.inverters, ctx.v_in = stage, inverters, v_in.detach()
        ctx.save_for_backward(*solution, *linear)
        ctx.mark_non_differentiable(taken[0])
        return *solution, *taken

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        up_n, up_p, up_c, *_ = upstream
        v_n, v_p, v_col, i_n, i_p, dn_in, a, b, t = ctx.saved_tensors
        stage, inverters = ctx.stage, ctx.inverters
        # Adjoint of the Newton system: J' (l_n, l_p, l_c) = upstream; then d/dtheta = -l . dF/dtheta.
        right = -up_c - (a * up_n + t * up_p) @ stage.g_n - (b * up_p) @ stage.g_p
        l_c = torch.linalg.solve(stage.matrix(a, b, t).mT, right)
        from_p = l_c @ stage.g_p.T - up_p
        l_p = b * from_p
        l_n = a * (l_c @ stage.g_n.T - up_n) + t * from_p
        of_mismatch: tuple[Tensor | None, Tensor | None] = None, None
        for mismatch in stage.mismatch:
            l_m = torch.stack((l_n * stage.m_n, l_p * stage.m_p))
            at = torch.stack((ctx.v_in, v_n)), torch.stack((v_n, v_p))
            of_mismatch = mismatch_gradient(ctx.inverters, l_m, *at, mismatch)
        return (
            -l_n * dn_in,
            _outer_gradient(l_n, l_c, v_n, v_col),
            _outer_gradient(l_p, l_c, v_p, v_col),
            (l_c * (v_col - inverters.high)).sum(0),
            (l_c * (v_col - inverters.low)).sum(0),
            -(l_n * i_n).sum(0),
            -(l_p * i_p).sum(0),
            *of_mismatch,
            *(None,) * 3,
        )


def _outer_gradient(l_row: Tensor, l_col: Tensor, v_row: Tensor, v_col: Tensor) -> Tensor:
    """Sum over samples of (l_row - l_col)(v_row - v_col) for every device, [rows, columns]."""
    crossed = l_row.T @ v_col + v_row.T @ l_col
    return (l_row * v_row).sum(0)[:, None] + (l_col * v_col).sum(0) - crossed


@dataclass(frozen=True)
class StageSolution:
    """Voltages of a stage: v_n, v_p [samples, rows], v_col [samples, columns], differentiable; and how well solved."""

    v_n: Tensor
    v_p: Tensor
    v_col: Tensor
    convergence: Convergence


def solve_stage(
    v_in: Tensor,
    g: Conductances,
    sizes: Tensor,
    inverters: Inverters,
    tolerance: Tolerance,
    given: tuple[Tensor, Tensor, Tensor] | None = None,
    mismatch: Mismatch | None = None,
) -> StageSolution:
    """A stage solved, differentiable in v_in, conductances, sizes and mismatch.

    v_in   [samples, rows], volts: gates of the first inverters
    g      siemens: pos are driven by the first, neg by the second inverter of each pair
    sizes  [rows, 2]: fingers of the first and of the second inverter
    given  v_n, v_p, v_col, solved elsewhere with these v_in: returned as they are, with the gradient there
    mismatch  [2 (n, p), 2 (first, second inverter), samples or 1, rows]; with inverters that take one

    Equations: see the module. Nothing is raised for a sample that does not converge: `convergence` counts it.
    """
    of = (None, None) if mismatch is None else mismatch
    answer = _SolveStage.apply(v_in, *g, sizes[:, 0], sizes[:, 1], *of, inverters, tolerance, given)
    v_n, v_p, v_col, step, taken = answer
    return StageSolution(v_n, v_p, v_col, convergence_of(step, taken, tolerance))
