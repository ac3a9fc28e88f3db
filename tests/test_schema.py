"""What a wrong TOML file is answered with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import Field

from spicetrain.errors import ConfigurationError, TechnologyError
from spicetrain.schema import Definition, parse, read_toml


class Wheel(Definition):
    radius_m: float = Field(gt=0)
    spokes: int = 32


class Bicycle(Definition):
    name: str
    front: Wheel | None = None
    spares: tuple[Wheel, ...] = ()


def test_a_sound_file_becomes_its_definition() -> None:
    bicycle = parse(Bicycle, {"name": "b", "front": {"radius_m": 0.3}}, "b.toml")
    assert bicycle == Bicycle(name="b", front=Wheel(radius_m=0.3, spokes=32))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"nme": "b"}, ["'nme'", "Did you mean 'name'?", "'name' is missing"]),
        ({"name": "b", "front": {"radius": 1.0, "radius_m": 1.0}}, ["'front.radius'", "'radius_m'"]),
        ({"name": "b", "spares": [{"radius_m": 1.0, "spoke": 3}]}, ["'spares.0.spoke'", "'spokes'"]),
        ({"name": "b", "front": {"radius_m": -1.0}}, ["front.radius_m = -1.0", "greater than 0"]),
        ({"name": "b", "front": {"radius_m": float("nan")}}, ["front.radius_m", "finite"]),
        ({"name": "b", "front": {"radius_m": 1, "spokes": "many"}}, ["front.spokes = 'many'", "integer"]),
    ],
)
def test_a_wrong_one_names_the_file_the_place_and_the_nearest_key(content: dict, said: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(Bicycle, content, "b.toml")
    for words in ("b.toml: ", *said):
        assert words in str(caught.value)
    assert caught.value.__suppress_context__  # no pydantic text behind it


def test_the_error_class_can_be_chosen() -> None:
    with pytest.raises(TechnologyError):
        parse(Bicycle, {}, "b.toml", TechnologyError)


def test_definitions_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Wheel(radius_m=1.0).spokes = 3


@pytest.mark.parametrize(
    ("content", "said"), [(b"a = ", "not valid TOML"), (b"a = '\xff'", "not valid TOML"), (None, "No such file")]
)
def test_unreadable_files(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)


class Typed(Definition):
    whole: int = 0
    real: float = 0.0
    text: str = ""
    yes: bool = False
    place: Path | None = None
    several: tuple[int, ...] = ()
    geometry: dict[str, float] = Field(default_factory=dict)


def typed(toml: str) -> Typed:
    return parse(Typed, tomllib.loads(toml), "t.toml")


def test_what_toml_has_no_type_for_is_taken_from_what_it_has() -> None:
    found = typed('real = 3\nplace = "a/b"\nseveral = [1, 2]\ngeometry = { w = 1, l = 2e-7 }')
    assert found == Typed(real=3.0, place=Path("a/b"), several=(1, 2), geometry={"w": 1.0, "l": 2e-7})
    assert isinstance(found.real, float) and isinstance(found.geometry["w"], float)
    assert parse(Typed, {"place": Path("a")}, "t.toml").place == Path("a")


@pytest.mark.parametrize(
    "toml",
    [
        'whole = "200"',
        "whole = true",
        "whole = 2.0",
        'real = "0.5"',
        "real = true",
        "text = 5",
        "text = 1979-05-27",
        'yes = "true"',
        "yes = 1",
        "place = 5",
        "several = 1",
        'several = ["1"]',
        "several = [true]",
        'geometry = { w = "1" }',
    ],
)
def test_types_are_as_toml_has_them(toml: str) -> None:
    with pytest.raises(ConfigurationError, match=r"t\.toml: (\w|\.)+ = .*: input should be a valid "):
        typed(toml)


def test_texts_may_stand_for_numbers_where_that_is_asked_for() -> None:
    content = {"whole": "200", "real": "1e-3", "several": ["1", "2"], "text": "5"}
    assert parse(Typed, content, "flags", strict=False) == Typed(whole=200, real=1e-3, several=(1, 2), text="5")
