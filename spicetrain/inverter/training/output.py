"""The inverters behind the last crossbar, which drive at most a resistor: each solved by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.newton import Tolerance, convergence_of, iterate, mismatch_gradient, unshifted
from spicetrain.inverter.training.tabulated import Current
from spicetrain.inverter.training.voltages import Convergence


class _SolveOutput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        v_in: Tensor,
        m: Tensor,
        shift: Tensor | None,
        factor: Tensor | None,
        inverters: Inverters,
        tolerance: Tolerance,
        given: Tensor | None,
    ) -> tuple[Any, ...]:
        of = () if shift is None else (Mismatch(shift, factor),)
        v_out = inverters.vtc(unshifted(v_in, *of)) if given is None else given.detach()
        i = di_in = falling = v_in

        def linearize(current: Current) -> None:
            nonlocal i, di_in, falling
            i, di_in, di_out = current(v_in, v_out, *of)
            falling = m * di_out - inverters.ground_S

        def step(current: Current) -> Tensor:
            nonlocal v_out
            linearize(current)
            before, F = v_out, m * i - inverters.ground_S * v_out + inverters.i_ground
            v_out = (v_out - F / falling).clamp_(inverters.low, inverters.high)
            return (v_out - before).abs_().amax(1)

        if given is None:
            taken = iterate(step, inverters, tolerance, coarse=not inverters.tables)  # which are as quick
        else:
            linearize(inverters.current)
            taken = v_in.new_zeros(len(v_in)), 0
        ctx.inverters, ctx.of, ctx.at = inverters, of, (v_in.detach(), v_out.detach(), m.detach() / falling)
        ctx.save_for_backward(-m * di_in / falling, -i / falling)
        ctx.mark_non_differentiable(taken[0])
        return v_out, *taken

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        slope, over_size = ctx.saved_tensors
        v_in, v_out, m_over = ctx.at
        of_mismatch: tuple[Tensor | None, Tensor | None] = None, None
        for mismatch in ctx.of:
            of_mismatch = mismatch_gradient(ctx.inverters, upstream[0] * m_over, v_in, v_out, mismatch)
        return upstream[0] * slope, (upstream[0] * over_size).sum(0), *of_mismatch, *(None,) * 3


@dataclass(frozen=True)
class OutputSolution:
    """v_out [samples, columns], volts, differentiable; and how well solved."""

    v_out: Tensor
    convergence: Convergence


def solve_output(
    v_in: Tensor,
    m: Tensor,
    inverters: Inverters,
    tolerance: Tolerance,
    given: Tensor | None = None,
    mismatch: Mismatch | None = None,
) -> OutputSolution:
    """Outputs of inverters of m [columns] fingers at v_in [samples, columns] that drive at most their resistor to
    mid-rail: m I(v_in, v_out) = ground_S (v_out - mid). `given` as in solve_stage, mismatch [2 (n, p), samples or 1,
    columns]."""
    of = (None, None) if mismatch is None else mismatch
    v_out, step, taken = _SolveOutput.apply(v_in, m, *of, inverters, tolerance, given)
    return OutputSolution(v_out, convergence_of(step, taken, tolerance))
