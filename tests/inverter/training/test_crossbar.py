"""Conductances and the parameters behind them, against numpy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.network import encode
from spicetrain.inverter.training.parameters import CrossbarParameters, row_signal
from spicetrain.technology import Technology

from .circuits import random_crossbar


def parameters(technology: Technology, rows: int, columns: int, *, ratios: bool) -> CrossbarParameters:
    generator = torch.Generator().manual_seed(rows)
    return CrossbarParameters(rows, columns, technology.memristor, ratios=ratios, generator=generator)


@pytest.mark.parametrize("ratios", [False, True])
def test_no_conductance_leaves_the_devices_range_however_large_theta(ptm90: Technology, ratios: bool) -> None:
    trained = parameters(ptm90, 6, 4, ratios=ratios)
    with torch.no_grad():
        trained.pos[0], trained.pos[1], trained.neg[2] = 60.0, -60.0, 200.0
    box, device = trained.crossbar(), ptm90.memristor
    for g in (box.pos, box.neg, box.bias_pos, box.bias_neg):
        assert g.dtype == np.float64
        assert g.min() >= device.g_min_S
        assert g.max() <= device.g_max_S
    assert box.pos[0] == pytest.approx(device.g_max_S, rel=1e-5)
    assert box.pos[1] == pytest.approx(device.g_min_S, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 7)])
def test_assigned_conductances_come_back(ptm90: Technology, shape: tuple[int, int]) -> None:
    wanted = random_crossbar(ptm90, *shape, seed=5)
    trained = parameters(ptm90, *shape, ratios=False).double()
    trained.assign(wanted)
    found = trained.crossbar()
    for name in ("pos", "neg", "bias_pos", "bias_neg"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=2e-2)
        inside = getattr(wanted, name) > ptm90.memristor.g_min_S * 1.01
        np.testing.assert_allclose(getattr(found, name)[inside], getattr(wanted, name)[inside], rtol=1e-12)


def test_ratios_put_the_smallest_of_each_column_on_g_min_and_keep_the_ratios(ptm90: Technology) -> None:
    free, scaled = (parameters(ptm90, 5, 3, ratios=ratios).double() for ratios in (False, True))
    scaled.load_state_dict(free.state_dict())
    before, after = (box.crossbar() for box in (free, scaled))

    def columns(box: object) -> np.ndarray:
        return np.vstack([getattr(box, name).reshape(-1, 3) for name in ("pos", "neg", "bias_pos", "bias_neg")])

    np.testing.assert_allclose(columns(after).min(0), ptm90.memristor.g_min_S, rtol=1e-12)
    np.testing.assert_allclose(
        columns(after) / columns(after).sum(0), columns(before) / columns(before).sum(0), rtol=1e-9
    )
    assert columns(before).min() > 1.001 * ptm90.memristor.g_min_S


@pytest.mark.parametrize("ratios", [False, True])
def test_gradients_of_the_conductances(ptm90: Technology, ratios: bool) -> None:
    trained = parameters(ptm90, 3, 2, ratios=ratios).double()
    thetas = tuple(trained.parameters())
    names = [name for name, _ in trained.named_parameters()]

    def microsiemens(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        g = torch.func.functional_call(trained, dict(zip(names, values, strict=True)), ())
        return tuple(1e6 * value for value in g)

    assert torch.autograd.gradcheck(microsiemens, thetas, eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 7)])
def test_open_columns_and_signal_are_numpys(
    ptm90: Technology, made_up: Technology, shape: tuple[int, int], encoding: str
) -> None:
    inputs = np.random.default_rng(2).random((6, shape[0]))
    for technology in (ptm90, made_up):  # the second has a mid-rail that is not 0
        rails, box = technology.rails, random_crossbar(technology, *shape, seed=1)
        v_pos, v_neg = encode(inputs, encoding, rails)  # type: ignore[arg-type]
        signal = row_signal(torch.from_numpy(inputs), encoding, rails)  # type: ignore[arg-type]
        np.testing.assert_allclose(signal.numpy(), v_pos - rails.mid_V, atol=1e-15)
        np.testing.assert_allclose(signal.numpy(), rails.mid_V - v_neg, atol=1e-15)
        found = Conductances.of(box, torch.float64).open_columns(signal, rails)
        np.testing.assert_allclose(found.numpy(), box.open_column_voltage(v_pos, v_neg, rails), rtol=0, atol=1e-14)
