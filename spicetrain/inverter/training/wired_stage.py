"""The columns of the input crossbar, and a stage, where crossbars may have wires and devices that bend.

In a prediction devices that bend are solved exactly: the mesh says at the rows' voltages where the columns stand and
what the rows deliver; by what the fast form is off there is added to its equations, until both agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spicetrain.array.bent_mesh import BentMesh
from spicetrain.array.columns import open_columns
from spicetrain.array.conductances import Conductances
from spicetrain.array.coupling import coupling
from spicetrain.array.device import Device
from spicetrain.array.wired import EXACTLY, ROUGHLY, Correction, corrections, driven_columns, row_wires_of, wired
from spicetrain.array.wired_bent import BentCrossbar, driven_bent_columns, mean_slopes, wired_bent
from spicetrain.array.wires import Segments, row_voltages
from spicetrain.errors import SimulationError
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.stage import StageSolution, solve_stage
from spicetrain.rails import Rails

Held = Correction | BentMesh | None
"""What is known of a crossbar's wires beyond the fast form: of ohmic devices, in a prediction of those that bend."""

_ROUNDS, _NEAR_V = 20, 1e-9


def input_columns(
    g: Conductances, signal: Tensor, rails: Rails, device: Device, wires: Segments | None, held: Held
) -> Tensor:
    """Column voltages [samples, columns], ideal sources driving the pairs at mid-rail +- signal [samples, rows]."""
    if wires is None:
        return open_columns(g, signal, rails, device)
    if isinstance(held, BentMesh):
        v = signal.cpu().numpy()
        exact = held.columns(row_voltages(v, -v, rails.half_swing_V, -rails.half_swing_V))
        return rails.mid_V + torch.from_numpy(exact).to(signal)
    if b_per_V := device.sinh_between(rails):
        slopes = mean_slopes(rails.mid_V + signal, rails.mid_V - signal, rails, device)
        return driven_bent_columns(wired_bent(g, wires, slopes), signal, rails, b_per_V)
    return driven_columns(wired(g, wires, rails, held), signal, rails)


def solve_wired_stage(
    v_in: Tensor,
    g: Conductances,
    sizes: Tensor,
    inverters: Inverters,
    tolerance: Tolerance,
    device: Device,
    wires: Segments | None,
    held: Held,
    given: tuple[Tensor, Tensor, Tensor] | None = None,
    mismatch: Mismatch | None = None,
) -> StageSolution:
    """`solve_stage` of a crossbar with wires (None: ideal). SimulationError when the mesh is not solved."""

    def solved(
        crossbar: Conductances | BentCrossbar, beyond: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> StageSolution:
        return solve_stage(v_in, crossbar, sizes, inverters, tolerance, given, mismatch, device, beyond)

    if wires is None:
        return solved(g)
    if not device.sinh_between(inverters.rails):
        assert not isinstance(held, BentMesh)
        return solve_stage(v_in, wired(g, wires, inverters.rails, held), sizes, inverters, tolerance, given, mismatch)
    with torch.no_grad():
        v_n = inverters.vtc(v_in)
        slopes = mean_slopes(v_n, inverters.vtc(v_n), inverters.rails, device)
    fast = wired_bent(g, wires, slopes)
    if held is None:
        return solved(fast)
    assert isinstance(held, BentMesh)
    beyond, last = None, torch.full_like(v_in, torch.inf)
    for _ in range(_ROUNDS):
        stage = solved(fast, beyond)
        v_col, beyond = _beyond(stage, fast, held, inverters.rails)
        moved_V = (stage.v_p - last).abs().max(), (stage.v_col - v_col).abs().max()
        if max(moved_V) < _NEAR_V:
            return stage
        last = stage.v_p
    raise SimulationError(
        f"A stage of {g.pos.shape[0]} pairs and {g.pos.shape[1]} columns does not settle with its wires: after "
        f"{_ROUNDS} rounds its nodes still move by {float(max(moved_V)):.1e} V. Likely the wires' resistances are far "
        "too large."
    )


@torch.no_grad()
def _beyond(
    stage: StageSolution, fast: BentCrossbar, mesh: BentMesh, rails: Rails
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """At the stage's rows: where the mesh has the columns, volts, and by what the fast form is off there."""
    v_n, v_p = stage.v_n, stage.v_p
    n, p = ((v - rails.mid_V).cpu().numpy() for v in (v_n, v_p))
    rows = row_voltages(n, p, rails.half_swing_V, -rails.half_swing_V)
    columns, delivered = (torch.from_numpy(of).to(v_n) for of in mesh.columns_and_delivered(rows))
    v_col = rails.mid_V + columns
    into_n, into_p, into_c = coupling(fast, rails, mesh.device).tangent(v_n, v_p, v_col).currents(v_n, v_p, v_col)
    return v_col, (-delivered[:, :-2:2] - into_n, -delivered[:, 1:-2:2] - into_p, -into_c)


def beyond_fast(
    crossbars: Sequence[Conductances], wires: Segments, device: Device, rails: Rails, *, exactly: bool
) -> list[Held]:
    """Of all crossbars as they are now. exactly: for a prediction; else for training, where devices that bend have
    their fast form alone."""
    if not device.sinh_between(rails):
        return [*corrections(crossbars, wires, near=EXACTLY if exactly else ROUGHLY)]
    if not exactly:
        return [None] * len(crossbars)
    return [BentMesh(row_wires_of(g).double().cpu().numpy(), wires, device) for g in crossbars]
