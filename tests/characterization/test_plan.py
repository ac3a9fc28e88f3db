"""Plans: the shipped ones, and what a wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from spicetrain.characterization.plan import load_plan
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.spiking.characterization.tables import TABLES as SPIKING_TABLES


def test_the_shipped_plans_measure_every_table() -> None:
    on_request = {"shifted_surface"}  # of chips whose transistors vary
    for name in ("inverter", "smoke"):
        assert set(load_plan(name, TABLES).sections) == set(TABLES) - on_request
    assert set(load_plan("spiking", SPIKING_TABLES).sections) == set(SPIKING_TABLES)
    assert load_plan("inverter", TABLES).sections["current_surface"].points == 201  # type: ignore[attr-defined]


def test_a_section_left_out_is_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[memristor_iv]\ng_points = 2\n")
    assert set(load_plan(path, TABLES).sections) == {"memristor_iv"}


def test_its_key_is_of_what_it_says_wherever_it_lies(tmp_path: Path) -> None:
    """A run folder goes on with the plan of another installation; a trained network counts by what it holds."""
    said = "[effective_load]\nsamples = 2\ntrained = ['n.safetensors']\n"
    cases = {
        "here": (said, b"a network"),
        "there": (f"# moved\ndescription = 'the same'\n{said}", b"a network"),
        "other": (said.replace("2", "3"), b"a network"),
        "trained": (said, b"another network"),
    }
    keys = {}
    for name, (text, network) in cases.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "n.safetensors").write_bytes(network)
        (tmp_path / name / "own.toml").write_text(text)
        keys[name] = load_plan(tmp_path / name / "own.toml", TABLES).key()
    assert keys["here"] == keys["there"]
    assert len(set(keys.values())) == 3


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
        ("folder = '/'", "unknown key 'folder'"),
        ("[current_surface", "not valid TOML"),
    ],
)
def test_a_wrong_plan_is_named_with_the_value(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_plan(path, TABLES)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'invertr'\. Did you mean 'inverter'\?"):
        load_plan("invertr", TABLES)
    with pytest.raises(ConfigurationError, match="no plan"):
        load_plan(tmp_path / "none.toml", TABLES)
