"""A TOML file against a typed definition: what does not fit becomes one clear ConfigurationError."""

from __future__ import annotations

import json
import re
import tomllib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo

from spicetrain.errors import ConfigurationError, nearest

Model = TypeVar("Model", bound=BaseModel)


class Definition(BaseModel):
    """Base of every definition read from TOML: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def further_table(cls, name: str) -> type[Definition] | None:
        """The definition of a table in it that is no field, such as a method's own; None: there is no such one."""
        return None


def find_toml(name: str | Path, folder: Path, what: str, error: type[ConfigurationError] = ConfigurationError) -> Path:
    """The file of a definition: `name` is the path of a TOML file, or names one of those shipped in `folder`; `what` it
    defines stands in the message of `error`."""
    if str(name).endswith(".toml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise error(f"There is no {what} {path}.")
        return path
    shipped = {file.stem: file for file in folder.glob("*.toml")}
    if str(name) not in shipped:
        raise error(
            f"Unknown {what} {str(name)!r}.{nearest(str(name), shipped)} "
            f"A {what} of your own is named by the path of its TOML file."
        )
    return shipped[str(name)]


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. ConfigurationError when it is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error


def parse(
    definition: type[Model],
    content: dict[str, Any],
    source: str,
    error: type[ConfigurationError] = ConfigurationError,
    *,
    strict: bool = True,
) -> Model:
    """`content` as a `definition`; `source` names the file in the message of `error`.

    strict  types are as TOML has them: "200" is no number, true no integer; an integer is also a number, a list also a
            tuple, a text also a path. False: texts may stand for numbers.
    """
    try:
        return _validated(definition, content, strict)
    except ValidationError as problem:
        raise error(f"{source}: {explain(definition, problem)}") from None


def parse_nested(definition: type[Model], table: dict[str, Any], info: ValidationInfo) -> Model:
    """A table inside what `parse` reads, as strictly, for a validator that knows its definition. ValidationError."""
    return _validated(definition, table, (info.context or {}).get("strict", False))


def _validated(definition: type[Model], content: dict[str, Any], strict: bool) -> Model:
    text = json.dumps(content, default=_as_json)  # in which a strict pydantic takes lists for tuples, texts for paths
    return definition.model_validate_json(text, strict=strict, context={"strict": strict})


def _as_json(value: object) -> object:
    """A path is a text; a date of TOML, which no setting is, stays something that no setting is."""
    return str(value) if isinstance(value, Path) else {type(value).__name__: str(value)}


def explain(definition: type[BaseModel], problem: ValidationError) -> str:
    """What is wrong, each key by its dotted name, with the nearest one where it is unknown."""
    return "; ".join(_explain(definition, item) for item in _said_once(problem.errors()))


_MEMBER = re.compile(r"literal\[|constrained-")
"""How pydantic calls the members of a union of a word and a number."""


def _said_once(items: Sequence[Any]) -> list[Any]:
    """Without what a text that is none of the words is as a number, and a wrong number as a word."""
    words = {item["loc"][:-1] for item in items if item["loc"] and str(item["loc"][-1]).startswith("literal[")}
    return [
        item
        for item in items
        if item["loc"][:-1] not in words or isinstance(item["input"], str) == (item["type"] == "literal_error")
    ]


UNKNOWN_KEY, EXPLAINED = "unknown_key", "explained"
"""Kinds of a PydanticCustomError that a validator raises about a key `name` below it: one that is not `known`, or one
whose own definition has explained what is wrong in `text`."""


def _explain(definition: type[BaseModel], item: Any) -> str:
    shown, _ = _place(definition, item["loc"])
    where = ".".join(shown)
    if item["type"] in (UNKNOWN_KEY, EXPLAINED):
        below, context = ".".join([*shown, item["ctx"]["name"]]), item["ctx"]
        if item["type"] == EXPLAINED:
            return f"{below}: {context['text']}"
        return f"unknown key {below!r}.{nearest(context['name'], context['known'])}"
    if item["type"] == "extra_forbidden":
        *parents, name = item["loc"]
        _, found = _place(definition, parents)
        return f"unknown key {where!r}.{nearest(str(name), found.model_fields if found else ())}"
    if item["type"] == "missing":
        return f"key {where!r} is missing"
    if item["type"] == "literal_error":
        choices = re.findall("'([^']*)'", item["ctx"]["expected"])
        return f"{where} = {item['input']!r}: none of its values.{nearest(str(item['input']), choices)}"
    if item["type"] == "union_tag_not_found":
        return f"key '{where}.{item['ctx']['discriminator'].strip(chr(39))}' is missing"
    if item["type"] == "union_tag_invalid":
        tag, choices = item["ctx"]["tag"], re.findall("'([^']*)'", item["ctx"]["expected_tags"])
        name = item["ctx"]["discriminator"].strip("'")
        return f"{where}.{name} = {tag!r}: none of its values.{nearest(str(tag), choices)}"
    message = item["msg"].removeprefix("Value error, ")
    if not where:
        return str(message)
    if item["type"] == "value_error" and isinstance(item["input"], dict):  # a table: what is wrong names its keys
        return f"{where}: {message}"
    return f"{where} = {item['input']!r}: {message[0].lower()}{message[1:]}"


def _place(definition: type[BaseModel], loc: Sequence[str | int]) -> tuple[list[str], type[BaseModel] | None]:
    """What leads to `loc` as a user writes it, and the definition there, if one is: the annotations of nested
    definitions are followed. pydantic names the member of a union by its tag, which is no key."""
    shown: list[str] = []
    found: list[type[BaseModel]] = [definition]
    keyed = False  # the next part is a key of a mapping
    for part in map(str, loc):
        tagged = [one for one in found if part in _tags(one)] if len(found) > 1 else []
        if tagged:
            found = tagged
            continue
        if not found and _MEMBER.match(part):
            continue
        shown.append(part)
        if keyed:
            keyed = False
            continue
        fields = [one.model_fields[part] for one in found if part in one.model_fields]
        if fields or not part.isdigit():  # the number of an item of a list leads nowhere else
            found = [inner for field in fields for inner in _definitions_in(field.annotation)]
            keyed = any(typing.get_origin(field.annotation) is dict for field in fields)
    return shown, found[0] if found else None


def _tags(definition: type[BaseModel]) -> list[Any]:
    """The values of its fields that have only one, such as the `form` of a law."""
    values = (typing.get_args(field.annotation) for field in definition.model_fields.values())
    return [one[0] for one in values if len(one) == 1]


def _definitions_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [inner for argument in typing.get_args(annotation) for inner in _definitions_in(argument)]
