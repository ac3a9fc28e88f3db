"""The inverter's output current over (v_in, v_out): two fitted transistors, in torch, with exact derivatives.

Each transistor t (0: n, 1: p) is an EKV interpolation (Enz, Krummenacher and Vittoz, Analog Integrated Circuits and
Signal Processing 8, 83, 1995) times the exponential of an MLP that corrects it:

    I_t = exp(mean_t + scale_t MLP_t(z)) [softplus(a)^2 - softplus(a - u_ds / (2 U_T))^2]
    a = (u_gs - v_t) / (2 n_t U_T)
    n: u_gs = v_in - vss, u_ds = v_out - vss      p: u_gs = vdd - v_in, u_ds = vdd - v_out
    z = ((v_in - mid) / half_swing, (v_out - mid) / half_swing)

    i_out = I_p - I_n (into what holds the node),  i_vdd = I_p,  i_vss = I_n

An inverter of m fingers has m times the current, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from spicetrain.errors import DomainError
from spicetrain.surrogates.tensors import moved

_EXACT = 40.0  # softplus beyond this is its argument to the last digit of float64; torch's own 20 is not


@dataclass(frozen=True)
class CurrentSurface:
    """Both transistors, stacked along the first axis (n, p).

    weights    per layer [2, outputs, inputs]
    biases     per layer [2, outputs]
    mean, scale, v_t_V, n   [2]: see the module's equation; v_t_V in volts, mean in log ampere
    thermal_V  k T / q
    domain_V   measured ((v_in lowest, highest), (v_out lowest, highest))
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

    @property
    def mid_V(self) -> float:
        return (self.vdd_V + self.vss_V) / 2

    @property
    def half_swing_V(self) -> float:
        return (self.vdd_V - self.vss_V) / 2

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> CurrentSurface:
        """The same surface in another precision or on another device."""
        return moved(self, dtype, device)


def inverter_current(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(i_out in A, di_out/dv_in in S, di_out/dv_out in S) of one finger, shaped like v_in and v_out (volts).

    v_in and v_out have one shape, and the surface's dtype and device. Nothing is checked here: `require_inside` does.
    """
    i_n, i_p = _transistors(surface, v_in.reshape(-1), v_out.reshape(-1))
    i_out, di_dv_in, di_dv_out = (p - n for n, p in zip(i_n, i_p, strict=True))
    return i_out.reshape(v_in.shape), di_dv_in.reshape(v_in.shape), di_dv_out.reshape(v_in.shape)


def supply_currents(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> tuple[Tensor, Tensor]:
    """(i_vdd drawn from the upper rail, i_vss delivered into the lower rail) of one finger, in A, both >= 0."""
    i_n, i_p = _transistors(surface, v_in.reshape(-1), v_out.reshape(-1))
    return i_p[0].reshape(v_in.shape), i_n[0].reshape(v_in.shape)


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


Currents = tuple[Tensor, Tensor, Tensor]


def _transistors(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> tuple[Currents, Currents]:
    """For n and p: (I_t, dI_t/dv_in, dI_t/dv_out), [points] each."""
    value, slope_in, slope_out = _correction(surface, v_in, v_out)
    base, base_u_gs, base_u_ds = _ekv(surface, v_in, v_out)
    sign = base.new_tensor([[1.0], [-1.0]])  # u_gs and u_ds of the pMOS fall with v_in and v_out
    factor = torch.exp(value)
    current = factor * base
    di_dv_in = factor * (slope_in * base + sign * base_u_gs)
    di_dv_out = factor * (slope_out * base + sign * base_u_ds)
    return (current[0], di_dv_in[0], di_dv_out[0]), (current[1], di_dv_in[1], di_dv_out[1])


def _ekv(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> Currents:
    """The interpolation in brackets and its derivatives over u_gs and u_ds (1/V), [2, points] each."""
    u_gs = torch.stack((v_in - surface.vss_V, surface.vdd_V - v_in))
    u_ds = torch.stack((v_out - surface.vss_V, surface.vdd_V - v_out))
    slope = 1 / (2 * surface.thermal_V * surface.n[:, None])
    source = (u_gs - surface.v_t_V[:, None]) * slope
    drain = source - u_ds / (2 * surface.thermal_V)
    at_source, at_drain = softplus(source, threshold=_EXACT), softplus(drain, threshold=_EXACT)
    d_source, d_drain = 2 * at_source * torch.sigmoid(source), 2 * at_drain * torch.sigmoid(drain)
    # (s - d)(s + d), not s^2 - d^2: keeps digits in float32 at small u_ds.
    base = (at_source - at_drain) * (at_source + at_drain)
    return base, (d_source - d_drain) * slope, d_drain / (2 * surface.thermal_V)


def _correction(surface: CurrentSurface, v_in: Tensor, v_out: Tensor) -> Currents:
    """mean + scale MLP(z) and its derivatives over v_in and v_out (1/V), [2, points] each."""
    z = torch.stack((v_in - surface.mid_V, v_out - surface.mid_V), -1) / surface.half_swing_V
    a = z.expand(2, *z.shape)
    activations = []
    for w, b in zip(surface.weights[:-1], surface.biases[:-1], strict=True):
        a = torch.tanh(torch.baddbmm(b[:, None, :], a, w.mT))
        activations.append(a)
    output = torch.baddbmm(surface.biases[-1][:, None, :], a, surface.weights[-1].mT)[..., 0]
    value = surface.mean[:, None] + surface.scale[:, None] * output
    sensitivity = (surface.scale[:, None, None] * surface.weights[-1]).expand(2, len(z), -1)
    for w, a in zip(reversed(surface.weights[:-1]), reversed(activations), strict=True):
        sensitivity = torch.bmm(sensitivity * (1 - a * a), w)
    slope_in, slope_out = (sensitivity / surface.half_swing_V).unbind(-1)
    return value, slope_in, slope_out
