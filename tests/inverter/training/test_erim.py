"""ERIM-style sizes against the loaded curve solved point by point: one finger less misses the bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import TrainingSettings
from spicetrain.inverter.training.erim import largest_load_per_finger, needed_fingers
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.tanh_vtc import loaded_curve
from spicetrain.schema import parse


def threshold_and_slope(inverters: Inverters, fingers: int, load_S: float) -> tuple[float, float]:
    """Where v_out = v_in, and -dv_out/dv_in there, from a fine curve; linear in between."""
    m = torch.tensor([float(fingers)], dtype=torch.float64)
    middle = (inverters.low + inverters.high) / 2
    v_in = torch.linspace(middle - 0.05, middle + 0.05, 4001, dtype=torch.float64)
    above = loaded_curve(inverters, v_in, m, load_S)[:, 0] - v_in
    k = int((above > 0).sum())
    step, drop = float(v_in[1] - v_in[0]), float(above[k - 1] - above[k])
    return float(v_in[k - 1]) + step * float(above[k - 1]) / drop, drop / step - 1


def smallest_sizes(
    load_S: torch.Tensor, inverters: Inverters, slope_share: float = 0.8, threshold_V: float = 5e-3
) -> torch.Tensor:
    return needed_fingers(load_S, largest_load_per_finger(inverters, slope_share, threshold_V)).long()


@pytest.mark.parametrize("slope_share", [0.5, 0.8, 0.95])
def test_the_bound_is_met_and_by_one_finger_less_it_is_not(slope_share: float, inverters: Inverters) -> None:
    loads = torch.tensor([[2e-7, 2e-6], [1.2e-5, 6.1e-6]], dtype=torch.float64)
    sizes = smallest_sizes(loads, inverters, slope_share)
    assert sizes.shape == loads.shape
    _, slope_0 = threshold_and_slope(inverters, 1, 0.0)
    for load, size in zip(loads.flatten().tolist(), sizes.flatten().tolist(), strict=True):
        assert threshold_and_slope(inverters, size, load)[1] >= slope_share * slope_0 * (1 - 1e-4)
        if size > 1:
            assert threshold_and_slope(inverters, size - 1, load)[1] < slope_share * slope_0
    assert int(sizes.max()) >= 5


def test_the_threshold_counts_too(inverters: Inverters) -> None:
    """Lopsided by a current into its output: its threshold is off mid-rail, so a load moves it."""
    lopsided = replace(
        inverters,
        current=lambda v_in, v_out: (inverters.current(v_in, v_out)[0] + 4e-7, *inverters.current(v_in, v_out)[1:]),
        coarse=lambda v_in, v_out: (inverters.coarse(v_in, v_out)[0] + 4e-7, *inverters.coarse(v_in, v_out)[1:]),
    )
    threshold_0, slope_0 = threshold_and_slope(lopsided, 1, 0.0)
    assert threshold_0 > 0.01
    (size,) = smallest_sizes(torch.tensor([2e-5]), lopsided, 0.01, 1e-3).tolist()
    assert size > 1
    moved = [abs(threshold_and_slope(lopsided, m, 2e-5)[0] - threshold_0) for m in (size, size - 1)]
    assert moved[0] <= 1.001e-3 < moved[1]


def test_sizes_rise_with_the_load_from_one_on(inverters: Inverters) -> None:
    sizes = smallest_sizes(torch.cat([torch.zeros(1), torch.logspace(-9, -2, 200)]), inverters)
    assert int(sizes[0]) == 1 and int(sizes[-1]) > 1000
    assert bool((sizes.diff() >= 0).all())
    few = smallest_sizes(torch.linspace(0, 2e-5, 500), inverters).tolist()
    assert set(range(1, max(few) + 1)) == set(few)


def test_a_whole_number_of_largest_loads_takes_that_many_fingers(inverters: Inverters) -> None:
    one = largest_load_per_finger(inverters, 0.8, 5e-3)
    fingers = torch.arange(1, 60, dtype=torch.float64)
    assert torch.equal(needed_fingers(one * fingers, one), fingers)
    assert torch.equal(needed_fingers(one * fingers * 1.001, one), fingers + 1)


@pytest.mark.parametrize("bounds", [(1.0, 5e-3), (0.8, 0.0)])
def test_a_bound_that_allows_no_load_is_refused(bounds: tuple[float, float], inverters: Inverters) -> None:
    with pytest.raises(ConfigurationError, match="any load costs slope"):
        largest_load_per_finger(inverters, *bounds)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"slope_share": 1.0}, r"erim.slope_share = 1\.0"),
        ({"slope_share": 0}, "erim.slope_share = 0"),
        ({"threshold_V": 0.0}, r"erim.threshold_V = 0\.0"),
        ({"largest_fingers": 0}, "erim.largest_fingers = 0"),
        ({"largest_fingers": 2.5}, r"erim.largest_fingers = 2\.5"),
        ({"largest": 64}, "unknown key 'erim.largest'. Did you mean 'largest_fingers'"),
    ],
)
def test_bad_settings_are_refused(content: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(TrainingSettings, {"erim": content}, "a.toml")
