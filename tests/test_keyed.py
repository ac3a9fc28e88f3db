"""Keys follow everything that an artefact is made of, and nothing else."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spicetrain.keyed import Recipe, cached_json
from spicetrain.schema import Definition


class Settings(Definition):
    a: int = 1
    b: float = 0.5


@dataclass(frozen=True)
class Known:
    fingerprint: str


CASES: list[dict[str, Any]] = [
    {},
    {"x": None},
    {"x": 1},
    {"x": 1.0},
    {"x": "1"},
    {"y": 1},
    {"x": [1, 2]},
    {"x": [[1], 2]},
    {"x": Settings()},
    {"x": Settings(a=2)},
    {"x": Known("a")},
    {"x": Known("b")},
    {"x": np.array([1.0, 2.0])},
    {"x": np.array([[1.0, 2.0]])},
    {"x": np.array([1.0, 2.0], np.float32)},
    {"x": np.array([1.0, 2.5])},
    {"x": {"k": np.zeros(2)}},
    {"x": {"k": np.zeros(3)}},
    {"x": b"12"},
    {"x": Path("a/b")},
]


def test_every_input_makes_another_key() -> None:
    keys = [Recipe("kind").key(**case) for case in CASES]
    keys += [Recipe("kind", 2).key(), Recipe("other").key()]
    for (i, one), (j, other) in itertools.combinations(enumerate(keys), 2):
        assert one != other or {i, j} == {2, 3}, (i, j)  # JSON has one kind of number
    assert keys[:3] == [Recipe("kind").key(**case) for case in CASES[:3]]


def test_the_order_of_names_does_not_matter() -> None:
    assert Recipe("kind").key(a=1, b={"c": 2, "d": 3}) == Recipe("kind").key(b={"d": 3, "c": 2}, a=1)


def test_a_file_is_kept_with_its_key_and_all_that_belongs_to_it(tmp_path: Path) -> None:
    path, table = tmp_path / "summary.json", tmp_path / "table.parquet"
    assert cached_json(path, "k") is None
    path.write_text(json.dumps({"key": "k", "figure": 1}))
    assert cached_json(path, "k") == {"key": "k", "figure": 1}
    assert cached_json(path, "other") is None
    assert cached_json(path, "k", [table]) is None
    table.touch()
    assert cached_json(path, "k", [table]) is not None
    for damaged in ('{"key": "k"', "[1]", '"k"'):
        path.write_text(damaged)
        assert cached_json(path, "k") is None
