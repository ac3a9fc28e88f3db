"""What mismatch is at an inverter's input: what the methods that solve nothing are told, against the solution."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch, transistor_currents
from spicetrain.inverter.training.inverters import Inverters, inverters_of
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.threshold import threshold_of
from spicetrain.technology import Technology

from .circuits import EXACT, random_mismatch


def test_offsets_of_the_methods_that_solve_nothing_are_the_solution_to_first_order(
    ptm90: Technology, beyond: CurrentSurface, mismatched: Inverters
) -> None:
    """Around its threshold an unloaded pair moves as if its inputs were shifted; what is left falls with the square."""
    threshold = threshold_of(beyond, ptm90.rails)
    of = random_mismatch(2, 1, 3, seed=5)
    assert of.factor is not None
    one = torch.ones(3, dtype=torch.float64)

    def pair(v_in: Tensor, small: Mismatch | None) -> tuple[Tensor, Tensor]:
        if small is None:
            small = Mismatch(torch.zeros_like(of.shift))
        v_n = solve_output(v_in, one, mismatched, EXACT, mismatch=small.of(0)).v_out
        return v_n, solve_output(v_n, one, mismatched, EXACT, mismatch=small.of(1)).v_out

    # where v_n is at mid-rail, so that both inverters switch
    centre = _where_mid(inverters_of(beyond))
    v_in = torch.full((1, 3), centre, dtype=torch.float64)
    left = []
    for size in (0.02, 0.01):
        small = Mismatch(size * of.shift, 1 + size * (of.factor - 1))
        of_n, of_p = threshold.offsets(small)
        assert of_p is not None
        exact_n, exact_p = pair(v_in, small)
        near_n, near_p = pair(v_in - of_n, None)[0], pair(v_in - of_p, None)[1]
        moved_n, moved_p = ((exact - plain) for exact, plain in zip((exact_n, exact_p), pair(v_in, None), strict=True))
        assert float(moved_n.abs().max()) > 5e-4 and float(moved_p.abs().max()) > 5e-4
        left.append(
            (
                float((near_n - exact_n).abs().max() / moved_n.abs().max()),
                float((near_p - exact_p).abs().max() / moved_p.abs().max()),
            )
        )
    assert max(left[1]) < 0.1
    assert all(b < 0.8 * a + 1e-3 for a, b in zip(*left, strict=True))


@pytest.mark.parametrize(("kind", "factor"), [(0, False), (1, False), (0, True), (1, True)])
def test_each_transistors_part_in_the_threshold(
    kind: int, factor: bool, ptm90: Technology, beyond: CurrentSurface
) -> None:
    """Where the output is at mid-rail, found by bisection with one transistor moved."""
    skewed = replace(beyond, residual=None, mean=beyond.mean + torch.tensor([0.7, 0.0], dtype=torch.float64))
    threshold, mid = threshold_of(skewed, ptm90.rails), torch.zeros(1, dtype=torch.float64)

    def switches_at(of: Mismatch) -> float:
        low, high = -0.25, 0.25
        for _ in range(60):
            v_in = torch.full((1,), (low + high) / 2, dtype=torch.float64)
            n, p = transistor_currents(skewed, v_in, mid, of)
            low, high = (float(v_in), high) if float(p[0]) > float(n[0]) else (low, float(v_in))
        return low

    none = torch.zeros(2, 1, 1, dtype=torch.float64)
    step = none.clone()
    step[kind] = 1e-4
    moved = Mismatch(none, 1 + step) if factor else Mismatch(step)
    before, after = switches_at(Mismatch(none)), switches_at(moved)
    one = Mismatch(*(None if t is None else t.view(2, 1, 1) for t in moved))  # type: ignore[arg-type]
    offset, _ = threshold.offsets(one)
    assert float(offset) == pytest.approx(after - before, rel=2e-3)
    assert abs(threshold.share_n - 0.5) > 5e-3  # or the two could be exchanged


def _where_mid(inverters: Inverters) -> float:
    v = torch.linspace(-0.05, 0.05, 2001, dtype=torch.float64)[:, None]
    out = solve_output(v, torch.ones(1, dtype=torch.float64), inverters, EXACT).v_out
    return float(v[out.abs().argmin()])
