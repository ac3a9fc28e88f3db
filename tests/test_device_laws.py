"""What disturbs a device, law by law: distributions, gradients, and that no source changes what another one draws."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from spicetrain.array.aging import LogarithmicDrift
from spicetrain.array.built import built
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.devices.ohmic import Ohmic
from spicetrain.array.devices.presets import devices_folder, load_preset
from spicetrain.array.programming import LogNormal, Window
from spicetrain.array.variation import LEAST_SHARE, ArrayStatistics, Levels, ReadNoise, Relative, Stuck, disturbed
from spicetrain.draw import Draw

DEVICE = Ohmic(g_min_S=1e-6, g_max_S=1e-4)
PRESETS = sorted(path.stem for path in devices_folder().glob("*.toml"))
TEN_PERCENT = Relative(form="relative", sigma=0.1)
SOME_STUCK = Stuck(at_g_min=0.04, at_g_max=0.01)
DRIFT = load_preset("pcm").memristor.drift
OWN: dict[str, Any] = {
    "lognormal": LogNormal(form="lognormal", sigma=0.2),
    "window": Window(form="window", half_width=0.1),
}
ALL = ArrayStatistics(TEN_PERCENT, Levels(form="log", count=64), SOME_STUCK, ReadNoise(factor=0.02), DRIFT, 1e4)


def crossbar(rows: int = 200, columns: int = 100) -> Crossbar:
    g = np.random.default_rng(0).uniform(DEVICE.g_min_S, DEVICE.g_max_S, (2 * rows + 2, columns))
    return Crossbar(g[:rows], g[rows:-2], g[-2], g[-1])


def of(statistics: ArrayStatistics, chip: int = 3, writing: int = 0, layer: int = 0) -> NDArray[np.float64]:
    """Conductances of the positive rows of a chip."""
    return built(crossbar(), DEVICE, statistics, Draw(chip, writing), layer).pos


def drawn(statistics: ArrayStatistics, g: Any, n: Any, u: Any) -> Any:
    return disturbed(g, statistics, DEVICE.g_min_S, DEVICE.g_max_S, lambda source: n, lambda source: u)


# Distributions


def test_a_relative_error_is_a_share_of_every_conductance() -> None:
    share = of(ArrayStatistics(TEN_PERCENT)) / crossbar().pos - 1
    assert abs(share.std() / 0.1 - 1) < 4.5 / math.sqrt(2 * share.size)
    assert kstest(share[:50].ravel() / 0.1, "norm").pvalue > 1e-3


def test_the_median_of_a_lognormal_error_is_what_was_wanted() -> None:
    ratio = np.log(of(ArrayStatistics(LogNormal(form="lognormal", sigma=0.5))) / crossbar().pos)
    assert abs(np.median(ratio)) < 4.5 * 0.5 * math.sqrt(math.pi / 2 / ratio.size)
    assert abs(ratio.std() / 0.5 - 1) < 4.5 / math.sqrt(2 * ratio.size)


def test_a_verified_window_is_uniform() -> None:
    wanted = crossbar().pos
    window = Window(form="window", half_width=0.02, half_width_S=1e-7)
    off = (of(ArrayStatistics(window)) - wanted) / (0.02 * wanted + 1e-7)
    assert abs(off).max() <= 1 and kstest(off[:50].ravel(), "uniform", (-1, 2)).pvalue > 1e-3


@pytest.mark.parametrize(
    "statistics",
    [
        ArrayStatistics(Relative(form="relative", sigma=2.0)),
        ArrayStatistics(drift=LogarithmicDrift(form="logarithmic", shift_S=-1e-4, sigma_S=0.0, t0_s=1.0), time_s=1e3),
        ArrayStatistics(read_noise=ReadNoise(factor=1.0)),
        ArrayStatistics(Relative(form="relative", sigma=2.0), read_noise=ReadNoise(factor=1.0)),
    ],
    ids=["programming", "drift", "read noise", "programming and read noise"],
)
def test_no_device_conducts_less_than_nothing(statistics: ArrayStatistics) -> None:
    assert of(statistics).min() == LEAST_SHARE * DEVICE.g_min_S


@pytest.mark.parametrize(
    ("levels", "expected_S"),
    [
        (Levels(form="linear", count=4), [1e-6, 34e-6, 67e-6, 100e-6]),
        (Levels(form="log", count=5), [1e-6, 10**-5.5, 1e-5, 10**-4.5, 1e-4]),
        (Levels(form="list", values_S=(5e-5, 2e-6, 9e-5)), [2e-6, 5e-5, 9e-5]),
    ],
)
def test_the_nearest_level_is_programmed(levels: Levels, expected_S: list[float]) -> None:
    wanted, found = crossbar().pos, of(ArrayStatistics(levels=levels))
    distance = abs(wanted[..., None] - np.array(expected_S))
    np.testing.assert_allclose(found, np.array(expected_S)[distance.argmin(-1)], rtol=1e-12)


# Stuck cells


def test_so_many_cells_are_stuck() -> None:
    found = of(ArrayStatistics(stuck=SOME_STUCK))
    for share, g in ((0.04, DEVICE.g_min_S), (0.01, DEVICE.g_max_S)):
        count = np.sum(found == g)
        assert abs(count - share * found.size) < 4 * math.sqrt(share * found.size)
    untouched = (found != DEVICE.g_min_S) & (found != DEVICE.g_max_S)
    np.testing.assert_array_equal(found[untouched], crossbar().pos[untouched])


def test_another_writing_finds_the_same_cells_stuck_and_all_others_programmed_anew() -> None:
    statistics = ArrayStatistics(TEN_PERCENT, stuck=SOME_STUCK)
    first, second = of(statistics), of(statistics, writing=1)
    stuck = np.isin(first, (DEVICE.g_min_S, DEVICE.g_max_S))
    assert stuck.any()
    np.testing.assert_array_equal(first == second, stuck)
    np.testing.assert_array_equal(first[stuck], second[stuck])
    assert not np.array_equal(stuck, np.isin(of(statistics, chip=4), (DEVICE.g_min_S, DEVICE.g_max_S)))


def test_drift_is_the_chips_also_after_another_writing() -> None:
    drifted = ArrayStatistics(drift=DRIFT, time_s=1e4)
    np.testing.assert_array_equal(of(drifted), of(drifted, writing=1))
    np.testing.assert_array_equal(of(replace(drifted, time_s=0.0)), crossbar().pos)


# One draw


def test_layers_and_arrays_draw_numbers_of_their_own_in_any_order() -> None:
    statistics = ArrayStatistics(TEN_PERCENT)
    before = of(statistics, layer=1)
    share = of(statistics) / crossbar().pos
    np.testing.assert_array_equal(of(statistics, layer=1), before)
    one = built(crossbar(), DEVICE, statistics, Draw(3), 0)
    others = [before / crossbar().pos, one.neg / crossbar().neg]
    for other in others:
        assert abs(np.corrcoef(share.ravel(), other.ravel())[0, 1]) < 4.5 / math.sqrt(share.size)


def test_sources_draw_numbers_of_their_own() -> None:
    alone = (
        ArrayStatistics(TEN_PERCENT),
        ArrayStatistics(read_noise=ReadNoise(factor=0.02)),
        ArrayStatistics(drift=DRIFT, time_s=1e4),
    )
    shares = [(of(statistics) / crossbar().pos).ravel() for statistics in alone]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        # drift also spreads with the conductance, which is nobody's draw
        assert abs(np.corrcoef(shares[one], shares[other])[0, 1]) < 4.5 / math.sqrt(shares[0].size)


def test_a_source_changed_or_left_out_leaves_the_others_draws() -> None:
    less = replace(ALL, levels=None)
    quiet = replace(less, read_noise=None)
    noise = of(less) / of(quiet)
    assert noise.std() > 0.01
    for changed in (
        replace(less, programming=LogNormal(form="lognormal", sigma=0.3)),
        replace(less, programming=None),
        replace(less, stuck=None),
        replace(less, drift=None),
        replace(less, levels=ALL.levels),
    ):
        np.testing.assert_allclose(of(changed) / of(replace(changed, read_noise=None)), noise, rtol=1e-9)
    still = replace(quiet, drift=None, stuck=None)
    free = of(replace(still, stuck=SOME_STUCK)) == of(still)
    assert 0.9 < free.mean() < 1
    np.testing.assert_array_equal(of(quiet)[free], of(replace(quiet, stuck=None))[free])
    double = replace(still, programming=Relative(form="relative", sigma=0.2))
    np.testing.assert_allclose(of(double) / crossbar().pos - 1, 2 * (of(still) / crossbar().pos - 1), atol=1e-12)


# Two libraries, one formula


@pytest.mark.parametrize("name", [*PRESETS, "all", *OWN])
@pytest.mark.parametrize("time_s", [0.0, 3600.0, 1e7])
def test_torch_and_numpy_agree(name: str, time_s: float) -> None:
    memristor = DEVICE if name not in PRESETS else load_preset(name).memristor
    statistics = replace(ALL, time_s=time_s, programming=OWN.get(name, TEN_PERCENT))
    if name in PRESETS:
        law = memristor.programming, Levels(form="linear", count=32), SOME_STUCK, memristor.read_noise, memristor.drift
        statistics = ArrayStatistics(*law, time_s=time_s)
    rng = np.random.default_rng(5)
    g = rng.uniform(memristor.g_min_S, memristor.g_max_S, 3000)
    n = {source: rng.standard_normal(3000) for source in ("programming", "drift", "read noise")}
    u = rng.random(3000)
    ends = memristor.g_min_S, memristor.g_max_S
    expected = disturbed(g, statistics, *ends, n.__getitem__, lambda source: u)
    tensors = {source: torch.tensor(value) for source, value in n.items()}
    found = disturbed(torch.tensor(g), statistics, *ends, tensors.__getitem__, lambda source: torch.tensor(u))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", [*PRESETS, *OWN])
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    memristor = DEVICE if name in OWN else load_preset(name).memristor
    statistics = ArrayStatistics(
        OWN.get(name) or memristor.programming, None, SOME_STUCK, memristor.read_noise, memristor.drift, 1e5
    )
    n = {s: torch.tensor([0.3, -1.1, 0.8, 0.4], dtype=torch.float64) for s in ("programming", "drift", "read noise")}
    u = torch.tensor([0.5, 0.6, 0.7, 0.01], dtype=torch.float64)  # the last is stuck

    def relative(x: torch.Tensor) -> torch.Tensor:
        ends = memristor.g_min_S, memristor.g_max_S
        found: torch.Tensor = disturbed(x * ends[1], statistics, *ends, n.__getitem__, lambda source: u) / ends[1]
        return found

    x = torch.tensor([0.45, 0.6, 0.83, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(relative, (x,), eps=1e-6, atol=1e-7)
    (gradient,) = torch.autograd.grad(relative(x).sum(), x)
    assert gradient[3] == 0 and torch.all(gradient[:3].abs() > 0.1)


def test_the_gradient_passes_straight_through_levels() -> None:
    n = torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64)
    g = torch.tensor([2e-5, 5e-5, 8e-5], dtype=torch.float64, requires_grad=True)
    levels = Levels(form="linear", count=3)
    found = drawn(ArrayStatistics(levels=levels), g, n, n)
    np.testing.assert_allclose(found.detach().numpy(), [1e-6, 50.5e-6, 100e-6])
    (gradient,) = torch.autograd.grad(found.sum(), g)
    np.testing.assert_array_equal(gradient.numpy(), 1.0)
    (gradient,) = torch.autograd.grad(drawn(ArrayStatistics(TEN_PERCENT, levels), g, n, n).sum(), g)
    np.testing.assert_allclose(gradient.numpy(), 1 + 0.1 * n.numpy())
