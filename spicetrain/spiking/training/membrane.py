"""A membrane in time: C du/dt = sum_k a_k u^k, solved without time steps.

Up to the square this is Riccati's equation, which has a closed form. In d, the distance from where u starts, and with
b_k the coefficients of d^k times t / C, the membrane goes in the time t

    d = 2 b_0 r / (1 - b_1 r),   r = tanh(q / 2) / q,   q = sqrt(b_1^2 - 4 b_0 b_2)

which for b_2 = 0 is the exponential approach to -b_0 / b_1. Higher powers are taken as the parabola that meets the
current at the start, at the end that its tangent leads to, and half way between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_LEAST_Q = 1e-6  # below it tanh(q / 2) / q is 1/2 to 13 digits
_LEAST_WAY_V = 1e-3  # between points whose difference float32 divides by
_NEWTON_STEPS = 3  # from a millivolt or two
_SERIES = 0.1  # of q^2: its series to ten digits up to there


def advance(
    u: Tensor,
    coefficients: Sequence[Tensor],
    C: float,
    t: float,
    domain: tuple[float, float] | None = None,
    parts: int = 1,
) -> Tensor:
    """u (volts) after t seconds of C du/dt = sum_k coefficients[k] u^k, C in farads, coefficients in A / V^k.

    coefficients  broadcast against u
    domain         lowest and highest u up to which the polynomial holds: a membrane that starts beyond goes along the
                  tangent there, so that no power runs away
    parts         equal ones of t, one after another; the error falls with their fourth power

    Exact in one part for up to three coefficients; differentiable.
    """
    b = [coefficient * (t / C / (1 if len(coefficients) == 2 else parts)) for coefficient in coefficients]
    if len(b) == 2:
        return u + _change([b[0] + b[1] * u, b[1]])
    for _ in range(parts):
        u = u + _change_in_part(b, u, domain)
    return u


def toward(u: Tensor, flowing: Callable[[Tensor], tuple[Tensor, Tensor]], C: float, t: float) -> Tensor:
    """u (volts) after t seconds of C du/dt = flowing(u)[0], any current (amperes) that has a slope, flowing(u)[1]:
    along the parabola that meets it at the start, at the end that its tangent leads to, and half way between them."""
    start, slope = flowing(u)
    way = _change([start.detach() * (t / C), slope * (t / C)])
    way = torch.where(way.abs() < _LEAST_WAY_V, _LEAST_WAY_V, way)
    half, end = flowing(torch.stack([u + way / 2, u + way]))[0].unbind()
    linear, square = (4 * half - end - 3 * start) / way, 2 * (start + end - 2 * half) / way.square()
    return u + _change([start * (t / C), linear * (t / C), square * (t / C)])


@torch.no_grad()
def resting(coefficients: Sequence[Tensor]) -> Tensor:
    """The u near 0 (volts) at which no current flows, by Newton: where a membrane stands before the first spike."""
    u = -coefficients[0] / coefficients[1]
    for _ in range(_NEWTON_STEPS):
        u = u - current(u, coefficients) / steepness(u, coefficients)
    return u


def current(u: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    """sum_k coefficients[k] u^k, amperes."""
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * u + coefficient
    return value


def steepness(u: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    """sum_k k coefficients[k] u^(k-1), A / V."""
    return current(u, [k * value for k, value in enumerate(coefficients)][1:])


def _change_in_part(b: Sequence[Tensor], u: Tensor, domain: tuple[float, float] | None) -> Tensor:
    b = _around(b, u, domain)
    if len(b) > 3:
        end = _change(b[:2])
        b = _parabola_through(b, end if domain is None else (u + end).clamp(*domain) - u)
    return _change(b)


def _change(b: Sequence[Tensor]) -> Tensor:
    """d of two or three coefficients."""
    square = b[1].square()
    r = _tanh_ratio(square) if len(b) == 2 else _signed_tanh_ratio(square - 4 * b[0] * b[2])
    return b[0] * (2 * r / (1 - b[1] * r))


def _tanh_ratio(square: Tensor) -> Tensor:
    """tanh(q / 2) / q of q^2."""
    q = square.clamp_min(_LEAST_Q**2).sqrt()
    return torch.tanh(q / 2) / q


def _signed_tanh_ratio(square: Tensor) -> Tensor:
    """The same where q^2 may be negative: a parabola without a root, on the way to one that another parabola has."""
    x = square.clamp(-_SERIES, _SERIES)
    series = 0.5 - x * (1 / 24 - x * (1 / 240 - x * (17 / 40320 - x * (31 / 725760))))
    return torch.where(square < _SERIES, series, _tanh_ratio(square))


def _around(b: Sequence[Tensor], u: Tensor, domain: tuple[float, float] | None) -> list[Tensor]:
    """Coefficients in powers of the distance from u (Horner's scheme, repeated)."""
    held = u if domain is None else u.clamp(*domain)
    shifted = list(b)
    for lowest in range(len(b) - 1):
        for k in range(len(b) - 2, lowest - 1, -1):
            shifted[k] = shifted[k] + held * shifted[k + 1]
    if domain is None:
        return shifted
    inside = (held == u).to(u.dtype)
    return [shifted[0] + shifted[1] * (u - held), shifted[1], *(a * inside for a in shifted[2:])]


def _parabola_through(taylor: Sequence[Tensor], D: Tensor) -> list[Tensor]:
    """The parabola that equals the polynomial at 0, D / 2 and D: there d^3 = 3/2 D d^2 - D^2 / 2 d, and so on."""
    b0, b1, b2 = taylor[:3]
    first, second = torch.zeros_like(D), torch.ones_like(D)
    for coefficient in taylor[3:]:
        first, second = -0.5 * D.square() * second, first + 1.5 * D * second
        b1, b2 = b1 + coefficient * first, b2 + coefficient * second
    return [b0, b1, b2]
