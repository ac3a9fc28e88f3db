"""Columns whose rows are driven by transistors, and pull on them: rows and membranes together.

A row has no capacitor of its own that counts, so at every moment (y, u: voltages from rest; h: pull of the columns)

    driver_current(state, y_i) = G_i y_i - h_i,   h_i = sum_j g_ij u_j,   G_i = sum_j g_ij

which eliminates it: y_i = y_i(h_i) depends on its state (spiking or silent), and on samples through h_i alone, so it is
solved once a row and state, at h = 0, by Newton, and continued in h by its derivatives, which follow from those of the
driver's current. The gradient is that of one more Newton step with the Jacobian held constant, as in the stage solver
(training/stage.py): the implicit function's. The membranes then obey

    C du_j/dt = sum_i g_ij y_i(h_i) - S_j u_j - leak(u_j)

where only sum_i g_ij (y_i(h_i) - y_i(0)) =: R_j(u) couples them (coupled.py).

With wires (laid_out.py) g, G and S are those of the wires' ends. Columns then couple beside that, through the wires of
their rows, and rows through those of their columns: h_i also holds what the other rows bring, sum_k y_k A_ik, which is
taken with the columns at rest, where it is all but the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.wired_ports import Ports
from spicetrain.spiking.circuit import SIDES, Side
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.columns import product
from spicetrain.spiking.training.coupled import CoupledColumns, Coupling
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.laid_out import LaidOut
from spicetrain.spiking.training.membrane import current
from spicetrain.surrogates.extrapolation import Extrapolation, outside

_NEWTON_STEPS, _CONVERGED_V = 30, 1e-13
_ROUNDS = 2  # of rows that pull on each other: a round leaves the share of a row's conductance in its driver's


class DrivenColumns(CoupledColumns):
    """The columns of one layer, with their rows and their neurons."""

    def __init__(
        self,
        spikes: Tensor,
        g: Conductances,
        layer: int,
        fitted: FittedSpikingCircuit,
        deviation: Deviation | None = None,
        charge: NeuronCharge | None = None,
        ports: Ports | None = None,
    ) -> None:
        self.array = array = LaidOut.of(g, ports)
        (silent, below), (spiking, above) = (rows_of(array.rows_S, fitted, state) for state in (False, True))
        self.at_silence, self.change = silent, [b - a for a, b in zip(silent, spiking, strict=True)]
        active = torch.cat([spikes, torch.ones_like(spikes[..., :1])], 2)
        active = torch.cat([active, active], 2)
        at_rest = silent[0] @ array.g
        pull = product(active, self.change[0][:, None] * array.g, at_rest)
        self.active = active.unbind()
        C = fitted.capacitance_F(layer, array.reach)
        super().__init__(pull, at_rest, array.columns_S, C, layer, fitted, deviation, charge, below + above)

    def driven(self, step: int) -> Coupling:
        active = self.active[step]
        return self._coupling([torch.addcmul(a, active, b) for a, b in zip(self.at_silence, self.change, strict=True)])

    def silent(self) -> Coupling:
        return self._coupling(self.at_silence)

    def _coupling(self, y: Sequence[Tensor]) -> Coupling:
        """R(u); y: of the rows, per power of h."""
        array, response = self.array, y[1:]
        others = None if array.between_rows is None else _pulled_by_others(y, array.between_rows)

        def coupling(u: Tensor) -> Tensor:
            coupled: Tensor = _Coupling.apply(u, array.g, others, *response)
            return coupled if array.between_columns is None else coupled + u @ array.between_columns

        return coupling


def _pulled_by_others(y: Sequence[Tensor], between_rows: Tensor) -> Tensor:
    """What the other rows bring to every row's h, the columns at rest; shaped like y."""
    h = y[0] @ between_rows
    for _ in range(_ROUNDS - 1):
        h = (y[0] + current(h, [torch.zeros_like(h), *y[1:]])) @ between_rows
    return h


class _Coupling(torch.autograd.Function):
    """R(u) = sum_i g_i y(h_i), y = h (a_1 + h (a_2 + h a_3)), h = g u + h_0; [..., columns] and amperes; h_0 None:
    0. By hand, because autograd's own takes twice as long."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, g: Tensor, h0: Tensor | None, a1: Tensor, a2: Tensor, a3: Tensor) -> Tensor:
        h = u @ g.T if h0 is None else u @ g.T + h0
        ctx.of_h0 = None if h0 is None else h0.shape
        y = torch.addcmul(a1, torch.addcmul(a2, a3, h), h).mul_(h)
        ctx.save_for_backward(u, g, a1, a2, a3, h, y)
        return _narrow(y, g)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (up,) = upstream
        u, g, a1, a2, a3, h, y = ctx.saved_tensors
        on_y = up @ g.T
        on_h = torch.addcmul(a2, a3, h, value=1.5).mul_(h).mul_(2).add_(a1).mul_(on_y)
        on_g = _outer(up, y) + _outer(u, on_h)
        on_a1 = on_y.mul_(h)
        on_a2 = on_a1 * h
        on_a = (value.sum_to_size(a1.shape) for value in (on_a1, on_a2, on_a2 * h))
        on_h0 = None if ctx.of_h0 is None else on_h.sum_to_size(ctx.of_h0)
        return _narrow(on_h, g), on_g, on_h0, *on_a


def _narrow(y: Tensor, g: Tensor) -> Tensor:
    """y @ g; this way round four times as fast, g having few columns."""
    return (g.T @ y.flatten(0, -2).T).T.reshape(*y.shape[:-1], -1)


def _outer(few: Tensor, many: Tensor) -> Tensor:
    """Sum over samples of many_i few_j, likewise."""
    return (few.flatten(0, -2).T @ many.flatten(0, -2)).T


def rows_of(rows_S: Tensor, fitted: FittedSpikingCircuit, spiking: bool) -> tuple[list[Tensor], Extrapolation]:
    """Taylor coefficients of y(h) of every row in one state, [rows] each: V, V/A, V/A^2, V/A^3; and where the drivers'
    currents were asked outside their domain."""
    G, half = rows_S.double(), len(rows_S) // 2
    parts = [_sides_rows(part, fitted, SIDES[index], spiking) for index, part in enumerate((G[:half], G[half:]))]
    (excitatory, below), (inhibitory, above) = parts
    pairs = zip(excitatory, inhibitory, strict=True)
    return [torch.cat(pair).to(fitted.dtype) for pair in pairs], below + above


def _sides_rows(
    G: Tensor, fitted: FittedSpikingCircuit, side: Side, spiking: bool
) -> tuple[list[Tensor], Extrapolation]:
    driver, rest_V = fitted.laws.drivers[side, spiking], fitted.circuit.rest_V
    level = driver.level_V - rest_V
    low, high = (end - rest_V for end in driver.domain_V)
    powers = (np.polynomial.polynomial.polyder(driver.current, order) for order in range(4))
    derivatives = [torch.as_tensor(of_order, device=G.device).unbind() for of_order in powers]

    def supplied(y: Tensor, derivative: int) -> Tensor:
        """Of the driver; beyond its domain along the tangent."""
        held = y.clamp(low, high)
        value = current(held - level, derivatives[derivative])
        if derivative > 1:
            return value * (held == y)
        return value if derivative == 1 else value + current(held - level, derivatives[1]) * (y - held)

    y = torch.full_like(G, level)
    with torch.no_grad():
        for _ in range(_NEWTON_STEPS):
            step = (supplied(y, 0) - G * y) / (supplied(y, 1) - G)
            y = y - step
            if float(step.abs().max()) < _CONVERGED_V:
                break
        slope = supplied(y, 1) - G
    y = y - (supplied(y, 0) - G * y) / slope
    first = 1 / (G - supplied(y, 1))
    second = supplied(y, 2) * first**3
    third = supplied(y, 3) * first**4 + 3 * second**2 / first
    return [y, first, second / 2, third / 6], outside(f"{side} driver", y + rest_V, driver.domain_V)
