"""Hold times and integrals of curves whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from spicetrain.inverter.verification.settling import hold_times, integral, part


def held(time_s: np.ndarray, *outputs: np.ndarray, before: list[float], after: list[float]) -> list[float]:
    v = np.stack(outputs, 1)
    return hold_times(time_s, v, np.array(before), np.array(after), 0.1, 1e-3).tolist()


def test_an_exponential_is_within_a_tenth_after_ln_10_time_constants() -> None:
    t = np.linspace(3.0, 23.0, 4001)
    rising, falling = 0.2 - 0.3 * np.exp(-(t - 3)), -0.1 + 0.3 * np.exp(-(t - 3) / 2)
    times = held(t, rising, falling, before=[-0.1, 0.2], after=[0.2, -0.1])
    assert times == pytest.approx([np.log(10), 2 * np.log(10)], rel=1e-5)


def test_it_is_the_last_time_that_counts_and_a_point_may_jump_through_the_band() -> None:
    t = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    glitch = np.array([0.0, 1.0, 1.0, 1.5, 1.0, 1.0])  # leaves 1.1 again, back between 3 and 4
    through = np.array([0.0, 0.0, 1.3, 1.0, 1.0, 1.0])  # from 0 to 1.3: outside on both sides
    jump = np.array([0.0, 0.0, 1.05, 1.05, 1.0, 1.0])  # within the band at once, from below
    times = held(t, glitch, through, jump, before=[0.0] * 3, after=[1.0] * 3)
    assert times == pytest.approx([3 + 0.4 / 0.5, 2 + 0.2 / 0.3, 1 + 0.9 / 1.05])


def test_small_steps_do_not_count_and_what_is_outside_at_the_end_has_no_hold_time() -> None:
    t = np.array([0.0, 1.0, 2.0])
    small, never, still = np.array([5.0, 5.0, 5.0]), np.array([0.0, 0.5, 0.8]), np.array([1.0, 1.0, 1.0])
    times = held(t, small, never, still, before=[0.0, 0.0, 0.0], after=[9e-4, 1.0, 1.0])
    assert times == [0.0, np.inf, 0.0]


def test_parts_and_integrals_end_between_the_points() -> None:
    t = np.array([0.0, 1.0, 3.0, 4.0])
    ramp = np.array([0.0, 2.0, 6.0, 8.0])
    times, values = part(t, np.stack([ramp, -ramp], 1), 0.5, 3.5)
    assert times.tolist() == [0.5, 1.0, 3.0, 3.5]
    np.testing.assert_allclose(values, np.stack([2 * times, -2 * times], 1))
    for stop in (0.25, 1.0, 2.5, 4.0):
        assert integral(t, ramp, stop) == pytest.approx(stop**2)
    assert integral(t + 7.0, ramp, 2.0) == pytest.approx(4.0)
