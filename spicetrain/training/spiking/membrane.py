"""A membrane in time: C du/dt = sum_k a_k u^k, solved without time steps.

With three coefficients or fewer it is Riccati's equation, which has a closed form: over the time t, b_k = a_k t / C,

    f = b_0 + b_1 u + b_2 u^2,   f' = b_1 + 2 b_2 u,   q = sqrt(b_1^2 - 4 b_0 b_2),   r = tanh(q / 2) / q
    u + 2 f r / (1 - f' r)

and for b_2 = 0 that is the exponential approach to -b_0 / b_1. Higher powers are first taken as the parabola that
touches the current at u, which gives an end; then as the one that meets it at u, half way, and at that end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LEAST_Q = 1e-6  # below it tanh(q / 2) / q is 1/2 to 13 digits


def advance(u: Tensor, coefficients: Sequence[Tensor], C: float, t: float) -> Tensor:
    """u (volts) after t seconds of C du/dt = sum_k coefficients[k] u^k, C in farads, coefficients in A / V^k.

    Coefficients broadcast against u; those of the same value for all samples are best given without that axis.
    Exact for up to three coefficients; differentiable.
    """
    b = [coefficient * (t / C) for coefficient in coefficients]
    if len(b) <= 3:
        return u + _riccati(u, b)
    taylor = _around(b, u)
    end = _from_zero(taylor[:3])
    return u + _from_zero(_parabola_through(taylor, end))


def current(u: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    """sum_k coefficients[k] u^k, amperes."""
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * u + coefficient
    return value


def _riccati(u: Tensor, b: Sequence[Tensor]) -> Tensor:
    """The change of u in the unit of time."""
    b0, b1 = b[:2]
    if len(b) == 2:
        r = _tanh_ratio(b1.square())
        return (b0 + b1 * u) * (2 * r / (1 - b1 * r))
    r = _tanh_ratio(b1.square() - 4 * b0 * b[2])
    slope = b1 + b[2] * u
    return (b0 + slope * u) * (2 * r) / (1 - (slope + b[2] * u) * r)


def _from_zero(b: Sequence[Tensor]) -> Tensor:
    r = _tanh_ratio(b[1].square() - 4 * b[0] * b[2])
    return 2 * b[0] * r / (1 - b[1] * r)


def _tanh_ratio(square: Tensor) -> Tensor:
    """tanh(q / 2) / q of q^2."""
    q = square.clamp_min(_LEAST_Q**2).sqrt()
    return torch.tanh(q / 2) / q


def _around(b: Sequence[Tensor], u: Tensor) -> list[Tensor]:
    """Coefficients in powers of the distance from u (Horner's scheme, repeated)."""
    shifted = list(b)
    for lowest in range(len(b) - 1):
        for k in range(len(b) - 2, lowest - 1, -1):
            shifted[k] = shifted[k] + u * shifted[k + 1]
    return shifted


def _parabola_through(taylor: Sequence[Tensor], D: Tensor) -> list[Tensor]:
    """The parabola that equals the polynomial at 0, D / 2 and D: there d^3 = 3/2 D d^2 - D^2 / 2 d, and so on."""
    b0, b1, b2 = taylor[:3]
    first, second = torch.zeros_like(D), torch.ones_like(D)
    for coefficient in taylor[3:]:
        first, second = -0.5 * D.square() * second, first + 1.5 * D * second
        b1, b2 = b1 + coefficient * first, b2 + coefficient * second
    return [b0, b1, b2]
