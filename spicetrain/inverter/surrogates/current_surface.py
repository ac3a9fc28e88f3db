"""The inverter's output current over (v_in, v_out): two fitted transistors, in torch, with exact derivatives.

Each transistor t (0: n, 1: p) is an EKV interpolation (Enz, Krummenacher and Vittoz, Analog Integrated Circuits and
Signal Processing 8, 83, 1995) times the exponential of an MLP that corrects it:

    I_t = exp(mean_t + scale_t MLP_t(z)) [softplus(a)^2 - softplus(a - u_ds / (2 U_T))^2]
    a = (u_gs - v_t) / (2 n_t U_T)
    n: u_gs = v_in - vss, u_ds = v_out - vss      p: u_gs = vdd - v_in, u_ds = vdd - v_out
    z = ((v_in - mid) / half_swing, (v_out - mid) / half_swing)

    i_out = I_p - I_n (into what holds the node),  i_vdd = I_p,  i_vss = I_n

An inverter of m fingers has m times the current, exactly. Mismatch of its transistors is a shift of their gates and a
factor of their currents, exactly: I_t(v_in - shift_t, v_out) factor_t.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from spicetrain.errors import DomainError
from spicetrain.inverter.surrogates.residual import Residual
from spicetrain.surrogates.tensors import moved

Currents = tuple[Tensor, Tensor, Tensor]
"""(i in A, di/dv_in, di/dv_out in S), of one shape."""

_CHUNK = 8192  # points at a time: what a layer holds of them stays in the processor's cache
_LARGE_CHUNK = 2**20  # elsewhere: half a GB
_EXACT = 40.0  # softplus beyond this is its argument to the last digit of float64; torch's own 20 is not


class Mismatch(NamedTuple):
    """Of inverters, transistors (n, p) along the first axis, the others broadcast with the inverters' voltages.

    shift   volts by which a transistor's gate is lower than its inverter's input
    factor  of its current; None: 1
    """

    shift: Tensor
    factor: Tensor | None = None

    def of(self, inverter: int) -> Mismatch:
        """Of the first (0) or second (1) inverter of pairs, which stand along the second axis."""
        return Mismatch(self.shift[:, inverter], None if self.factor is None else self.factor[:, inverter])


@dataclass(frozen=True)
class CurrentSurface:
    """Both transistors, stacked along the first axis (n, p).

    weights    per layer [2, outputs, inputs]
    biases     per layer [2, outputs]
    mean, scale, v_t_V, n   [2]: see the module's equation; v_t_V in volts, mean in log ampere
    thermal_V  k T / q
    domain_V   measured ((v_in lowest, highest), (v_out lowest, highest))
    residual   what the MLP is off by, where it is known: of the logarithm of the current; None: taken for nothing
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    mean: Tensor
    scale: Tensor
    v_t_V: Tensor
    n: Tensor
    thermal_V: float
    vdd_V: float
    vss_V: float
    domain_V: tuple[tuple[float, float], tuple[float, float]]
    residual: Residual | None = None

    @property
    def mid_V(self) -> float:
        return (self.vdd_V + self.vss_V) / 2

    @property
    def half_swing_V(self) -> float:
        return (self.vdd_V - self.vss_V) / 2

    @cached_property
    def logistic(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The MLP with logistic neurons in place of tanh, volts in and log ampere out: (weights, biases), per layer
        [2, outputs, inputs] and [2, outputs, 1]. tanh(u) = 2 / (1 + exp(-2 u)) - 1, and torch's logistic costs a fifth
        of its tanh."""
        weights, biases = [], []
        to_unit, shift = 1 / self.half_swing_V, self.mid_V / self.half_swing_V
        for w, b in zip(self.weights, self.biases, strict=True):
            biases.append(2 * (b - shift * w.sum(-1)))
            weights.append(2 * to_unit * w)
            to_unit, shift = 2.0, 1.0
        weights[-1] = self.scale[:, None, None] / 2 * weights[-1]
        biases[-1] = self.mean[:, None] + self.scale[:, None] / 2 * biases[-1]
        return tuple(weights), tuple(b[..., None] for b in biases)

    @cached_property
    def sign(self) -> Tensor:
        """[2, 1]: u_gs and u_ds of the pMOS fall with v_in and v_out."""
        return self.mean.new_tensor([[1.0], [-1.0]])

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> CurrentSurface:
        """The same surface in another precision or on another device."""
        return moved(self, dtype, device)


def inverter_current(
    surface: CurrentSurface, v_in: Tensor, v_out: Tensor, mismatch: Mismatch | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(i_out in A, di_out/dv_in in S, di_out/dv_out in S) of one finger, shaped like v_in and v_out (volts).

    v_in and v_out have one shape, and the surface's dtype and device. Nothing is checked here: `require_inside` does.
    """
    i_n, i_p = transistor_currents(surface, v_in, v_out, mismatch)
    i_out, di_dv_in, di_dv_out = (p - n for n, p in zip(i_n, i_p, strict=True))
    return i_out, di_dv_in, di_dv_out


def transistor_currents(
    surface: CurrentSurface, v_in: Tensor, v_out: Tensor, mismatch: Mismatch | None = None
) -> tuple[Currents, Currents]:
    """The same of the nMOS (out of the output) and of the pMOS (into it), each."""
    if mismatch is None:
        currents = _transistors(surface, v_in.reshape(-1), v_out.reshape(-1))
        return _shaped(currents[0], v_in), _shaped(currents[1], v_in)
    gates = (v_in - mismatch.shift).view(2, -1)
    n, p = (_shaped(currents, v_in) for currents in _transistors(surface, gates, v_out.reshape(-1)))
    if mismatch.factor is None:
        return n, p
    f_n, f_p = mismatch.factor
    return (n[0] * f_n, n[1] * f_n, n[2] * f_n), (p[0] * f_p, p[1] * f_p, p[2] * f_p)


def _shaped(currents: Currents, like: Tensor) -> Currents:
    i, d_in, d_out = (value.view(like.shape) for value in currents)
    return i, d_in, d_out


def supply_currents(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> tuple[Tensor, Tensor]:
    """(i_vdd drawn from the upper rail, i_vss delivered into the lower rail) of one finger, in A, both >= 0.

    Differentiable once in v_in and v_out, volts of one shape.
    """
    return _SupplyCurrents.apply(v_in, v_out, surface)


def require_inside(surface: CurrentSurface, v_in: Tensor, v_out: Tensor, slack_V: float = 1e-6) -> None:
    """DomainError when a voltage is outside the measured domain (or not a number) by more than `slack_V`."""
    for name, values, (low, high) in zip(("v_in", "v_out"), (v_in, v_out), surface.domain_V, strict=True):
        outside = ~((values >= low - slack_V) & (values <= high + slack_V))
        if outside.any():
            raise DomainError(
                f"{name} = {values[outside].reshape(-1)[0].item():.6g} V ({int(outside.sum())} of {values.numel()} "
                f"values) is outside the measured domain {low:g} .. {high:g} V of the inverter's current. A node "
                "between resistors and the rails cannot get there: check the input encoding and the units "
                "(volts), or characterize a wider domain."
            )


class _SupplyCurrents(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v_in: Tensor, v_out: Tensor, surface: CurrentSurface) -> tuple[Tensor, Tensor]:
        i_n, i_p = _transistors(surface, v_in.reshape(-1), v_out.reshape(-1))
        shaped = [value.view(v_in.shape) for value in (*i_p, *i_n)]
        ctx.save_for_backward(*shaped[1:3], *shaped[4:6])
        return shaped[0], shaped[3]

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        up_p, up_n = upstream
        p_in, p_out, n_in, n_out = ctx.saved_tensors
        return up_p * p_in + up_n * n_in, up_p * p_out + up_n * n_out, None


def _transistors(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> tuple[Currents, Currents]:
    """For n and p: (I_t, dI_t/dv_in, dI_t/dv_out), [points] each; v_in [points], or of each transistor [2, points]."""
    chunk = _CHUNK if v_out.device.type == "cpu" else _LARGE_CHUNK
    pieces = zip(v_in.split(chunk, -1), v_out.split(chunk), strict=True)
    parts = [_transistors_in_cache(surface, *piece) for piece in pieces]
    values = parts[0] if len(parts) == 1 else tuple(torch.cat(part, 1) for part in zip(*parts, strict=True))
    n, p = zip(*(value.unbind(0) for value in values), strict=True)
    return n, p


def _transistors_in_cache(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> Currents:
    """(I_t, dI_t/dv_in, dI_t/dv_out), [2, points] each."""
    value, slope_in, slope_out = _correction(surface, v_in, v_out)
    if surface.residual is not None:
        gates = v_in if v_in.dim() == 2 else (v_in, v_in)
        off = [surface.residual.of(transistor, gate, v_out) for transistor, gate in enumerate(gates)]
        more = (torch.stack(of_both) for of_both in zip(*off, strict=True))
        value, slope_in, slope_out = (a + b for a, b in zip((value, slope_in, slope_out), more, strict=True))
    base, base_u_gs, base_u_ds = _ekv(surface, v_in, v_out)
    factor = value.exp()
    current = factor * base
    di_dv_in = factor.mul(base_u_gs).mul_(surface.sign).addcmul_(current, slope_in)
    di_dv_out = factor.mul_(base_u_ds).mul_(surface.sign).addcmul_(current, slope_out)
    return current, di_dv_in, di_dv_out


def _ekv(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> Currents:
    """The interpolation in brackets and its derivatives over u_gs and u_ds (1/V), [2, points] each."""
    gate_n, gate_p = v_in if v_in.dim() == 2 else (v_in, v_in)
    u_gs = torch.stack((gate_n - surface.vss_V, surface.vdd_V - gate_p))
    u_ds = torch.stack((v_out - surface.vss_V, surface.vdd_V - v_out))
    slope = 1 / (2 * surface.thermal_V * surface.n[:, None])
    source = u_gs.sub_(surface.v_t_V[:, None]).mul_(slope)
    drain = source - u_ds.div_(2 * surface.thermal_V)
    at_source, at_drain = softplus(source, threshold=_EXACT), softplus(drain, threshold=_EXACT)
    d_source, d_drain = source.sigmoid_().mul_(at_source), drain.sigmoid_().mul_(at_drain)
    # (s - d)(s + d), not s^2 - d^2: keeps digits in float32 at small u_ds.
    base = (at_source - at_drain).mul_(at_source.add_(at_drain))
    return base, d_source.sub_(d_drain).mul_(2 * slope), d_drain.div_(surface.thermal_V)


def _correction(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> Currents:
    """mean + scale MLP(z) and its derivatives over v_in and v_out (1/V), [2, points] each."""
    weights, biases = surface.logistic
    each_its_own = v_in.dim() == 2
    a = torch.stack((v_in, v_out.expand(2, -1)), 1) if each_its_own else torch.stack((v_in, v_out)).expand(2, 2, -1)
    activations = []
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        a = torch.baddbmm(b, w, a).sigmoid_()
        activations.append(a)
    value = torch.baddbmm(biases[-1], weights[-1], a)[:, 0]
    sensitivity = weights[-1].mT
    for w, a in zip(reversed(weights[:-1]), reversed(activations), strict=True):
        sensitivity = torch.bmm(w.mT, a.addcmul_(a, a, value=-1).mul_(sensitivity))
    return value, sensitivity[:, 0], sensitivity[:, 1]
