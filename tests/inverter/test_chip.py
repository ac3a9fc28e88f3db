"""A chip is a number: what is drawn for it, and what that does not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inverter.training.circuits import random_network
from spicetrain.array.variation import ArrayStatistics, ReadNoise, Relative, Stuck
from spicetrain.draw import Draw
from spicetrain.inverter.chip import Chip, chip_of, sigmas_of
from spicetrain.inverter.network import Network
from spicetrain.mismatch import Mismatch, TransistorMismatch
from spicetrain.technology import Technology
from spicetrain.variation import NOTHING, Statistics

PROGRAMMING = Relative(form="relative", sigma=0.1)


def transistors(a_beta: float = 1e-8, a_vt: float = 3.5e-9) -> Mismatch:
    return Mismatch(
        convention="single",
        nmos=TransistorMismatch(A_VT_Vm=a_vt, A_beta_m=a_beta),
        pmos=TransistorMismatch(A_VT_Vm=2e-9, A_beta_m=a_beta),
    )


EVERYTHING = Statistics(
    transistors(), 1.0, ArrayStatistics(PROGRAMMING, None, Stuck(at_g_max=0.2), ReadNoise(factor=0.01))
)


@pytest.fixture
def network(ptm90: Technology) -> Network:
    return random_network(ptm90, 5, 4, 3)


def shifts(chip: Chip) -> np.ndarray:
    assert chip.mismatch is not None
    return np.concatenate([layer.shift.ravel() for layer in chip.mismatch])


def conductances(chip: Chip) -> np.ndarray:
    return np.concatenate([g.ravel() for box in chip.network.crossbars for g in vars(box).values()])


def test_sigma_falls_with_the_root_of_the_fingers_of_each_inverter(ptm90: Technology) -> None:
    columns = 4000
    base = random_network(ptm90, 1, columns, 1)
    sizes = (np.tile([1.0, 16.0], (columns, 1)), np.array([[4.0]]))
    chip = chip_of(replace(base, sizes=sizes), ptm90, Statistics(transistors(), 2.0), Draw(3))
    assert chip.mismatch is not None
    hidden, last = chip.mismatch
    assert hidden.shift.shape == hidden.factor.shape == (2, 2, columns)
    assert last.shift.shape == last.factor.shape == (2, 1, 1)
    for kind, (a_vt, area) in enumerate(((3.5e-9, 240e-9 * 90e-9), (2e-9, 560e-9 * 90e-9))):
        for inverter, fingers in enumerate((1.0, 16.0)):
            root = np.sqrt(area * fingers)
            # of 4,000 draws a standard deviation is off by 1.1 %, one sigma
            assert hidden.shift[kind, inverter].std() == pytest.approx(2 * a_vt / root, rel=0.05)
            assert hidden.factor[kind, inverter].std() == pytest.approx(2 * 1e-8 / root, rel=0.05)
            assert hidden.factor[kind, inverter].mean() == pytest.approx(1, abs=0.05 * 2 * 1e-8 / root + 0.01)
    # shift and factor, n and p, first and second inverter: all drawn apart
    drawn = np.concatenate([hidden.shift.reshape(4, -1), hidden.factor.reshape(4, -1)])
    assert np.abs(np.corrcoef(drawn) - np.eye(8)).max() < 0.08


def test_a_resized_inverter_keeps_its_luck(ptm90: Technology, network: Network) -> None:
    larger = replace(network, sizes=tuple(4 * size for size in network.sizes))
    one, other = (chip_of(of, ptm90, EVERYTHING, Draw(7)) for of in (network, larger))
    np.testing.assert_allclose(shifts(one), 2 * shifts(other), rtol=1e-12)


def test_a_chip_is_its_number_and_nothing_else(ptm90: Technology, network: Network) -> None:
    in_order = [chip_of(network, ptm90, EVERYTHING, Draw(number)).fingerprint for number in range(5)]
    backwards = [chip_of(network, ptm90, EVERYTHING, Draw(number)).fingerprint for number in (4, 3, 2, 1, 0)]
    assert in_order == backwards[::-1]
    assert len(set(in_order)) == 5
    far = [chip_of(network, ptm90, EVERYTHING, Draw(number)) for number in (1000, 2**16, 2**31, 2**32 - 1)]
    assert len({*in_order, *(chip.fingerprint for chip in far)}) == 9
    assert np.isfinite(shifts(far[-1])).all()


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        (replace(EVERYTHING, mismatch=None), "conductances"),
        (replace(EVERYTHING, mismatch_scale=3.0), "conductances"),
        (replace(EVERYTHING, array=ArrayStatistics()), "shifts"),
        (replace(EVERYTHING, array=replace(EVERYTHING.array, stuck=None)), "shifts"),
        (replace(EVERYTHING, array=replace(EVERYTHING.array, programming=None)), "shifts"),
    ],
)
def test_one_source_changed_leaves_what_the_others_draw(
    changed: Statistics, kept: str, ptm90: Technology, network: Network
) -> None:
    one, other = (chip_of(network, ptm90, statistics, Draw(1)) for statistics in (EVERYTHING, changed))
    same, differing = (conductances, shifts) if kept == "conductances" else (shifts, conductances)
    assert np.array_equal(same(one), same(other))
    if changed.mismatch is not None:
        assert not np.allclose(differing(one), differing(other), rtol=1e-3, atol=0)


def test_devices_that_are_stuck_stay_the_same_ones_with_another_source(ptm90: Technology, network: Network) -> None:
    """Within the array too: which cells are stuck is no matter of what their neighbours were programmed to."""
    high = ptm90.memristor.g_max_S
    only = ArrayStatistics(stuck=Stuck(at_g_max=0.2))
    both = replace(only, programming=PROGRAMMING)
    stuck = [conductances(chip_of(network, ptm90, Statistics(array=array), Draw(1))) == high for array in (only, both)]
    assert np.array_equal(*stuck)
    assert 0.05 < stuck[0].mean() < 0.4
    larger = conductances(
        chip_of(network, ptm90, Statistics(array=ArrayStatistics(stuck=Stuck(at_g_max=0.4))), Draw(1))
    )
    assert (larger[stuck[0]] == high).all()  # more of them are the same and others besides


def test_another_writing_is_another_programming_error_of_the_same_chip(ptm90: Technology, network: Network) -> None:
    without = replace(EVERYTHING, array=replace(EVERYTHING.array, programming=None))
    once, again = (chip_of(network, ptm90, EVERYTHING, Draw(2, writing)) for writing in (0, 1))
    assert np.array_equal(shifts(once), shifts(again))
    high = ptm90.memristor.g_max_S
    # read noise lies upon all of them: without it the stuck ones are to be seen
    quiet = replace(EVERYTHING, array=replace(EVERYTHING.array, read_noise=None))
    a, b = (conductances(chip_of(network, ptm90, quiet, Draw(2, writing))) for writing in (0, 1))
    assert np.array_equal(a == high, b == high) and (a == high).any()
    assert not (a[a != high] == b[a != high]).any()
    first, second = (conductances(chip_of(network, ptm90, without, Draw(2, writing))) for writing in (0, 1))
    assert np.array_equal(first, second)


def test_the_crossbars_of_a_chip_are_drawn_apart(ptm90: Technology) -> None:
    network = random_network(ptm90, 40, 40, 40)
    chip = chip_of(network, ptm90, Statistics(array=ArrayStatistics(programming=PROGRAMMING)), Draw(0))
    errors = [
        (box.pos / wanted.pos - 1, box.neg / wanted.neg - 1)
        for box, wanted in zip(chip.network.crossbars, network.crossbars, strict=True)
    ]
    flat = np.array([of.ravel() for pair in errors for of in pair])
    assert flat.std(1) == pytest.approx(0.1, rel=0.08)
    assert np.abs(np.corrcoef(flat) - np.eye(4)).max() < 0.1


def test_where_nothing_varies_a_chip_is_its_network(ptm90: Technology, network: Network) -> None:
    chip = chip_of(network, ptm90, NOTHING, Draw(5))
    assert chip.network is network and chip.mismatch is None
    assert sigmas_of(ptm90, NOTHING) == [(0.0, 0.0)] * 2
    assert chip.fingerprint == chip_of(network, ptm90, NOTHING, Draw(6)).fingerprint


def test_its_fingerprint_is_of_all_that_is_simulated(ptm90: Technology, network: Network) -> None:
    chip = chip_of(network, ptm90, EVERYTHING, Draw(0))
    assert chip.mismatch is not None

    def moved(**changes: Any) -> Chip:
        layer = replace(chip.mismatch[0], **changes)  # type: ignore[index]
        return replace(chip, mismatch=(layer, *chip.mismatch[1:]))  # type: ignore[index]

    others = [
        replace(chip, mismatch=None),
        moved(shift=chip.mismatch[0].shift + 1e-12),
        moved(factor=chip.mismatch[0].factor + 1e-12),
        chip_of(network, ptm90, replace(EVERYTHING, array=ArrayStatistics()), Draw(0)),
    ]
    assert len({chip.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_a_current_keeps_its_direction(ptm90: Technology, network: Network) -> None:
    chip = chip_of(network, ptm90, Statistics(transistors(a_beta=5e-7)), Draw(0))
    assert chip.mismatch is not None
    factors = np.concatenate([layer.factor.ravel() for layer in chip.mismatch])
    assert factors.min() == 1e-3 and factors.max() > 2
