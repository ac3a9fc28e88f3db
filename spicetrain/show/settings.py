"""Every setting of an experiment, whether it differs from its default, and who says so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from spicetrain.experiment import Experiment

Source = Literal["default", "TOML", "run folder", "flag"]


@dataclass(frozen=True)
class Setting:
    """A setting by its dotted name, as JSON; `differs` from the default."""

    name: str
    value: Any
    source: Source
    differs: bool


def settings_of(
    experiment: Experiment, content: dict[str, Any], source: Source, by_flag: Collection[str] = ()
) -> list[Setting]:
    """All settings, in the order of their definition.

    content  the tables that the experiment was read from; `source`: of what kind of file
    by_flag  dotted names of those that flags changed
    """
    training = experiment.training
    own, method = training.of(training.method), training.method
    usual = flat(defaults_of(type(experiment))) | flat({"training": {method: defaults_of(type(own))}})
    tables = experiment.model_dump(mode="json")
    tables["training"] |= {method: own.model_dump(mode="json")} if type(own).model_fields else {}
    given = flat(content)
    found = []
    for name, value in flat(tables).items():
        says: Source = "flag" if _within(name, by_flag) else source if _within(name, given) else "default"
        found.append(Setting(name, value, says, says != "default" and (name not in usual or usual[name] != value)))
    return found


def defaults_of(definition: type[BaseModel]) -> dict[str, Any]:
    """The defaults of a definition as JSON, by key; a key that must be given is left out."""
    found: dict[str, Any] = {}
    for key, field in definition.model_fields.items():
        value = field.get_default(call_default_factory=True, validated_data={})
        kind = field.annotation
        if value is not PydanticUndefined:
            found[key] = to_jsonable_python(value)
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            found[key] = defaults_of(kind)
    return found


def flat(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; an empty table is a value."""
    found: dict[str, Any] = {}
    for key, value in tables.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found


def _within(name: str, names: Collection[str]) -> bool:
    """Whether it is one of them, or a part of one, as of a table that was given as a whole."""
    parts = name.split(".")
    return any(".".join(parts[:depth]) in names for depth in range(1, len(parts) + 1))
