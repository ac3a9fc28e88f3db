"""What is shipped to begin with: every preset and comparison is listed, under its own system, by its own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spicetrain.cli import main
from spicetrain.compare.definition import comparisons, load_comparison
from spicetrain.shipped import first_sentence, shipped
from spicetrain.systems import load_experiment, presets

Capture = pytest.CaptureFixture[str]


def test_every_preset_and_comparison_is_listed_once_under_its_system() -> None:
    found = shipped()
    listed = {kind: {one.name: one.system for one in ones} for kind, ones in found.items()}
    assert listed["presets"] == {name: load_experiment(name).system for name in presets()}
    assert listed["comparisons"] == {name: _system_of_comparison(name) for name in comparisons()}
    assert [len(ones) for ones in found.values()] == [len(names) for names in listed.values()]


def _system_of_comparison(name: str) -> str:
    comparison = load_comparison(name)
    cell = next(iter(comparison.methods))
    return comparison.experiment(comparison.datasets[0], cell, comparison.seeds[0]).system


def test_each_says_what_it_is_in_a_line(capsys: Capture) -> None:
    assert main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for ones in shipped().values():
        for one in ones:
            assert len(one.about) > 20 and one.about.endswith("."), one.name
            assert [line for line in lines if line.split()[:1] == [one.name] and line.endswith(one.about)], one.name
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings[:4] == ["presets, inverter", "presets, spiking", "comparisons, inverter", "comparisons, spiking"]


def test_the_same_as_json(capsys: Capture) -> None:
    assert main(["presets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in found["presets"]} == set(presets())
    assert {one["name"] for one in found["comparisons"]} == set(comparisons())
    demo = next(one for one in found["presets"] if one["name"] == "mnist-kcl")
    assert demo["system"] == "inverter" and demo["about"].startswith("The demo: 784-100-10")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# One at\n# 0.5 V, in two lines. And more.\n[dataset]\n", "One at 0.5 V, in two lines."),
        ("#One.\nname = 1\n# Two.", "One."),
        ("name = 1 # no beginning", ""),
        ("", ""),
    ],
)
def test_the_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_a_preset_of_ones_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Also one that says nothing of itself."""
    (tmp_path / "mine.toml").write_text('system = "spiking"\n')
    monkeypatch.setattr("spicetrain.shipped.presets_folder", lambda: tmp_path)
    assert main(["presets"]) == 0
    assert "presets, spiking\n  mine" in capsys.readouterr().out
