"""Figures against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spicetrain.errors import VerificationError
from spicetrain.inverter.definition import VerificationSettings
from spicetrain.inverter.verification.figures import compare, require_within, summary_rows
from spicetrain.inverter.verification.summary import InverterSummary

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


SWING_V = 0.5


def summary(**changes: Any) -> InverterSummary:
    about: dict[str, Any] = {
        "dataset": "iris",
        "technology": "ptm90",
        "layers": [4, 3, 2],
        "method": "kcl",
        "netlist": "reduced",
        "swing_V": SWING_V,
        "solver_unconverged": 0,
        "flat": {"images": 2, "difference_max_V": 2e-6, "seconds_ngspice": 0.5},
        "seconds_ngspice": 1.0,
        "seconds_total": 2.0,
        "ngspice_version": 39,
        "key": "",
    }
    return InverterSummary.model_validate(compare(MODEL, SPICE, LABELS) | about | changes)


WITHIN: dict[str, Any] = {
    "accuracy_min": 0.5,
    "agreement_min": 0.75,
    "error_mean_max": 0.08,
    "error_max_max": 0.42,
    "flat_error_max": 5e-6,
}
OUTSIDE = {
    "accuracy_min": ("accuracy_spice = 0.5 of 4 images, asked at least 0.99", 0.99),
    "agreement_min": ("agreement = 0.75 of 4 images, asked at least 0.999", 0.999),
    "error_mean_max": ("error_mean_V / swing = 0.075, asked at most 0.074", 0.074),
    "error_max_max": ("error_max_V / swing = 0.4, asked at most 0.39", 0.39),
    "flat_error_max": ("flat.difference_max_V / swing = 4e-06, asked at most 3e-06", 3e-6),
}


def test_what_is_within_all_limits_passes() -> None:
    require_within(summary(), VerificationSettings(**WITHIN))


@pytest.mark.parametrize("limit", OUTSIDE)
def test_each_limit_is_looked_at_and_alone(limit: str) -> None:
    text, value = OUTSIDE[limit]
    with pytest.raises(VerificationError) as caught:
        require_within(summary(), VerificationSettings(**(WITHIN | {limit: value})))
    assert text in str(caught.value)
    assert str(caught.value).count("asked") == 1
    assert caught.value.exit_code == 5


def test_a_share_of_few_images_is_not_outside_by_chance() -> None:
    """Two right of four, where 80 % are asked: chance alone does that in 18 % of all draws."""
    require_within(summary(), VerificationSettings(**(WITHIN | {"accuracy_min": 0.8})))


def test_tolerances_are_shares_of_the_swing() -> None:
    for swing_V, passes in ((0.5, True), (1.8, True), (0.2, False)):
        settings = VerificationSettings(**(WITHIN | {"flat_error_max": 5e-6, "error_mean_max": 1, "error_max_max": 1}))
        if passes:
            require_within(summary(swing_V=swing_V), settings)
        else:
            with pytest.raises(VerificationError, match="flat.difference_max_V / swing = 1e-05"):
                require_within(summary(swing_V=swing_V), settings)


NEAR = SPICE + np.array([[1e-4, -1e-4]])


def test_a_method_that_knows_the_circuit_is_judged_unless_told_otherwise() -> None:
    require_within(summary(**compare(NEAR, SPICE, LABELS)), VerificationSettings())
    with pytest.raises(VerificationError, match=r"error_mean_V / swing = 0\.075, asked at most 0\.005"):
        require_within(summary(), VerificationSettings())
    require_within(summary(method="ideal"), VerificationSettings())  # claims nothing of the circuit
    warm, cold = ({"temperature_C": t} for t in (85.0, 27.0))
    require_within(summary(trained_in=cold, simulated_in=warm), VerificationSettings())  # nor kcl of another circuit


def test_the_default_asks_agreement_of_what_knows_the_circuit() -> None:
    images = 200
    spice = np.tile([[0.1, -0.1]], (images, 1))
    model = np.where(np.arange(images)[:, None] < 10, [[0.0, 1e-4]], [[0.1, -0.1]])
    figures = compare(spice + 1e-5, spice, np.zeros(images, int)) | {"agreement": 0.95}
    assert compare(model, spice, np.zeros(images, int))["agreement"] == 0.95
    with pytest.raises(VerificationError, match=r"agreement = 0\.95 of 200 images, asked at least 0\.99"):
        require_within(summary(**figures), VerificationSettings())


def test_figures_that_are_not_there_are_not_missed() -> None:
    require_within(summary(flat=None, method="ideal"), VerificationSettings())


def test_a_figure_that_is_not_a_number_is_not_within_any_limit() -> None:
    with pytest.raises(VerificationError, match="error_max_V / swing = nan"):
        require_within(summary(error_max_V=float("nan")), VerificationSettings(**WITHIN))


def test_a_sample_that_the_solver_did_not_solve_is_not_passed_over() -> None:
    with pytest.raises(VerificationError, match="solver_unconverged = 2"):
        require_within(summary(solver_unconverged=2), VerificationSettings(**WITHIN))


def test_percent_and_microvolts_are_shown() -> None:
    title, rows = summary_rows(summary())
    assert title == "iris 4-3-2, kcl, 4 images in ngspice"
    shown = dict(rows)
    assert shown["accuracy, own model"] == "75.00%"
    assert shown["output error, max"] == "200000.0 uV"
    assert shown["flat - reduced, max of 2 images"] == "2.00 uV"
    assert shown["seconds in ngspice"] == "1.5"
