"""Transfer curves as tanh: what PHAX-style and RIM-style methods make of an inverter.

    v_out = offset + amplitude tanh(slope (v_in - shift))

fitted by least squares to the curve of our own inverter under one load to mid-rail, on a fine grid between the rails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.voltages import Prediction
from spicetrain.inverter.training.walk import Offsets, walk
from spicetrain.rails import Rails
from spicetrain.technology import Technology

POINTS = 2001  # 0.25 mV apart between rails of +-0.25 V: a pair's transition is some 10 mV wide
_EXACT = Tolerance(step_V=1e-10, iterations=40)


@dataclass(frozen=True)
class TanhVtc:
    """v_out [..., columns] of v_in [..., columns], volts; every parameter [columns], slope in 1/V, the others in V."""

    offset: Tensor
    amplitude: Tensor
    slope: Tensor
    shift: Tensor

    def __call__(self, v_in: Tensor) -> Tensor:
        return self.offset + self.amplitude * torch.tanh(self.slope * (v_in - self.shift))


@torch.no_grad()
def loaded_curve(inverters: Inverters, v_in: Tensor, fingers: Tensor, load_S: float) -> Tensor:
    """v_out [points, sizes] at v_in [points] or [points, sizes], volts, of inverters of `fingers` [sizes] with `load_S`
    siemens from their outputs to mid-rail; all float64."""
    shape = torch.broadcast_shapes(v_in.view(len(v_in), -1).shape, (len(v_in), len(fingers)))
    v_in = v_in.view(len(v_in), -1).expand(shape).contiguous()
    return solve_output(v_in, fingers, replace(inverters, ground_S=load_S), _EXACT).v_out


def fit_tanh(v_in: NDArray[np.float64], v_out: NDArray[np.float64], rails: Rails, *, free: bool) -> NDArray[np.float64]:
    """(offset, amplitude, slope, shift) of the least squares tanh through a monotone curve [points], volts and 1/V.

    free  fit all four; else slope and shift alone, the amplitude half the swing and the offset mid-rail
    """
    x, y = (v_in - rails.mid_V) / rails.half_swing_V, (v_out - rails.mid_V) / rails.half_swing_V
    slopes, crossing = np.gradient(y, x), int(np.abs(y).argmin())
    start = [slopes[crossing], x[crossing]]
    if free:
        amplitude = (y.max() - y.min()) / 2
        start = [0.0, amplitude, start[0] / amplitude, start[1]]

    def parameters(p: NDArray) -> NDArray:
        return p if free else np.array([0.0, 1.0, *p])

    def residuals(p: NDArray) -> NDArray:
        offset, amplitude, slope, shift = parameters(p)
        return offset + amplitude * np.tanh(slope * (x - shift)) - y

    found = least_squares(residuals, start, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    offset, amplitude, slope, shift = parameters(found.x)
    half, mid = rails.half_swing_V, rails.mid_V
    return np.array([mid + half * offset, half * amplitude, slope / half, mid + half * shift])


def tanh_pairs(circuit: FittedCircuit, sizes: Tensor, load_S: float, *, free: bool) -> list[TanhVtc]:
    """Curves v_col -> v_n and, for pairs, v_col -> v_p behind one crossbar, in the circuit's precision.

    sizes   [columns, 2] or [columns, 1] fingers; each distinct row of it is fitted once
    load_S  siemens from every one of their outputs to mid-rail
    """
    distinct, column_of = torch.unique(sizes.detach().double().cpu(), dim=0, return_inverse=True)
    rails = circuit.rails
    v_in = torch.linspace(rails.vss_V, rails.vdd_V, POINTS, dtype=torch.float64)
    curves, v_out = [], v_in
    for fingers in distinct.unbind(1):
        v_out = loaded_curve(circuit.exact_inverters, v_out, fingers, load_S)
        fits = [fit_tanh(v_in.numpy(), column, rails, free=free) for column in v_out.numpy().T]
        coefficients = torch.from_numpy(np.stack(fits))[column_of]
        curves.append(TanhVtc(*coefficients.to(circuit.device, circuit.dtype).unbind(1)))
    return curves


def tanh_voltages(
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    signal: Tensor,
    technology: Technology,
    curves: Sequence[Sequence[TanhVtc]],
    *,
    offsets: Offsets | None = None,
) -> Prediction:
    """Voltages of every layer; `curves` a crossbar, as `tanh_pairs` gives them for its inverters."""

    def pair(layer: int, v_col: Tensor, driven: Conductances | None, size: Tensor) -> tuple[Tensor, Tensor | None]:
        to_n, *to_p = curves[layer]
        return to_n(v_col), to_p[0](v_col) if to_p else None

    return walk(crossbars, sizes, signal, technology, pair, offsets)
