"""What a comparison consists of, as its TOML states it: methods x datasets x seeds, each cell an experiment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import ConfigDict, Field, field_validator, model_validator

from spicetrain import assets
from spicetrain.errors import ConfigurationError, nearest
from spicetrain.experiment import Experiment
from spicetrain.schema import Definition, parse, read_toml
from spicetrain.storage import write_atomic
from spicetrain.systems import SYSTEMS, parse_experiment, system_of

COMPARISON = "comparison.toml"

_TABLES = {field for name in SYSTEMS for field in SYSTEMS[name].definition.model_fields} - {"dataset"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# Cells and seeds say these; written twice they could differ.
_TAKEN = {"dataset.name": "datasets", "training.seed": "seeds"}


class Search(Definition):
    """A setting that is chosen by validation, once a dataset, with the first seed.

    setting     its dotted name, training.phax.load_S
    values      those that are tried; of equally good ones the first is taken
    epochs      of each trial; None: as many as the cell itself trains
    validation  training images kept out of the trials, by which they are judged
    """

    setting: str
    values: tuple[Any, ...] = Field(min_length=1)
    epochs: int | None = Field(default=None, ge=1)
    validation: int = Field(default=5000, ge=1)

    @model_validator(mode="after")
    def _values_that_differ(self) -> Self:
        labels = [label(value) for value in self.values]
        if len(set(labels)) < len(labels):
            raise ValueError(f"the values {', '.join(labels)} are not all different")
        return self


class CellDefinition(Definition):
    """What sets the cells of one name apart: tables of an experiment, and

    search   a setting chosen by validation
    initial  the cell whose network, of the same dataset and seed, training starts from
    """

    model_config = ConfigDict(extra="allow")

    search: Search | None = None
    initial: str | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Comparison(Definition):
    """datasets x methods x seeds. A cell is an experiment: the tables given here, which all cells share, changed by
    [dataset.<name>] and then by [methods.<cell>].

    folder  relative paths start from it: where the TOML lies
    """

    model_config = ConfigDict(extra="allow")

    datasets: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    dataset: dict[str, dict[str, Any]] = Field(default_factory=dict)
    methods: dict[str, CellDefinition] = Field(min_length=1)
    folder: Path

    @field_validator("datasets", "seeds")
    @classmethod
    def _once_each(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("one is named twice")
        return values

    @model_validator(mode="after")
    def _names_that_are_known(self) -> Self:
        _require_known("dataset", self.dataset, self.datasets)
        _require_tables("", self.shared, [*_TABLES, "datasets", "seeds", "dataset", "methods"])
        for name, overrides in self.dataset.items():
            _require_tables(f"dataset.{name}.", overrides, [*_TABLES, "dataset"])
        for name, cell in self.methods.items():
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"methods.{name!r}: a cell's name is a folder's name: letters, digits, '.', '-', '+', '_'"
                )
            _require_tables(f"methods.{name}.", cell.overrides, [*_TABLES, "dataset", "search", "initial"])
            if cell.initial is not None:
                _require_known(f"methods.{name}.initial", [cell.initial], self.methods)
        self.in_order()
        return self

    @property
    def shared(self) -> dict[str, Any]:
        """The tables that all cells have."""
        return dict(self.model_extra or {})

    def in_order(self) -> list[str]:
        """Names of the cells, each behind the one it starts from."""
        ordered: list[str] = []
        for name in self.methods:
            chain = [name]
            while (start := self.methods[chain[-1]].initial) is not None:
                if start in chain:
                    raise ValueError(f"methods start from one another: {' from '.join([*chain, start])}")
                chain.append(start)
            ordered += [other for other in reversed(chain) if other not in ordered]
        return ordered

    def experiment(self, dataset: str, cell: str, seed: int, *changes: dict[str, Any]) -> Experiment:
        """The experiment of a cell with further changes; ConfigurationError, naming the cell, when it is none."""
        own = {"dataset": {"name": dataset}, "training": {"seed": seed}}
        layers = (self.shared, self.dataset.get(dataset, {}), self.methods[cell].overrides, *changes, own)
        source = f"cell {cell!r} on {dataset}"
        return parse_experiment(merged(*layers), source).with_absolute_paths(self.folder)

    def save(self, path: Path) -> None:
        """As a TOML that says the same from any folder."""
        with write_atomic(path) as temporary:
            temporary.write_text(tomli_w.dumps(self.model_dump(mode="json", exclude_none=True)), encoding="utf-8")


def load_comparison(target: str | Path) -> Comparison:
    """A comparison by shipped name, by the path of a TOML or of its folder. ConfigurationError otherwise, also when one
    of its cells is no experiment."""
    path = _definition_of(target)
    content = read_toml(path)
    if "folder" in content and path.name != COMPARISON:
        raise ConfigurationError(f"{path}: 'folder' is not a key; paths are relative to the file.")
    comparison = parse(Comparison, {"folder": str(path.resolve().parent)} | content, str(path))
    for dataset in comparison.datasets:
        for name, cell in comparison.methods.items():
            changes = [nested(cell.search.setting, value) for value in cell.search.values] if cell.search else [{}]
            for change in changes:
                experiment = comparison.experiment(dataset, name, comparison.seeds[0], change)
                if cell.search is not None and not system_of(experiment).searches:
                    raise ConfigurationError(
                        f"{path}: methods.{name}.search: the system {experiment.system!r} has no search by validation."
                    )
    return comparison


def comparisons() -> list[str]:
    """Names of the shipped comparisons."""
    return assets.names_in(assets.comparisons_folder())


def is_comparison_folder(path: str | Path) -> bool:
    return (Path(path).expanduser() / COMPARISON).is_file()


def default_folder(target: str | Path) -> Path:
    """runs/<name> for a shipped comparison or a TOML; a comparison's folder is its own."""
    path = Path(target).expanduser()
    return path if is_comparison_folder(path) else Path("runs") / path.stem


def nested(dotted: str, value: object) -> dict[str, Any]:
    """`a.b`, 1 -> {"a": {"b": 1}}."""
    for key in reversed(dotted.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def merged(*tables: dict[str, Any]) -> dict[str, Any]:
    """Nested tables one over the other; the later ones win."""
    result: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            before = result.get(key)
            result[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result


def label(value: object) -> str:
    """A tried value as the name of its folder."""
    if isinstance(value, list | tuple):
        return "-".join(label(one) for one in value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^A-Za-z0-9._+-]", "_", text)


def _require_known(where: str, names: Any, known: Any) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: unknown {name!r}.{nearest(name, known)}")


def _require_tables(where: str, tables: dict[str, Any], known: list[str]) -> None:
    for key, value in tables.items():
        if key not in known:
            raise ValueError(f"unknown key '{where}{key}'.{nearest(key, known)}")
        for inner in value if isinstance(value, dict) else ():
            if f"{key}.{inner}" in _TAKEN:
                raise ValueError(f"'{where}{key}.{inner}' is not a key here: {_TAKEN[f'{key}.{inner}']} says it")


def _definition_of(target: str | Path) -> Path:
    path = Path(target).expanduser()
    if is_comparison_folder(path):
        return path / COMPARISON
    if path.suffix == ".toml":
        if not path.is_file():
            beside = [other.name for other in path.parent.glob("*.toml")]
            raise ConfigurationError(f"There is no comparison {path}.{nearest(path.name, beside)}")
        return path
    if str(target) in comparisons():
        return assets.comparisons_folder() / f"{target}.toml"
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder without {COMPARISON}: not a comparison. Likely a misspelt name.")
    raise ConfigurationError(
        f"Unknown comparison {str(target)!r}.{nearest(str(target), comparisons())} "
        "A comparison may also be named by the path of its TOML or of its folder."
    )
