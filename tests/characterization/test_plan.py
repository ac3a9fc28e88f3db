"""Plans: the shipped ones, and what a wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from spicetrain.characterization.plan import load_plan
from spicetrain.errors import ConfigurationError


def test_the_shipped_plans_measure_every_table() -> None:
    for name in ("inverter", "smoke"):
        plan = load_plan(name)
        assert plan.current_surface and plan.loaded_vtc and plan.effective_load and plan.memristor_iv
    assert load_plan("inverter").current_surface.points == 201  # type: ignore[union-attr]


def test_a_section_left_out_is_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[memristor_iv]\ng_points = 2\n")
    plan = load_plan(path)
    assert plan.memristor_iv is not None
    assert (plan.current_surface, plan.loaded_vtc, plan.effective_load) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[curent_surface]", "'curent_surface'. Did you mean 'current_surface'?"),
        ("[current_surface]\npoint = 3", "'current_surface.point'. Did you mean 'points'?"),
        ("[current_surface]\npoints = 1", "current_surface.points = 1"),
        ("[loaded_vtc]\nv_in_points = 1", "loaded_vtc.v_in_points = 1"),
        ("[loaded_vtc]\ng_load_min_S = 1e-3", "g_load_min_S = 0.001 is not below g_load_max_S = 0.0003"),
        ("[loaded_vtc]\ng_load_min_S = 0", "loaded_vtc.g_load_min_S = 0"),
        ("[effective_load]\nshapes = [[5]]", "effective_load.shapes"),
        ("[effective_load]\nshapes = [[5, 0]]", "effective_load.shapes.0.1 = 0"),
        ("[effective_load]\nshapes = []", "no crossbar"),
        ("[effective_load]\ndistributions = ['gauss']", "'gauss'"),
        ("[effective_load]\nsamples = 0", "effective_load.samples = 0"),
        ("[effective_load]\ntrained = ['none.safetensors']", "none.safetensors, which is not a file"),
        ("[memristor_iv]\nv_points = 1", "memristor_iv.v_points = 1"),
        ("description = 'x'", "measures nothing"),
        ("folder = '/'", "'folder' is not a key"),
        ("[current_surface", "not valid TOML"),
    ],
)
def test_a_wrong_plan_is_named_with_the_value(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_plan(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'invertr'\. Did you mean 'inverter'\?"):
        load_plan("invertr")
    with pytest.raises(ConfigurationError, match="no plan"):
        load_plan(tmp_path / "none.toml")
