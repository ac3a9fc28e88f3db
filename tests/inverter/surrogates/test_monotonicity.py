"""The certificate says yes to the measured inverter, and no to a surface made non-monotone on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spicetrain.inverter.surrogates.current_surface import CurrentSurface, inverter_current
from spicetrain.inverter.surrogates.monotonicity import certify
from spicetrain.inverter.surrogates.store import Surrogates

from .conftest import Measured


def test_the_measured_inverter_is_certified(measured: Measured) -> None:
    surface = Surrogates.load(measured.folder).current_surface
    found = certify(surface, 301)
    assert found.certified and found.falls_with_v_in
    assert found.least_unique_load_S == 0
    assert 0 < found.margin_S <= -found.max_di_dv_out_S
    v = torch.from_numpy(np.random.default_rng(0).uniform(-0.25, 0.25, (2, 20_000)))
    _, over_in, over_out = inverter_current(surface, *v)
    assert over_out.max().item() <= found.bound_di_dv_out_S
    assert over_in.max().item() <= found.bound_di_dv_in_S


def with_a_bump(surface: CurrentSurface, steepness: float, centre_V: float = 0.0013) -> CurrentSurface:
    """The nMOS correction falls steeply with v_out around the centre: its current then falls too."""
    w = torch.zeros(2, 1, 2, dtype=torch.float64)
    w[0, 0, 1] = steepness
    b = torch.full((2, 1), -steepness * centre_V / 0.25, dtype=torch.float64)
    out = torch.tensor([[[-1.0]], [[0.0]]], dtype=torch.float64)
    zero = torch.zeros(2, 1, dtype=torch.float64)
    ones = torch.ones(2, dtype=torch.float64)
    return replace(surface, weights=(w, out), biases=(b, zero), scale=ones * 0.2)


def test_a_bump_is_found_and_a_load_that_hides_it_named(surface: CurrentSurface) -> None:
    found = certify(with_a_bump(surface, 20.0), 301)
    assert not found.certified
    assert found.max_di_dv_out_S > 0 > found.margin_S
    assert found.least_unique_load_S == found.bound_di_dv_out_S >= found.max_di_dv_out_S
    assert not certify(with_a_bump(surface, 20.0), 31).certified


@pytest.mark.parametrize(("steepness", "grid"), [(7.5, 31), (9.0, 31), (30.0, 101)])
def test_between_the_grid_points_too(surface: CurrentSurface, steepness: float, grid: int) -> None:
    """The peak lies off the grid, in cells of half a neuron's width and more: the bound is not below it."""
    bumpy = with_a_bump(surface, steepness, 0.5 / (grid - 1) * 0.5)
    found = certify(bumpy, grid)
    v_in = torch.linspace(-0.25, 0.25, 201, dtype=torch.float64)
    v_out = torch.linspace(-0.02, 0.03, 501, dtype=torch.float64)
    over = torch.meshgrid(v_in, v_out, indexing="ij")
    true_maximum = inverter_current(bumpy, over[0], over[1])[2].max().item()
    assert found.max_di_dv_out_S < 0.995 * true_maximum
    assert true_maximum <= found.bound_di_dv_out_S < 3 * true_maximum


def test_a_grid_too_coarse_widens_its_bound(surface: CurrentSurface) -> None:
    """Every second point misses this bump: by how much is added, and gone once the grid is fine enough."""
    bumpy = with_a_bump(surface, 30.0, 0.0)
    coarse, fine = certify(bumpy, 31), certify(bumpy, 301)
    assert coarse.bound_di_dv_out_S > 1.8 * fine.bound_di_dv_out_S
    assert fine.bound_di_dv_out_S < 1.02 * fine.max_di_dv_out_S


def test_a_current_that_rises_with_v_in_is_noticed(surface: CurrentSurface) -> None:
    bumpy = with_a_bump(surface, 20.0)
    plain = replace(bumpy, scale=torch.zeros(2, dtype=torch.float64))
    assert certify(plain, 101).falls_with_v_in
    weights = (bumpy.weights[0].flip(2), bumpy.weights[1])  # the nMOS current now falls with v_in
    rising = replace(bumpy, weights=weights, scale=torch.ones(2, dtype=torch.float64))
    found = certify(rising, 101)
    assert found.max_di_dv_in_S > 0 and not found.falls_with_v_in
    assert found.certified  # and that is another question


def test_json(surface: CurrentSurface) -> None:
    found = certify(surface, 21)
    assert found.to_json()["max_di_dv_out_S"] == pytest.approx(found.max_di_dv_out_S)
