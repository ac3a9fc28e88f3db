"""Things by name."""

from __future__ import annotations

import math

import pytest

from spicetrain.errors import ConfigurationError
from spicetrain.registry import Registry


def test_a_thing_is_imported_when_it_is_asked_for() -> None:
    things: Registry[object] = Registry("thing", {"pi": "math:pi", "absent": "no_such_module:x", "two": 2})
    assert (things["pi"], things["two"], list(things), len(things)) == (math.pi, 2, ["pi", "absent", "two"], 3)
    with pytest.raises(ModuleNotFoundError):
        things["absent"]


def test_what_is_not_there_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    things: Registry[int] = Registry("thing", {"sinh": 1, "cosh": 2})
    for wrong in ("sihn", "sinhh"):
        with pytest.raises(ConfigurationError, match=f"Unknown thing '{wrong}'. Did you mean 'sinh'?"):
            things[wrong]
    assert "sihn" not in things and ["sinh"] not in things and 3 not in things


def test_a_name_is_taken_once_and_given_back() -> None:
    things: Registry[int] = Registry("thing", {"a": 1})
    things.register("b", 2)
    with pytest.raises(ConfigurationError, match="There is a thing 'b' already"):
        things.register("b", 3)
    assert things["b"] == 2
    things.remove("b")
    things.register("b", 3)
    assert things["b"] == 3
