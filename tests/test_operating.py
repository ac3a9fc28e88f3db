"""Sets of operating conditions: which there are, between which rails, by which name."""

from __future__ import annotations

import pytest

from spicetrain.errors import TechnologyError
from spicetrain.operating import ConditionSet, conditions_in
from spicetrain.technology import Technology


def test_nothing_asked_is_the_nominal_condition(ptm90: Technology, made_up: Technology) -> None:
    for technology in (ptm90, made_up):
        (only,) = conditions_in(technology, ConditionSet())
        assert only.nominal and only.technology == technology
        assert only.name == f"nominal_{technology.temperature_C:g}C_1x"
    assert not ConditionSet() and ConditionSet(vdd_scales=(1.0,))


def test_all_combinations_each_with_its_own_section_temperature_and_rails(made_up: Technology) -> None:
    named = made_up.changed(corners={"tt": "slow", "ff": "fast"})
    asked = ConditionSet(corners=("tt", "ff"), temperatures_C=(-40, 40.0, 85), vdd_scales=(0.9, 1))
    found = conditions_in(named, asked)
    assert [one.name for one in found[:4]] == ["tt_-40C_0.9x", "tt_-40C_1x", "tt_40C_0.9x", "tt_40C_1x"]
    assert len({one.name for one in found}) == len({one.technology.fingerprint for one in found}) == 12
    assert [one.name for one in found if one.nominal] == ["tt_40C_1x"]
    for one in found:
        there = one.technology
        assert there.transistors.section == {"tt": "slow", "ff": "fast"}[one.corner]
        assert (there.rails.vdd_V, there.rails.vss_V) == pytest.approx(
            {0.9: (0.57, 0.03), 1: (0.6, 0.0)}[one.vdd_scale]
        )
        assert there.changed(transistors=named.transistors, temperature_C=40.0, rails=named.rails) == named
        assert one.facts()["temperature_C"] == there.temperature_C and one.facts()["vdd_V"] == there.rails.vdd_V


def test_the_nominal_corner_is_known_by_its_section(made_up: Technology) -> None:
    named = made_up.changed(corners={"ff": "fast", "typical": "slow"})
    assert [one.corner for one in conditions_in(named, ConditionSet(temperatures_C=(0,)))] == ["typical"]
    with pytest.raises(TechnologyError, match="no corner 'fff'. Did you mean 'ff'"):
        conditions_in(named, ConditionSet(corners=("fff",)))


def test_what_is_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="temperatures_C = .*named twice"):
        ConditionSet(temperatures_C=(27, 27.0))
    with pytest.raises(ValueError, match="greater than 0"):
        ConditionSet(vdd_scales=(0.0,))
