"""The functions to be learnt, against other ways to compute them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.integrate import quad

from spicetrain.datasets import load_dataset
from spicetrain.datasets.kernels import black_scholes, inverse_kinematics, sobel
from spicetrain.errors import DatasetError


def test_sobel_is_that_of_image_processing() -> None:
    patches = np.random.default_rng(0).random((7, 9))
    for patch, found in zip(patches, sobel(patches), strict=True):
        across, down = (ndimage.sobel(patch.reshape(3, 3), axis=axis)[1, 1] for axis in (1, 0))
        assert found == pytest.approx(np.hypot(across, down) / 4, rel=1e-12)


def test_the_arm_reaches_where_it_was_asked_to() -> None:
    random = np.random.default_rng(1)
    shoulder, elbow = random.uniform(0, np.pi / 2, (2, 50))
    x = 0.5 * np.cos(shoulder) + 0.5 * np.cos(shoulder + elbow)
    y = 0.5 * np.sin(shoulder) + 0.5 * np.sin(shoulder + elbow)
    np.testing.assert_allclose(inverse_kinematics(x, y), np.stack([shoulder, elbow], 1), atol=1e-7)


@pytest.mark.parametrize(("moneyness", "volatility", "years"), [(0.8, 0.1, 0.1), (1.0, 0.3, 0.5), (1.2, 0.5, 1.0)])
def test_an_option_is_its_expected_payoff(moneyness: float, volatility: float, years: float) -> None:
    """Discounted, over a stock whose logarithm is normal and grows by the interest rate."""
    rate, deviation = 0.03, volatility * np.sqrt(years)

    def payoff(z: float) -> float:
        stock = moneyness * np.exp((rate - volatility**2 / 2) * years + deviation * z)
        return float(max(stock - 1, 0) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))

    exercised = (-np.log(moneyness) - (rate - volatility**2 / 2) * years) / deviation
    expected = np.exp(-rate * years) * quad(payoff, exercised, max(exercised, 0) + 12)[0]
    found = black_scholes(*(np.array([value]) for value in (moneyness, volatility, years)))
    assert found[0] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "features", "targets"), [("sobel", 9, 1), ("inversek2j", 2, 2), ("blackscholes", 3, 1)]
)
def test_kernels_as_datasets(name: str, features: int, targets: int, tmp_path: Path) -> None:
    data, again = load_dataset(name), load_dataset(name)
    assert data.train_inputs.shape == (8000, features) and data.test_labels.shape == (1000, targets)
    assert data.targets is not None and len(data.outputs) == targets and data.classes == ()
    assert data.train_inputs.min() >= 0 and data.test_inputs.max() <= 1
    assert data.fingerprint == again.fingerprint and data.train_labels.dtype == np.float64
    assert data.train_labels.min(0).tolist() == list(data.targets.low)
    with pytest.raises(DatasetError, match=f"{name} is computed and takes no folder"):
        load_dataset(name, tmp_path)


def test_the_inputs_say_what_the_targets_are_of() -> None:
    """Undone from 0..1, the inputs of the arm are where its angles lead."""
    data = load_dataset("inversek2j")
    x, y = 1.5 * data.test_inputs[:, 0].astype(float) - 0.5, data.test_inputs[:, 1].astype(float)
    shoulder, elbow = data.test_labels.T
    np.testing.assert_allclose(0.5 * np.cos(shoulder) + 0.5 * np.cos(shoulder + elbow), x, atol=1e-6)
    np.testing.assert_allclose(0.5 * np.sin(shoulder) + 0.5 * np.sin(shoulder + elbow), y, atol=1e-6)
