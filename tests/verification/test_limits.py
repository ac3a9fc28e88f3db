"""Figures against limits; shares of few images by the binomial distribution, whose tails scipy and hand agree on."""

from __future__ import annotations

from math import comb

import pytest

from spicetrain.errors import VerificationError
from spicetrain.verification.limits import SURE, Limit, require


def at_most(successes: int, images: int, share: float) -> float:
    """Probability of so many successes or fewer, by hand."""
    return sum(comb(images, k) * share**k * (1 - share) ** (images - k) for k in range(successes + 1))


@pytest.mark.parametrize("images", [1, 10, 200])
@pytest.mark.parametrize("limit", [0.5, 0.97])
def test_a_share_is_outside_where_chance_would_hardly_have_it(images: int, limit: float) -> None:
    for right in range(images + 1):
        judged = Limit("accuracy", right / images, limit, "at least", images)
        assert judged.missed == (right / images < limit and at_most(right, images, limit) < SURE), right


def test_nine_of_ten_do_not_miss_97_percent_and_900_of_1000_do() -> None:
    assert not Limit("accuracy", 0.9, 0.97, "at least", 10).missed
    assert Limit("accuracy", 0.9, 0.97, "at least", 1000).missed


def test_a_share_that_must_not_be_exceeded_is_judged_from_above() -> None:
    for differing in range(21):
        judged = Limit("gap", differing / 20, 0.1, "at most", 20)
        more = 1 - at_most(differing - 1, 20, 0.1)
        assert judged.missed == (differing / 20 > 0.1 and more < SURE), differing


def test_what_is_no_share_is_judged_as_it_is() -> None:
    assert Limit("error", 1.01e-3, 1e-3, "at most").missed
    assert not Limit("error", 1e-3, 1e-3, "at most").missed
    assert Limit("error", float("nan"), 1e-3, "at most").missed
    assert Limit("share", float("nan"), 0.5, "at least", 10).missed
    assert not Limit("error", None, 1e-3, "at most").missed and not Limit("error", 1.0, None, "at most").missed


def test_every_figure_that_is_missed_is_named_with_its_causes_once() -> None:
    limits = [
        Limit("a", 2.0, 1.0, "at most", likely="a worn cell"),
        Limit("b", 1.0, 1.0, "at most", likely="never"),
        Limit("c", 0.1, 0.9, "at least", 50, likely="a worn cell"),
    ]
    with pytest.raises(VerificationError) as caught:
        require(limits)
    said = str(caught.value)
    assert "a = 2, asked at most 1; c = 0.1 of 50 images, asked at least 0.9" in said
    assert said.count("a worn cell") == 1 and "never" not in said
    require(limits[1:2])
