"""Moved images against numpy's roll and slicing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.loop import train
from spicetrain.technology import Technology
from spicetrain.training.augmentation import augmented
from spicetrain.training.settings import Augmentation

SHAPE = (5, 3)
EVERYTHING = Augmentation(shift_pixels=1, rotate_rad=0.2, flip=True)


def images(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (count, 15)))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_nothing_asked_nothing_done() -> None:
    x = images(4)
    assert augmented(x, SHAPE, Augmentation(), generator()) is x


def test_flipped_or_not_and_about_half_of_them() -> None:
    x = images(400)
    y = augmented(x, SHAPE, Augmentation(flip=True), generator())
    mirrored = x.view(-1, *SHAPE).flip(2).reshape(-1, 15)
    is_same, is_mirrored = (torch.isclose(y, other).all(1) for other in (x, mirrored))
    assert bool((is_same ^ is_mirrored).all())
    assert 150 < int(is_mirrored.sum()) < 250


def test_moved_by_up_to_so_many_pixels_and_dark_beyond_the_edge() -> None:
    spot = torch.zeros(500, 9, 11, dtype=torch.float64)
    spot[:, 4, 6] = 1.0
    y = augmented(spot.view(500, -1), (9, 11), Augmentation(shift_pixels=2), generator()).view(500, 9, 11)
    rows = (y.sum(2) * torch.arange(9)).sum(1) / y.sum((1, 2))
    columns = (y.sum(1) * torch.arange(11)).sum(1) / y.sum((1, 2))
    for moved, at in ((rows, 4), (columns, 6)):
        assert 1.9 < float((moved - at).max()) <= 2 + 1e-9
        assert -2 - 1e-9 <= float((moved - at).min()) < -1.9
    torch.testing.assert_close(y.sum((1, 2)), torch.ones(500, dtype=torch.float64))  # bilinear: no light is lost
    full = augmented(torch.ones(50, 99, dtype=torch.float64), (9, 11), Augmentation(shift_pixels=2), generator()).view(
        50, 9, 11
    )
    assert bool((full.amin((1, 2)) < 0.9).all())
    assert float(full[:, 3:6, 3:8].min()) == pytest.approx(1.0, abs=1e-15)  # its last digit is the processor's


def test_the_same_generator_moves_the_same_way() -> None:
    x = images(8)
    assert torch.equal(augmented(x, SHAPE, EVERYTHING, generator()), augmented(x, SHAPE, EVERYTHING, generator()))
    assert not torch.equal(augmented(x, SHAPE, EVERYTHING, generator()), x)


def test_turned_by_up_to_so_much_about_the_middle_in_pixels() -> None:
    """A spot right of the middle of an image that is no square stays at its distance, within the angle asked."""
    spot = torch.zeros(500, 13, 21, dtype=torch.float64)
    spot[:, 6, 15] = 1.0
    y = augmented(spot.view(500, -1), (13, 21), Augmentation(rotate_rad=0.5), generator()).view(500, 13, 21)
    down = (y.sum(2) * torch.arange(13)).sum(1) / y.sum((1, 2)) - 6
    right = (y.sum(1) * torch.arange(21)).sum(1) / y.sum((1, 2)) - 10
    assert float((torch.hypot(right, down) - 5).abs().max()) < 0.15
    angle = torch.atan2(down, right)
    assert 0.45 < float(angle.max()) < 0.55
    assert -0.55 < float(angle.min()) < -0.45


def test_iris_has_no_images(ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> None:
    settings = TrainingSettings(augmentation=EVERYTHING)
    with pytest.raises(ConfigurationError, match=r"training\.augmentation .* iris has none"):
        train(NetworkSettings(layers=(4, 3, 3)), settings, load_dataset("iris"), ptm90, Surrogates(surface), tmp_path)
