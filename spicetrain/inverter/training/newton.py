"""What the solvers of stages and of output inverters share: where Newton starts, when it stops, mismatch's gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.tabulated import Current
from spicetrain.inverter.training.voltages import Convergence


@dataclass(frozen=True)
class Tolerance:
    """When Newton stops: a step (V) below which the solution is taken, and how often it may step on each surface.

    Convergence is quadratic: after a step of s volts the error left is about 20 s^2. The gradient is that of where the
    last step began: 1e-3 V away it is off by as much.

    fixed  every step that there may be is taken, so that no sample's size has to be read to know whether one more is
           needed: a GPU is never waited for. Whether they were enough is counted there, see `Convergence`. Compiled
           steps, on a CPU, stop by themselves all the same.
    """

    step_V: float = 3e-4
    coarse_step_V: float = 5e-3
    coarse_iterations: int = 12
    iterations: int = 12
    fixed: bool = False


# Far below what is compared with ngspice: Newton goes on until a step of a nanovolt.
EXACT = Tolerance(step_V=1e-9, iterations=30)
UNREAD = Tolerance(coarse_iterations=6, iterations=2, fixed=True)  # 784-100-10 and -100-50-10 need 3 to 5, and 1


def tolerance_on(device: torch.device) -> Tolerance:
    """Of a training, and of many chips."""
    return Tolerance() if device.type == "cpu" else UNREAD


def mean_shift(mismatch: Mismatch | None) -> Tensor | None:
    """By how much later inverters switch, about, volts: of both transistors, which conduct alike there."""
    return None if mismatch is None else mismatch.shift.detach().mean(0)


def unshifted(v_in: Tensor, mismatch: Mismatch | None = None) -> Tensor:
    """Where an inverter without mismatch would be about as far: to start from."""
    shift = mean_shift(mismatch)
    return v_in if shift is None else v_in - shift


def mismatch_gradient(
    inverters: Inverters, l_m: Tensor, v_in: Tensor, v_out: Tensor, mismatch: Mismatch
) -> tuple[Tensor | None, Tensor | None]:
    """-l m dI/dshift and -l m dI/dfactor, shaped as these; l_m = l m of the inverters at v_in, v_out."""
    if not any(of is not None and of.requires_grad for of in mismatch):
        return None, None
    assert inverters.transistors is not None
    n, p = inverters.transistors(v_in, v_out, mismatch)
    shift = torch.stack((-l_m * n[1], l_m * p[1])).sum_to_size(mismatch.shift.shape)
    if mismatch.factor is None:
        return shift, None
    f_n, f_p = mismatch.factor
    return shift, torch.stack((l_m * n[0] / f_n, -l_m * p[0] / f_p)).sum_to_size(mismatch.factor.shape)


def iterate(
    step: Callable[[Current], Tensor], inverters: Inverters, tolerance: Tolerance, *, coarse: bool = True
) -> tuple[Tensor, int]:
    """Newton steps on the coarse surface, then on the one that counts; `step` takes one, gives its size [samples]. The
    last one's size, and how many there were.

    coarse  False: on the one that counts alone
    """
    taken = 0
    phases = (
        (inverters.coarse, tolerance.coarse_step_V, tolerance.coarse_iterations),
        (inverters.current, tolerance.step_V, tolerance.iterations),
    )
    for current, enough, limit in phases if coarse else phases[1:]:
        for _ in range(limit):
            size = step(current)
            taken += 1
            if not tolerance.fixed and bool(size.max() <= enough):
                break
    return size, taken


def convergence_of(step: Tensor, taken: int, tolerance: Tolerance) -> Convergence:
    """step [samples]: the last Newton step of each sample, volts. NaN counts as unconverged."""
    found = Convergence(step.nan_to_num(nan=float("inf")).max(), taken, (~(step <= tolerance.step_V)).sum())
    return found if tolerance.fixed else found.read()
