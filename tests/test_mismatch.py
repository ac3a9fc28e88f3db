"""Mismatch of transistors, and what an experiment asks of the statistics that a technology has."""

from __future__ import annotations

import math
from typing import Any

import pytest

from spicetrain.array.devices.presets import load_preset
from spicetrain.array.variation import Levels, ReadNoise, Relative, Stuck
from spicetrain.errors import ConfigurationError, TechnologyError
from spicetrain.mismatch import Mismatch
from spicetrain.schema import parse
from spicetrain.technology import Technology
from spicetrain.variation import NOTHING, TrainingVariation, VariationSettings, require_statistics, statistics_of

UM = 1e-6


def mismatch(convention: str = "single", **nmos: float) -> Mismatch:
    table = {"nmos": {"A_VT_Vm": 3.5e-9, "A_beta_m": 1e-8, **nmos}, "pmos": {"A_VT_Vm": 5e-9}}
    return parse(Mismatch, {"convention": convention, **table}, "here")


def asked(**values: Any) -> VariationSettings:
    return parse(VariationSettings, values, "here")


def test_sigma_is_the_coefficient_over_the_root_of_the_area() -> None:
    sigma_VT, sigma_beta = mismatch().sigma("nmos", {"w": 0.24 * UM, "l": 0.09 * UM})
    assert sigma_VT == pytest.approx(3.5e-3 / math.sqrt(0.24 * 0.09))  # 23.8 mV: physics.md says 24
    assert sigma_beta == pytest.approx(0.01 / math.sqrt(0.24 * 0.09))
    four = mismatch().sigma("nmos", {"W": 0.48 * UM, "L": 0.18 * UM})
    assert four == pytest.approx((sigma_VT / 2, sigma_beta / 2))
    assert mismatch().sigma("pmos", {"w": 1 * UM, "l": 1 * UM}) == pytest.approx((5e-3, 0.0))


def test_of_a_pair_a_single_one_has_one_over_root_two() -> None:
    one, pair = (mismatch(convention).sigma("nmos", {"w": UM, "l": UM}) for convention in ("single", "pair"))
    assert pair == pytest.approx((one[0] / math.sqrt(2), one[1] / math.sqrt(2)))


def test_an_area_that_its_instance_does_not_say_is_given(made_up: Technology) -> None:
    with pytest.raises(TechnologyError, match=r"mismatch\.nmos: the area of a gate is 0 m2.*give mismatch\.nmos\.area"):
        mismatch().sigma("nmos", made_up.inverter.nmos)  # wd and lg
    with pytest.raises(TechnologyError, match="by its w and l in units of 1 m"):
        mismatch().sigma("nmos", {"w": 0.24, "l": 0.09})  # micrometres
    assert mismatch(area_m2=4e-12).sigma("nmos", made_up.inverter.nmos)[0] == pytest.approx(3.5e-9 / 2e-6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"convention": "pairs"}, "convention = 'pairs': none of its values. Did you mean 'pair'?"),
        ({"nmos": {"A_VT_Vm": -1e-9}}, "nmos.A_VT_Vm = -1e-09: input should be greater than or equal to 0"),
        ({"nmos": {"A_VT_Vm": 3.5}}, "nmos.A_VT_Vm = 3.5: input should be less than"),
        ({"nmos": {"A_VT_Vm": 1e-9, "A_beta_m": -1.0}}, "nmos.A_beta_m = -1.0"),
        ({"nmos": {"A_VT_mVum": 3.5}}, "unknown key 'nmos.A_VT_mVum'. Did you mean 'A_VT_Vm'?"),
    ],
)
def test_wrong_mismatch_is_refused(values: dict[str, Any], said: str) -> None:
    right = {"convention": "single", "nmos": {"A_VT_Vm": 1e-9}, "pmos": {"A_VT_Vm": 1e-9}}
    with pytest.raises(ConfigurationError) as caught:
        parse(Mismatch, {**right, **values}, "here")
    assert said in str(caught.value)


# What an experiment asks


def test_a_technology_is_taken_at_its_word(ptm90: Technology) -> None:
    found = statistics_of(ptm90, VariationSettings())
    assert found.sources == ("mismatch", "programming")
    assert (found.mismatch, found.mismatch_scale) == (ptm90.mismatch, 1.0)
    assert found.array.programming == ptm90.memristor.programming == Relative(form="relative", sigma=0.1)
    assert not NOTHING and not statistics_of(ptm90, TrainingVariation())


def test_other_statistics_stand_in_place_of_the_technologys(ptm90: Technology) -> None:
    found = statistics_of(ptm90, asked(mismatch=0.5, programming=0.2, levels=16, stuck_at_g_max=0.01, read_noise=0.02))
    assert (found.mismatch, found.mismatch_scale) == (ptm90.mismatch, 0.5)
    array = found.array
    assert (array.programming, array.levels) == (Relative(form="relative", sigma=0.2), Levels(form="linear", count=16))
    assert (array.stuck, array.read_noise) == (Stuck(at_g_max=0.01), ReadNoise(factor=0.02))
    assert found.only("stuck").sources == ("stuck",) and found.only("stuck").array.stuck == array.stuck
    assert found.only("mismatch").sources == ("mismatch",)
    assert statistics_of(ptm90, asked(mismatch=0.0, programming=0.0)).sources == ()


def test_statistics_of_a_technology_that_has_none(made_up: Technology) -> None:
    with pytest.raises(ConfigurationError, match=r"mismatch = 2, but the technology 'made-up' gives no statistics"):
        statistics_of(made_up, asked(mismatch=2.0))
    assert statistics_of(made_up, asked(mismatch=0.0, programming=0.1)).sources == ("programming",)
    with pytest.raises(ConfigurationError, match=r"the technology 'made-up' has no statistics and none are given"):
        require_statistics(made_up, VariationSettings())
    assert require_statistics(made_up, asked(levels=8)).sources == ("levels",)


def test_more_than_all_cells_cannot_be_stuck(ptm90: Technology) -> None:
    with pytest.raises(ConfigurationError, match=r"0\.7 of all memristors stuck at g_min and 0\.6 at g_max"):
        statistics_of(ptm90, asked(stuck_at_g_min=0.7, stuck_at_g_max=0.6))


def test_drift_is_a_source_only_with_time(ptm90: Technology) -> None:
    drifting = ptm90.changed(memristor=load_preset("rram-cmo").memristor, mismatch=None)
    alone = statistics_of(drifting, asked(programming=0.0, read_noise=0.0))
    assert alone.sources == () and not alone and not alone.array
    with pytest.raises(ConfigurationError, match="nothing varies"):
        require_statistics(drifting, asked(programming=0.0, read_noise=0.0))
    later = require_statistics(drifting, asked(programming=0.0, read_noise=0.0, time_s=1e4))
    assert later.sources == ("drift",) and later


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mismatch": -0.5}, "^here: mismatch = -0.5: input should be greater than or equal to 0$"),
        ({"mismatch": "technologie"}, "^here: mismatch = 'technologie': none.* Did you mean 'technology'"),
        ({"programming": -0.1}, "^here: programming = -0.1: input should be greater than or equal to 0$"),
        ({"levels": -1}, "^here: levels = -1: input should be greater than or equal to 0$"),
        ({"stuck_at_g_min": 1.5}, "^here: stuck_at_g_min = 1.5: input should be less than or equal to 1$"),
        ({"read_noise": -1.0}, "^here: read_noise = -1.0: input"),
        ({"time_s": -1.0}, "time_s = -1.0: input should be greater than or equal to 0"),
        ({"programing": 0.1}, "unknown key 'programing'. Did you mean 'programming'?"),
    ],
)
def test_a_wrong_setting_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        asked(**values)
