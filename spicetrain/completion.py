"""A script by which a shell completes `spicetrain`: verbs, targets, flags, every setting, what values have names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import shtab

from spicetrain import assets
from spicetrain.arguments import SHORT, WITHOUT_SETTINGS, parser_of_verbs
from spicetrain.datasets import DATASETS
from spicetrain.exporting import EXPORTS
from spicetrain.exporting.dialects import DIALECTS
from spicetrain.flags import Flag, flags_of
from spicetrain.systems import SYSTEMS


def script(shell: str) -> str:
    """The script of `shell`, one of `arguments.SHELLS`.

    It is complete in itself: at Tab no Python starts, so names that a later version ships are in its own script only.
    """
    parser = parser_of_verbs()
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    named, settings = _named(), list(_settings())
    for verb, of_verb in verbs.choices.items():
        _complete_own(verb, of_verb, named)
        if verb not in WITHOUT_SETTINGS:
            _add_settings(of_verb, settings, named)
    return shtab.complete(parser, shell)


def _complete_own(verb: str, parser: argparse.ArgumentParser, named: dict[str, Iterable[str]]) -> None:
    """What may stand where `parser` takes a value; and --help, which is answered elsewhere."""
    if not parser.add_help:
        parser.add_argument("-h", "--help", action="store_true", help="every flag, behind a TARGET every setting too")
    for action in parser._actions:
        if action.dest == "target":
            _give(action, _target(verb))
        elif action.type is Path:
            _give(action, "directory" if action.metavar == "FOLDER" else "file")
        elif action.dest in ("ngspice", "cluster"):
            _give(action, "file")
        elif action.dest in named:
            action.choices = [*named[action.dest]]
        if not isinstance(action.metavar, str | None) or ":" in (action.metavar or ""):
            action.metavar = None  # zsh would read more than a name in it


def _give(action: argparse.Action, completion: str | dict[str, Any]) -> None:
    vars(action)["complete"] = completion  # where shtab looks for it


def _target(verb: str) -> str | dict[str, Any]:
    """Names, folders and TOMLs, as a function of each shell."""
    if verb == "import-device":
        return "file"
    kind, folder = {
        "compare": ("comparison", assets.comparisons_folder()),
        "technology": ("technology", assets.netlists_folder() / "technologies"),
    }.get(verb, ("preset", assets.presets_folder()))
    function, names = f"_spicetrain_{kind}_or_file", " ".join(assets.names_in(folder))
    preambles = {
        "bash": f'{function}() {{\n  compgen -W "{names}" -- "$1"\n  compgen -d -- "$1"\n'
        f"  compgen -f -X '!*.toml' -- \"$1\"\n}}\n",
        "zsh": f"{function}() {{\n  _alternative '{kind}s:{kind}:({names})' "
        "'files:TOML or folder:_files -g \"*.toml(-.)\"'\n}\n",
    }
    return {"bash": function, "zsh": function, "fish": names, "preamble": preambles}


def _settings() -> Iterator[Flag]:
    """Of all systems and methods."""
    for name in SYSTEMS:
        definition = SYSTEMS[name].definition
        yield from flags_of(definition).values()
        training: Any = definition.model_fields["training"].annotation
        for method in training.methods:
            yield from flags_of(training.further_table(method), ("training", method)).values()


def _add_settings(parser: argparse.ArgumentParser, settings: Iterable[Flag], named: dict[str, Iterable[str]]) -> None:
    """Those that have no other meaning for the verb, under all their names."""
    given = set(parser._option_string_actions)
    short = {long: name for name, long in SHORT.items() if name not in given}
    for flag in settings:
        if flag.name in given:
            continue
        given.add(flag.name)
        names = [flag.name, *([short[flag.name]] if flag.name in short else [])]
        if flag.switch is not None:
            parser.add_argument(*names, action="store_true")
            continue
        choices = [*named.get(".".join(flag.keys), _words_of(flag.annotation))]
        action = parser.add_argument(*names, choices=choices or None, metavar=flag.keys[-1])
        if _is_path(flag.annotation):
            _give(action, "file")


def _named() -> dict[str, Iterable[str]]:
    """Names that values have, by the setting or the option that takes them."""
    netlists = assets.netlists_folder()
    technologies = assets.names_in(netlists / "technologies")
    trainings: list[Any] = [SYSTEMS[name].definition.model_fields["training"].annotation for name in SYSTEMS]
    return {
        "system": [*SYSTEMS],
        "technology": technologies,
        "verification.conditions.technology": technologies,
        "memristor": assets.names_in(netlists / "devices"),
        "circuit.name": assets.names_in(netlists / "spiking"),
        "characterization.plan": assets.names_in(assets.characterization_folder()),
        "dataset.name": [*DATASETS],
        "training.method": dict.fromkeys(name for training in trainings for name in training.methods),
        "to": [*EXPORTS],
        "dialect": [*DIALECTS],
    }


def _words_of(annotation: Any) -> list[str]:
    """Of a Literal, also where it is one of several kinds; none where one of them is more than a word."""
    if get_origin(annotation) is Literal:
        words = [str(value) for value in get_args(annotation)]
        return [] if any(" " in word for word in words) else words
    return [word for kind in get_args(annotation) for word in _words_of(kind)] if _is_union(annotation) else []


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) is not None and get_origin(annotation) not in (tuple, dict, list)


def _is_path(annotation: Any) -> bool:
    return annotation is Path or Path in get_args(annotation)
