"""The evaluation in torch: the equation written out, autograd, float32, shapes, the door."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spicetrain.errors import DomainError
from spicetrain.inverter.surrogates.current_surface import (
    CurrentSurface,
    inverter_current,
    require_inside,
    supply_currents,
)

GRID = torch.linspace(-0.25, 0.25, 23, dtype=torch.float64)
V_IN, V_OUT = torch.meshgrid(GRID, GRID, indexing="ij")


def by_hand(surface: CurrentSurface, t: int, v_in: Tensor, v_out: Tensor) -> Tensor:
    """I_t as the module's equation has it, one operation after the other; autograd differentiates it."""
    u_gs, u_ds = (v_in + 0.25, v_out + 0.25) if t == 0 else (0.25 - v_in, 0.25 - v_out)
    a = (u_gs - surface.v_t_V[t]) / (2 * surface.n[t] * surface.thermal_V)
    base = torch.log1p(a.exp()) ** 2 - torch.log1p((a - u_ds / (2 * surface.thermal_V)).exp()) ** 2
    x = torch.stack((v_in, v_out), -1) / 0.25
    for w, b in zip(surface.weights[:-1], surface.biases[:-1], strict=True):
        x = torch.tanh(x @ w[t].T + b[t])
    output = (x @ surface.weights[-1][t].T + surface.biases[-1][t])[..., 0]
    return torch.exp(surface.mean[t] + surface.scale[t] * output) * base


def test_is_the_equation(surface: CurrentSurface) -> None:
    i_n, i_p = (by_hand(surface, t, V_IN, V_OUT) for t in (0, 1))
    i_vdd, i_vss = supply_currents(surface, V_IN, V_OUT)
    torch.testing.assert_close(i_vss, i_n, rtol=1e-10, atol=1e-20)
    torch.testing.assert_close(i_vdd, i_p, rtol=1e-10, atol=1e-20)
    torch.testing.assert_close(inverter_current(surface, V_IN, V_OUT)[0], i_p - i_n, rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize("points", [1, 529, 8192, 20_001])
def test_derivatives_are_autograds(surface: CurrentSurface, points: int) -> None:
    """Also where the points are taken in several pieces."""
    rng = torch.Generator().manual_seed(points)
    v = torch.rand(2, points, dtype=torch.float64, generator=rng) / 2 - 0.25
    v_in, v_out = (part.clone().requires_grad_() for part in v)
    expected = by_hand(surface, 1, v_in, v_out) - by_hand(surface, 0, v_in, v_out)
    exact_in, exact_out = torch.autograd.grad(expected.sum(), (v_in, v_out))
    i_out, over_in, over_out = inverter_current(surface, *v)
    torch.testing.assert_close(i_out, expected.detach(), rtol=1e-9, atol=1e-18)
    torch.testing.assert_close(over_in, exact_in, rtol=1e-9, atol=1e-16)
    torch.testing.assert_close(over_out, exact_out, rtol=1e-9, atol=1e-16)


def test_float32_agrees(surface: CurrentSurface) -> None:
    single = inverter_current(surface.to(torch.float32), V_IN.float(), V_OUT.float())
    for low, high in zip(single, inverter_current(surface, V_IN, V_OUT), strict=True):
        assert low.dtype == torch.float32
        assert (low.double() - high).abs().max() < 3e-6 * high.abs().max()


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (3, 1, 2)])
def test_any_shape(surface: CurrentSurface, shape: tuple[int, ...]) -> None:
    v_in, v_out = torch.full(shape, 0.1, dtype=torch.float64), torch.full(shape, -0.2, dtype=torch.float64)
    for part in (*inverter_current(surface, v_in, v_out), *supply_currents(surface, v_in, v_out)):
        assert part.shape == shape


@pytest.mark.parametrize(
    ("v_in", "v_out", "message"),
    [
        (0.3, 0.0, r"v_in = 0\.3 V \(1 of 2 values\).* -0\.25 \.\. 0\.25 V"),
        (0.0, -0.2501, r"v_out = -0\.2501 V"),
        (float("nan"), 0.0, "v_in = nan V"),
    ],
)
def test_outside_the_domain_is_refused(surface: CurrentSurface, v_in: float, v_out: float, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        require_inside(surface, torch.tensor([0.0, v_in]), torch.tensor([0.0, v_out]))


def test_the_rails_themselves_are_inside(surface: CurrentSurface) -> None:
    require_inside(surface, torch.tensor([-0.25, 0.25]), torch.tensor([0.25, -0.25]))
