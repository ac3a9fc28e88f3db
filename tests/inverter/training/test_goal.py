"""Losses and scores, against torch's and scikit-learn's, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error

from spicetrain.datasets.dataset import Targets
from spicetrain.inverter.training.goal import Classification, Regression
from spicetrain.rails import Rails

RAILS = Rails(vdd_V=0.9, vss_V=-0.1)  # mid-rail is not 0
TARGETS = Targets(("metres", "kelvin"), (-2.0, 250.0), (2.0, 350.0), share=0.5)


def test_the_ends_of_the_range_are_a_share_of_the_swing_about_its_middle() -> None:
    goal = Regression(RAILS, TARGETS)
    volts = np.array([[0.15, 0.65], [0.4, 0.4], [0.9, -0.1]])  # 0.4 +- 0.5 * 0.5; and the rails
    np.testing.assert_allclose(goal.read(volts), [[-2, 350], [0, 300], [4, 200]], rtol=1e-12)


def test_regression_is_the_squared_error_of_the_voltages() -> None:
    goal = Regression(RAILS, TARGETS)
    wanted = torch.from_numpy(TARGETS.to_share(np.array([[-2.0, 300.0]])))
    outputs = torch.tensor([[0.15, 0.45]], requires_grad=True)  # right, and 50 mV too high: 0.1 of half the swing
    loss = goal.loss(outputs, wanted)
    assert loss.item() == pytest.approx(0.1**2 / 2, rel=1e-5)
    loss.backward()
    assert outputs.grad is not None and outputs.grad[0, 1].item() == pytest.approx(0.1 / 0.5, rel=1e-4)
    assert outputs.grad[0, 0].item() == pytest.approx(0, abs=1e-6)


def test_regression_scores_as_scikit_learn_does() -> None:
    random = np.random.default_rng(0)
    wanted = random.uniform((-2, 250), (2, 350), (40, 2))
    volts = random.uniform(0.1, 0.7, (40, 2))
    goal = Regression(RAILS, TARGETS)
    score, found = goal.score(volts, TARGETS.to_share(wanted)), goal.read(volts)
    assert list(score) == ["r2", "rms_metres", "rms_kelvin"]
    errors = root_mean_squared_error(wanted, found, multioutput="raw_values")
    expected = [r2_score(wanted, found), *errors]
    assert list(score.values()) == pytest.approx(expected, rel=1e-5)


def test_classification_is_what_it_was() -> None:
    goal, random = Classification(RAILS, 0.05), np.random.default_rng(0)
    volts, labels = random.uniform(-0.1, 0.9, (20, 3)), random.integers(0, 3, 20)
    loss = goal.loss(torch.from_numpy(volts), torch.from_numpy(labels))
    logits = (volts - 0.4) / 0.05
    by_hand = np.log(np.exp(logits).sum(1)) - logits[np.arange(20), labels]
    assert loss.item() == pytest.approx(by_hand.mean(), rel=1e-6)
    assert goal.score(volts, labels) == {"accuracy": accuracy_score(labels, volts.argmax(1))}
