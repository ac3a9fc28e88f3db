"""What is simulated, apart from what was trained and is modelled: corners, temperature, supply."""

from __future__ import annotations

from pathlib import Path

import pytest

from spicetrain.errors import TechnologyError
from spicetrain.operating import scaled
from spicetrain.rails import Rails
from spicetrain.technology import Technology
from spicetrain.verification.conditions import ConditionSettings, conditions_of


def test_nothing_asked_is_the_same_technology(ptm90: Technology) -> None:
    conditions = conditions_of(ptm90, ConditionSettings())
    assert conditions.simulated.fingerprint == conditions.modelled.fingerprint == ptm90.fingerprint
    recorded = conditions.recorded({"technology": "ptm90", "technology_fingerprint": ptm90.fingerprint})
    assert recorded["trained_in"] == recorded["modelled_in"] == recorded["simulated_in"]
    assert recorded["simulated_in"]["temperature_C"] == ptm90.temperature_C


def test_each_condition_changes_what_it_names_and_nothing_else(ptm90: Technology, made_up: Technology) -> None:
    warm = conditions_of(ptm90, ConditionSettings(temperature_C=85.0)).simulated
    assert warm == ptm90.changed(temperature_C=85.0)
    high = conditions_of(made_up, ConditionSettings(vdd_scale=1.1))
    assert (high.simulated.rails.vdd_V, high.simulated.rails.vss_V) == pytest.approx((0.63, -0.03))
    assert (high.vdd_scale, high.simulated.transistors) == (1.1, made_up.transistors)
    path = str(made_up.folder / "made_up.toml")
    other = conditions_of(ptm90, ConditionSettings(technology=path, temperature_C=0.0)).simulated
    assert (other.name, other.temperature_C, other.rails) == (made_up.name, 0.0, made_up.rails)


def test_a_corner_is_another_section_of_the_library(made_up: Technology) -> None:
    section = made_up.transistors.section
    assert section is not None
    corner = conditions_of(made_up, ConditionSettings(section=section)).simulated
    assert corner.fingerprint == made_up.fingerprint
    with pytest.raises(TechnologyError, match="nowhere"):
        conditions_of(made_up, ConditionSettings(section="nowhere"))


def test_a_corner_by_its_name(made_up: Technology) -> None:
    named = made_up.changed(corners={"ff": "fast"})
    assert conditions_of(named, ConditionSettings(corner="ff")).simulated.transistors.section == "fast"
    with pytest.raises(TechnologyError, match="no corner 'fff'. Did you mean 'ff'"):
        conditions_of(named, ConditionSettings(corner="fff"))
    with pytest.raises(ValueError, match="both choose a section"):
        ConditionSettings(corner="ff", section="fast")


def test_a_technology_that_is_not_there_is_said(ptm90: Technology, tmp_path: Path) -> None:
    with pytest.raises(TechnologyError, match="none.toml"):
        conditions_of(ptm90, ConditionSettings(technology=str(tmp_path / "none.toml")))


def test_a_network_from_elsewhere_is_recorded_as_that(ptm90: Technology) -> None:
    conditions = conditions_of(ptm90, ConditionSettings())
    recorded = conditions.recorded({"technology": "other65", "technology_fingerprint": "f"})
    assert recorded["trained_in"] == {"technology": "other65", "fingerprint": "f"}
    assert recorded["modelled_in"] == recorded["simulated_in"]


def test_rails_scale_about_their_middle_or_another_point() -> None:
    rails = scaled(Rails(vdd_V=0.6, vss_V=0.0), 0.5)
    assert (rails.vdd_V, rails.vss_V) == pytest.approx((0.45, 0.15))
    rails = scaled(Rails(vdd_V=0.6, vss_V=0.0), 2.0, middle_V=0.1)
    assert (rails.vdd_V, rails.vss_V) == pytest.approx((1.1, -0.1))
