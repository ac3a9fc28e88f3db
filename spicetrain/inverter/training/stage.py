"""The stage solver: Kirchhoff's current law at every node between the columns of one crossbar and those of the next.

A stage is n inverter pairs and the crossbar that they drive and that loads them. Unknown are the outputs of the first
inverters v_n, of the second v_p, and the K columns v_col of the crossbar, which drive only gates:

    F_n = m_n I(v_in, v_n) - G_n v_n + g_n v_col + i_ground        D_n = G_n - m_n dI/dv_out > 0
    F_p = m_p I(v_n, v_p) - G_p v_p + g_p v_col + i_ground         D_p likewise,  T = m_p dI/dv_in (v_n, v_p)
    F_c = g_n' v_n + g_p' v_p - S v_col + i_bias                   G = row sums, S = column sums of the conductances

(G with the resistor to mid-rail, where every inverter output has one; i_ground is its current at 0 V. Of devices that
bend, g_n, g_p, G and S below are slopes at the present voltages, and the currents are theirs: `array.tangent`.)

Newton on all of it at once; eliminating the inverter nodes leaves one K x K system per sample,

    A dv_col = F_c + g_n' F_n / D_n + g_p' (F_p + T F_n / D_n) / D_p
    A = S - g_n' D_n^-1 g_n - g_p' D_p^-1 g_p - g_p' (T / D_n D_p) g_n,

which is made where K is small, and otherwise solved by what it does to vectors (`wide_systems`).

The gradient is that of the implicit function: one adjoint system with the same A, transposed; nothing is unrolled. It
uses the linearization of the last Newton step, so it is as exact as that step was small.

Mismatch enters I alone: every transistor its own shift of the gate and factor of the current.

Voltages may also be given, solved by somebody else for the same circuit (ngspice): they are then the values, and the
gradient is that of the implicit function linearized there, which asks of the surface its slopes only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.coupling import coupling
from spicetrain.array.device import Device
from spicetrain.array.linear_coupling import Ohmic, Wired
from spicetrain.array.tangent import WIDE, Coupling, Tangent
from spicetrain.array.wired import WiredCrossbar
from spicetrain.array.wired_bent import BentCrossbar
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.compiled_stage import Compiled, newton
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.loaded_start import LoadedVtc
from spicetrain.inverter.training.newton import (
    Tolerance,
    convergence_of,
    iterate,
    mean_shift,
    mismatch_gradient,
    unshifted,
)
from spicetrain.inverter.training.small_systems import solve_systems
from spicetrain.inverter.training.tabulated import Current
from spicetrain.inverter.training.voltages import Convergence
from spicetrain.inverter.training.wide_systems import WideSystems, inverse_of_mean


class _Stage:
    """One crossbar and its inverter sizes, in the notation of the module's docstring."""

    def __init__(
        self,
        crossbar: Coupling,
        m_n: Tensor,
        m_p: Tensor,
        inverters: Inverters,
        mismatch: Mismatch | None = None,
        beyond: tuple[Tensor, Tensor, Tensor] | None = None,
    ):
        self.crossbar, self.m_n, self.m_p, self.beyond = crossbar, m_n, m_p, beyond
        self.mismatch = () if mismatch is None else (mismatch,)
        self.ground_S, self.i_ground = inverters.ground_S, inverters.i_ground

    def linearize(
        self, current: Current, v_in: Tensor, v_n: Tensor, v_p: Tensor, v_col: Tensor, *, rough: bool = False
    ) -> _Linear:
        """At a point; rough: near enough for a step that others follow."""
        s = self.crossbar.tangent(v_n, v_p, v_col)
        i, di_in, di_out = current(torch.stack([v_in, v_n]), torch.stack([v_n, v_p]), *self.mismatch)
        a = torch.reciprocal((s.G_n + self.ground_S) - self.m_n * di_out[0])
        b = torch.reciprocal((s.G_p + self.ground_S) - self.m_p * di_out[1])
        t = (self.m_p * di_in[1]).mul_(a).mul_(b)
        return _Linear(i[0], i[1], self.m_n * di_in[0], a, b, t, s, rough)


@dataclass
class _Linear:
    """i_n, i_p, dn_in = m_n dI/dv_in, a = 1/D_n, b = 1/D_p, t = T / (D_n D_p), [samples, rows] each; the crossbar's."""

    i_n: Tensor
    i_p: Tensor
    dn_in: Tensor
    a: Tensor
    b: Tensor
    t: Tensor
    s: Tangent
    rough: bool

    @cached_property
    def wide(self) -> WideSystems | None:
        """What solves without A."""
        if self.s.S.shape[-1] <= WIDE or self.a.device.type != "cpu":
            return None
        abt = self.a, self.b, self.t
        return WideSystems(self.s, *abt, inverse_of_mean(self.s, *abt) if self.s.S.dim() == 1 else None)

    @cached_property
    def A(self) -> Tensor:
        return self.s.matrix(self.a, self.b, self.t, rough=self.rough)

    @cached_property
    def factors(self) -> tuple[Tensor, Tensor]:
        """LU of A, which the last step and its gradient share."""
        lu, pivots, _ = torch.linalg.lu_factor_ex(self.A)  # unread: of a singular one no number comes, which is counted
        return lu, pivots

    def solve(self, right: Tensor, *, transposed: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """A^-1 right, or A'^-1 right, [samples, columns], and `to_rows` of it, of the adjoint if transposed."""
        if self.wide is not None:
            return self.wide.solve(right, transposed=transposed)
        if right.dtype == torch.float32 and right.device.type == "cpu":
            found = solve_systems(self.A, right, transposed=transposed)
        else:
            found = torch.linalg.lu_solve(*self.factors, right[..., None], adjoint=transposed)[..., 0]
        return found, *(self.s.adjoint if transposed else self.s).to_rows(found)


def _newton_step(
    stage: _Stage, linear: _Linear, v_n: Tensor, v_p: Tensor, v_col: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(dv_n, dv_p, dv_col) of one Newton step, volts."""
    F_n, F_p, F_c = linear.s.currents(v_n, v_p, v_col)
    if stage.beyond is not None:
        for F, i in zip((F_n, F_p, F_c), stage.beyond, strict=True):
            F.add_(i)
    for F, m, i, v in ((F_n, stage.m_n, linear.i_n, v_n), (F_p, stage.m_p, linear.i_p, v_p)):
        F.addcmul_(m, i)
        if stage.ground_S:
            F.sub_(v, alpha=stage.ground_S).add_(stage.i_ground)
    a, b, t, s = linear.a, linear.b, linear.t, linear.s
    from_n, from_p = a * F_n, torch.addcmul(b * F_p, t, F_n)
    dv_col, pull_n, pull_p = linear.solve(F_c.add_(s.to_columns(from_n, from_p)))
    return from_n.addcmul_(a, pull_n), from_p.addcmul_(t, pull_n).addcmul_(b, pull_p), dv_col


def _newton(
    stage: _Stage, inverters: Inverters, v_in: Tensor, tolerance: Tolerance
) -> tuple[tuple[Tensor, Tensor, Tensor], _Linear, tuple[Tensor, int]]:
    """(v_n, v_p, v_col) of the solution, the last linearization, the last step [samples] and how many there were."""
    low, high, crossbar = inverters.low, inverters.high, stage.crossbar
    if inverters.loaded is not None and stage.beyond is None and isinstance(crossbar, Ohmic | Wired):
        return _compiled_newton(stage, crossbar, inverters, inverters.loaded, v_in, tolerance)
    v_n, v_p = _start(stage, inverters, v_in)
    v_col = crossbar.floating(v_n, v_p)
    linear: _Linear | None = None

    def step(current: Current) -> Tensor:
        nonlocal linear
        linear = stage.linearize(current, v_in, v_n, v_p, v_col, rough=current is inverters.coarse)
        dv_n, dv_p, dv_col = _newton_step(stage, linear, v_n, v_p, v_col)
        for v, dv in ((v_n, dv_n), (v_p, dv_p), (v_col, dv_col)):
            v.add_(dv).clamp_(low, high)
        return torch.maximum(dv_n.abs_().amax(1), dv_p.abs_().amax(1))

    taken = iterate(step, inverters, tolerance)
    assert linear is not None  # a tolerance takes one step at least
    return (v_n, v_p, v_col), linear, taken


def _start(stage: _Stage, inverters: Inverters, v_in: Tensor) -> tuple[Tensor, Tensor]:
    if inverters.loaded is None:
        first, second = ([mismatch.of(which) for mismatch in stage.mismatch] for which in (0, 1))
        v_n = inverters.vtc(unshifted(v_in, *first))
        return v_n, inverters.vtc(unshifted(v_n, *second))
    mid = inverters.rails.mid_V
    rows_at = v_in.new_full((1, v_in.shape[1]), mid)
    s = stage.crossbar.tangent(rows_at, rows_at, stage.crossbar.floating(rows_at, rows_at))
    g = torch.cat((s.G_n.flatten(), s.G_p.flatten())).add_(stage.ground_S).div_(torch.cat((stage.m_n, stage.m_p)))
    shift = mean_shift(stage.mismatch[0]) if stage.mismatch else None
    v_n, v_p = inverters.loaded.start(v_in - mid, g, shift=shift).add_(mid).tensor_split(2, 1)
    return v_n, v_p


def _compiled_newton(
    stage: _Stage,
    crossbar: Ohmic | Wired,
    inverters: Inverters,
    loaded: LoadedVtc,
    v_in: Tensor,
    tolerance: Tolerance,
) -> tuple[tuple[Tensor, Tensor, Tensor], _Linear, tuple[Tensor, int]]:
    """What `_newton` gives."""
    compiled, m = Compiled.of(crossbar, stage.ground_S), torch.stack((stage.m_n, stage.m_p))
    mismatch = stage.mismatch[0] if stage.mismatch else None
    known = inverters.tables, mismatch, v_in, loaded, inverters.rails, tolerance
    solution, point, taken = newton(compiled, m, *known)
    i_n, i_p = point.i.tensor_split(2, 1)
    a, b, t = point.abt.tensor_split(3, 1)
    linear = _Linear(i_n, i_p, point.dn_in, a, b, t, crossbar, rough=False)
    if isinstance(point.systems, WideSystems):
        linear.wide = point.systems
    else:
        linear.A = point.systems
    return solution, linear, taken


class _SolveStage(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        v_in: Tensor,
        m_n: Tensor,
        m_p: Tensor,
        shift: Tensor | None,
        factor: Tensor | None,
        inverters: Inverters,
        tolerance: Tolerance,
        given: tuple[Tensor, Tensor, Tensor] | None,
        couple: Callable[..., Coupling],
        beyond: tuple[Tensor, Tensor, Tensor] | None,
        *crossbar: Tensor | None,
    ) -> tuple[Any, ...]:
        mismatch = None if shift is None else Mismatch(shift, factor)
        stage = _Stage(couple(*crossbar), m_n, m_p, inverters, mismatch, beyond)
        if given is None:
            solution, linear, taken = _newton(stage, inverters, v_in, tolerance)
        else:
            v_n, v_p, v_col = (v.detach() for v in given)  # what is returned becomes part of autograd's graph
            solution, linear = (v_n, v_p, v_col), stage.linearize(inverters.current, v_in, v_n, v_p, v_col)
            taken = v_in.new_zeros(len(v_in)), 0
        ctx.stage, ctx.inverters, ctx.v_in, ctx.linear = stage, inverters, v_in.detach(), linear
        ctx.save_for_backward(*solution)
        ctx.mark_non_differentiable(taken[0])
        ctx.set_materialize_grads(False)
        return *solution, *taken

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        up_n, up_p, up_c, *_ = upstream
        v_n, v_p, v_col = ctx.saved_tensors
        stage, linear = ctx.stage, ctx.linear
        a, b, t, s = linear.a, linear.b, linear.t, linear.s.adjoint
        # Adjoint of the Newton system: J' (l_n, l_p, l_c) = upstream; then d/dtheta = -l . dF/dtheta.
        right = torch.zeros_like(v_col) if up_c is None else -up_c
        of_rows = up_n is not None or up_p is not None
        if of_rows:  # as a rule the loss sees the columns alone
            up_n, up_p = (torch.zeros_like(v_n) if up is None else up for up in (up_n, up_p))
            right -= s.to_columns(a * up_n + t * up_p, b * up_p)
        l_c, from_n, from_p = linear.solve(right, transposed=True)
        if of_rows:
            from_n, from_p = from_n - up_n, from_p - up_p
        l_p = b * from_p
        l_n = (a * from_n).addcmul_(t, from_p)
        of_mismatch: tuple[Tensor | None, Tensor | None] = None, None
        for mismatch in stage.mismatch:
            l_m = torch.stack((l_n * stage.m_n, l_p * stage.m_p))
            at = torch.stack((ctx.v_in, v_n)), torch.stack((v_n, v_p))
            of_mismatch = mismatch_gradient(ctx.inverters, l_m, *at, mismatch)
        of_sizes = zip(ctx.needs_input_grad[1:3], (l_n, l_p), (linear.i_n, linear.i_p), strict=True)
        sizes = (-(of * i).sum(0) if needed else None for needed, of, i in of_sizes)
        return (
            -l_n * linear.dn_in,
            *sizes,
            *of_mismatch,
            *(None,) * 5,
            *linear.s.gradients(l_n, l_p, l_c, v_n, v_p, v_col),
        )


@dataclass(frozen=True)
class StageSolution:
    """Voltages of a stage: v_n, v_p [samples, rows], v_col [samples, columns], differentiable; and how well solved."""

    v_n: Tensor
    v_p: Tensor
    v_col: Tensor
    convergence: Convergence


def solve_stage(
    v_in: Tensor,
    g: Conductances | WiredCrossbar | BentCrossbar,
    sizes: Tensor,
    inverters: Inverters,
    tolerance: Tolerance,
    given: tuple[Tensor, Tensor, Tensor] | None = None,
    mismatch: Mismatch | None = None,
    device: Device | None = None,
    beyond: tuple[Tensor, Tensor, Tensor] | None = None,
) -> StageSolution:
    """A stage solved, differentiable in v_in, conductances, sizes and mismatch.

    v_in   [samples, rows], volts: gates of the first inverters
    g      siemens: pos are driven by the first, neg by the second inverter of each pair
    sizes  [rows, 2]: fingers of the first and of the second inverter
    given  v_n, v_p, v_col, solved elsewhere with these v_in: returned as they are, with the gradient there
    mismatch  [2 (n, p), 2 (first, second inverter), samples or 1, rows]; with inverters that take one
    device    whose law the crossbar has; None: an ohmic one's
    beyond    added to F_n, F_p, F_c: what is known of the crossbar beyond `g`

    Equations: see the module. Nothing is raised for a sample that does not converge: `convergence` counts it.
    """
    of = (None, None) if mismatch is None else mismatch

    def couple(*tensors: Any) -> Coupling:
        return coupling(type(g)(*tensors), inverters.rails, device)

    answer = _SolveStage.apply(v_in, sizes[:, 0], sizes[:, 1], *of, inverters, tolerance, given, couple, beyond, *g)
    v_n, v_p, v_col, step, taken = answer
    return StageSolution(v_n, v_p, v_col, convergence_of(step, taken, tolerance))
