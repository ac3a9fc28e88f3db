"""Figures against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spicetrain.errors import VerificationError
from spicetrain.inverter.definition import VerificationSettings
from spicetrain.inverter.verification.figures import compare, require_within

MODEL = np.array([[0.2, -0.1], [0.1, 0.0], [-0.2, 0.1], [0.25, 0.05]])
SPICE = np.array([[0.2, -0.2], [-0.1, 0.0], [-0.2, 0.1], [0.25, 0.05]])  # 0.1 V off, 0.2 V off and another class
LABELS = np.array([0, 0, 1, 1])


def test_the_figures_of_four_images() -> None:
    figures = compare(MODEL, SPICE, LABELS)
    assert figures == {
        "images": 4,
        "accuracy_model": 0.75,
        "accuracy_spice": 0.5,
        "agreement": 0.75,
        "error_mean_V": pytest.approx(0.3 / 8),
        "error_rms_V": pytest.approx(np.sqrt(0.05 / 8)),
        "error_max_V": pytest.approx(0.2),
    }


def summary(**changes: object) -> dict:
    about = {"dataset": "iris", "layers": [4, 3, 2], "method": "kcl", "seconds_ngspice": 1.0, "solver_unconverged": 0}
    return compare(MODEL, SPICE, LABELS) | about | {"flat": {"images": 2, "difference_max_V": 2e-6}} | changes


WITHIN: dict[str, Any] = {
    "accuracy_min": 0.5,
    "agreement_min": 0.75,
    "error_mean_max_V": 0.04,
    "error_max_max_V": 0.21,
    "flat_error_max_V": 3e-6,
}
BEYOND = {
    "accuracy_min": ("accuracy_spice = 0.5, asked at least 0.51", 0.51),
    "agreement_min": ("agreement = 0.75, asked at least 0.76", 0.76),
    "error_mean_max_V": ("error_mean_V = 0.0375, asked at most 0.037", 0.037),
    "error_max_max_V": ("error_max_V = 0.2, asked at most 0.19", 0.19),
    "flat_error_max_V": ("flat.difference_max_V = 2e-06, asked at most 1e-06", 1e-6),
}


def test_what_is_within_all_limits_passes() -> None:
    require_within(summary(), VerificationSettings(**WITHIN))


@pytest.mark.parametrize("limit", BEYOND)
def test_each_limit_is_looked_at_and_alone(limit: str) -> None:
    text, value = BEYOND[limit]
    with pytest.raises(VerificationError) as caught:
        require_within(summary(), VerificationSettings(**(WITHIN | {limit: value})))
    assert text in str(caught.value)
    assert str(caught.value).count("asked") == 1
    assert caught.value.exit_code == 5


def test_limits_that_are_not_set_or_have_no_figure_are_not_missed() -> None:
    require_within(summary(flat=None), VerificationSettings())
    figures = {name: value for name, value in summary(accuracy_spice=0.0).items() if name != "flat"}
    require_within(figures, VerificationSettings(accuracy_min=None))


def test_a_figure_that_is_not_a_number_is_not_within_any_limit() -> None:
    with pytest.raises(VerificationError, match="error_max_V = nan"):
        require_within(summary(error_max_V=float("nan")), VerificationSettings(**WITHIN))


def test_a_sample_that_the_solver_did_not_solve_is_not_passed_over() -> None:
    with pytest.raises(VerificationError, match="solver_unconverged = 2"):
        require_within(summary(solver_unconverged=2), VerificationSettings(**WITHIN))


def test_the_table_shows_percent_and_microvolts() -> None:
    columns = {str(column.header): list(column.cells) for column in summary_table(summary()).columns}
    shown = dict(zip(columns["figure"], columns["value"], strict=True))
    assert shown["accuracy, own model"] == "75.00%"
    assert shown["output error, max"] == "200000.0 uV"
    assert shown["flat - reduced, max of 2 images"] == "2.00 uV"
