"""Functions to be learnt as a regression, as approximate computing has them: drawn by a fixed seed, in closed form.

Those of AxBench (A. Yazdanbakhsh et al., IEEE Design & Test 34(2), 2017) that PHAX was shown on; our own inputs, not
the benchmark's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from spicetrain.datasets.dataset import Dataset, Targets
from spicetrain.errors import DatasetError

_TRAIN, _TEST = 8000, 1000
_TRAIN_SEED, _TEST_SEED = 0, 1
_LINK_M = 0.5  # both links of the arm, as AxBench has them
_RATE_PER_YEAR = 0.03

Floats = NDArray[np.float64]
Sampler = Callable[[int, np.random.Generator], tuple[Floats, Floats]]
"""(samples, generator) -> inputs [samples, features] in 0..1, targets [samples, outputs]."""


def sobel(patches: Floats) -> Floats:
    """Length of the gradient of grey patches [n, 9] of 3 x 3 pixels in 0..1, 1 for a full step along an axis; [n]."""
    kernel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    across, down = (patches @ one.ravel() for one in (kernel, kernel.T))
    return np.hypot(across, down) / 4


def inverse_kinematics(x_m: Floats, y_m: Floats) -> Floats:
    """Angles (rad) [n, 2] of the shoulder and of the elbow of an arm whose end is at x, y; the elbow turned left."""
    elbow = np.arccos(np.clip((x_m**2 + y_m**2 - 2 * _LINK_M**2) / (2 * _LINK_M**2), -1, 1))
    shoulder = np.arctan2(y_m, x_m) - np.arctan2(_LINK_M * np.sin(elbow), _LINK_M * (1 + np.cos(elbow)))
    return np.stack([shoulder, elbow], axis=1)


def black_scholes(moneyness: Floats, volatility: Floats, years: Floats) -> Floats:
    """Price of a European call, in shares of its strike; moneyness is the stock's price over it, all [n].

    F. Black, M. Scholes, J. Political Economy 81 (1973) 637, at an interest rate of 3 % a year.
    """
    deviation = volatility * np.sqrt(years)
    d1 = (np.log(moneyness) + (_RATE_PER_YEAR + volatility**2 / 2) * years) / deviation
    return moneyness * ndtr(d1) - np.exp(-_RATE_PER_YEAR * years) * ndtr(d1 - deviation)


def _patches(number: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Edges of any direction, place, height and sharpness, with some noise."""
    row, column = np.mgrid[-1:2, -1:2].reshape(2, 9)
    angle, place, width = (
        random.uniform(low, high, (number, 1)) for low, high in ((0.0, 2 * np.pi), (-2.0, 2.0), (0.1, 1.0))
    )
    grey = random.uniform(0, 1, (number, 2, 1))
    edge = expit((column * np.cos(angle) + row * np.sin(angle) - place) / width)
    patches = grey[:, 0] + (grey[:, 1] - grey[:, 0]) * edge + random.normal(0, 0.02, (number, 9))
    patches = np.clip(patches, 0, 1)
    return patches, sobel(patches)[:, None]


def _arm(number: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Ends of arms whose angles are 0..90 degrees, as AxBench draws them; both coordinates over their reach."""
    shoulder, elbow = random.uniform(0, np.pi / 2, (2, number))
    x_m = _LINK_M * (np.cos(shoulder) + np.cos(shoulder + elbow))
    y_m = _LINK_M * (np.sin(shoulder) + np.sin(shoulder + elbow))
    reach_m = 2 * _LINK_M
    inputs = np.stack([(x_m + _LINK_M) / (reach_m + _LINK_M), y_m / reach_m], axis=1)
    return inputs, inverse_kinematics(x_m, y_m)


def _options(number: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Moneyness 0.8..1.2, volatility 0.1..0.5 a year, 0.1..1 year to go."""
    inputs = random.uniform(0, 1, (number, 3))
    moneyness, volatility, years = (low + span * inputs[:, j] for j, (low, span) in enumerate(_OPTION_RANGES))
    return inputs, black_scholes(moneyness, volatility, years)[:, None]


_OPTION_RANGES = ((0.8, 0.4), (0.1, 0.4), (0.1, 0.9))


def load_kernel(name: str, draw: Sampler, targets: tuple[str, ...], folder: Path | None = None) -> Dataset:
    """8,000 samples to train on and 1,000 to test. DatasetError when a folder is given."""
    if folder is not None:
        raise DatasetError(f"{name} is computed and takes no folder: leave {folder} out.")
    inputs, wanted = draw(_TRAIN, np.random.default_rng(_TRAIN_SEED))
    test_inputs, test_wanted = draw(_TEST, np.random.default_rng(_TEST_SEED))
    low, high = wanted.min(axis=0), wanted.max(axis=0)
    return Dataset(
        name=name,
        train_inputs=inputs.astype(np.float32),
        train_labels=wanted,
        test_inputs=test_inputs.astype(np.float32),
        test_labels=test_wanted,
        classes=(),
        image_shape=(3, 3) if draw is _patches else None,
        targets=Targets(targets, tuple(low.tolist()), tuple(high.tolist())),
    )


SOBEL = partial(load_kernel, "sobel", _patches, ("gradient",))
INVERSEK2J = partial(load_kernel, "inversek2j", _arm, ("shoulder_rad", "elbow_rad"))
BLACKSCHOLES = partial(load_kernel, "blackscholes", _options, ("call_over_strike",))
