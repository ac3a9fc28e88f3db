"""Settings as flags: every setting of a definition by its dotted name, some also by a short one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel

from spicetrain.errors import ConfigurationError, nearest
from spicetrain.schema import Definition, parse

Settings = TypeVar("Settings", bound=Definition)


@dataclass(frozen=True)
class Flag:
    """A setting as a flag: its keys from the outermost table on, its type, and of a switch what it sets."""

    keys: tuple[str, ...]
    annotation: Any
    switch: bool | None = None

    @property
    def name(self) -> str:
        *tables, key = (key.replace("_", "-") for key in self.keys)
        return "--" + ".".join([*tables, f"no-{key}" if self.switch is False else key])

    def value(self, given: str, values: list[str]) -> bool | str | list[str] | None:
        """What `values` behind the flag, written as `given`, set it to; texts, which the definition makes numbers."""
        words = f"flags: {given} {' '.join(values)}".rstrip()
        if self.switch is not None:
            if values:
                opposite = replace(self, switch=not self.switch).name
                raise ConfigurationError(f"{words}: it takes no value; {opposite} is the opposite.")
            return self.switch
        if not all(values or [""]):
            raise ConfigurationError(f"{words}: its value is missing.")
        if values == ["None"] and type(None) in get_args(self.annotation):
            return None
        if not _has_several(self.annotation) and len(values) > 1:
            raise ConfigurationError(f"{words}: it takes one value, {len(values)} are given.")
        return values if _has_several(self.annotation) else values[0]


def flags_of(definition: type[BaseModel], tables: tuple[str, ...] = ()) -> dict[str, Flag]:
    """The flags of a definition, by name."""
    found: list[Flag] = []
    for key, field in definition.model_fields.items():
        keys, kind = (*tables, key), field.annotation
        if get_origin(kind) is dict:
            continue  # tables by names of one's own: in a TOML
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            found += flags_of(kind, keys).values()
        elif (table := _table_or_none(kind)) is not None:
            found += [Flag(keys, kind), *flags_of(table, keys).values()]
        else:
            found += [Flag(keys, kind, switch) for switch in ((True, False) if kind is bool else (None,))]
    return {flag.name: flag for flag in found}


def with_flags(
    settings: Settings, words: Sequence[str], short: Mapping[str, str] | None = None, others: Iterable[str] = ()
) -> Settings:
    """The settings changed by flags: --training.epochs 5, --training.epochs=5, --network.layers 4 6 3, --hidden.

    short   other names of flags
    others  what else is a flag, where these come from: the nearest one is named when there is none

    `None` unsets what may be unset; of a flag given twice the last counts. ConfigurationError for what is no flag, has
    no value or one too many, or is not what the definition takes.
    """
    content = settings.model_dump(mode="json")
    for flag, given, values in _named(type(settings), words, short or {}, others):
        *tables, key = flag.keys
        reduce(_table_in, tables, content)[key] = flag.value(given, values)
    return parse(type(settings), content, "flags", strict=False)


def settings_named(definition: type[Definition], words: Sequence[str], short: Mapping[str, str]) -> set[str]:
    """The dotted names of the settings that `with_flags` would change, whether to another value or not."""
    return {".".join(flag.keys) for flag, _, _ in _named(definition, words, short, ())}


def _named(
    definition: type[Definition], words: Sequence[str], short: Mapping[str, str], others: Iterable[str]
) -> Iterator[tuple[Flag, str, list[str]]]:
    """Every flag, how it is written, the words behind it."""
    flags = flags_of(definition)
    flags |= {name: flags[long] for name, long in short.items() if long in flags}
    for given, values in _given(words):
        flag = flags.get(given.replace("_", "-")) or _of_further_table(definition, given)
        if flag is None:
            raise ConfigurationError(f"Unknown flag {given}.{nearest(given, [*flags, *others])}")
        yield flag, given, values


def _of_further_table(definition: type[Definition], given: str) -> Flag | None:
    """Of a table that is no field of the definition: --training.phax.load-S."""
    *tables, _ = given.removeprefix("--").split(".")
    for depth, table in enumerate(tables):
        if (further := definition.further_table(table)) is not None:
            return flags_of(further, tuple(tables[: depth + 1])).get(given.replace("_", "-"))
        field = definition.model_fields.get(table.replace("-", "_"))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, Definition):
            return None
        definition = field.annotation
    return None


def print_settings(
    settings: Definition, prog: str, further: Mapping[tuple[str, ...], Definition] | None = None
) -> None:
    """Every setting as a flag, with its type and its value, those of `further` tables, by their keys, first."""
    import tyro

    listed = flags_of(type(settings))  # tyro makes subcommands of tables that may be None: theirs are printed here
    optional = tuple(f"{name}." for name, flag in listed.items() if _table_or_none(flag.annotation) is not None)
    for name in listed:
        if name.startswith(optional) or f"{name}." in optional:
            print(f"{name}  (of a table that may be None)")
    for keys, table in (further or {}).items():
        for name, flag in flags_of(type(table), keys).items():
            print(f"{name}  (now {getattr(table, flag.keys[-1])})")
    tyro.cli(type(settings), args=["--help"], default=settings, prog=prog)


def _given(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Every flag as it is written, with the words behind it."""
    starts = [index for index, word in enumerate(words) if word.startswith("--")]
    if stray := words[: starts[0] if starts else None]:
        raise ConfigurationError(f"Unknown argument {stray[0]!r}: settings are given as --name value.")
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        name, equals, value = words[start].partition("=")
        yield name, [*([value] if equals else []), *words[start + 1 : end]]


def _table_in(table: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of the table, a new one where there is none yet."""
    if table.get(key) is None:
        table[key] = {}
    inner: dict[str, Any] = table[key]
    return inner


def _table_or_none(annotation: Any) -> type[BaseModel] | None:
    """The definition of a table that may be None."""
    kinds = get_args(annotation)
    tables = [kind for kind in kinds if isinstance(kind, type) and hasattr(kind, "model_fields")]
    return tables[0] if len(tables) == 1 and type(None) in kinds else None


def _has_several(annotation: Any) -> bool:
    """Whether it is a tuple, or a tuple or None."""
    return get_origin(annotation) is tuple or any(map(_has_several, get_args(annotation)))
