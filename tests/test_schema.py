"""What a wrong TOML file is answered with."""

from __future__ import annotations

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
