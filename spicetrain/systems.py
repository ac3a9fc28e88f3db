"""The systems by name: the only place that knows both. An experiment by name, path or folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spicetrain import assets
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, nearest
from spicetrain.experiment import Experiment
from spicetrain.registry import Registry
from spicetrain.runfolder import CHECKPOINT, DEFINITION, SUMMARY, RunFolder
from spicetrain.schema import explain, parse, read_toml
from spicetrain.system import System

SYSTEMS: Registry[System] = Registry(
    "system", {"inverter": "spicetrain.inverter.system:SYSTEM", "spiking": "spicetrain.spiking.system:SYSTEM"}
)


def system_of(experiment: Experiment) -> System:
    """The rooms of an experiment's system."""
    return SYSTEMS[experiment.system]


def parse_experiment(content: dict[str, Any], source: str) -> Experiment:
    """The experiment that tables of settings describe; ConfigurationError, naming `source`, when it is none."""
    name = content.get("system", "inverter")
    if name not in SYSTEMS:
        raise ConfigurationError(f"{source}: unknown system {name!r}.{nearest(str(name), SYSTEMS)}")
    return parse(SYSTEMS[name].definition, content, source)


def load_experiment(target: str | Path) -> Experiment:
    """An experiment by preset name, by the path of a TOML, or of an existing run folder. ConfigurationError otherwise.

    Relative paths in a TOML are relative to it. A run folder of an older version is read in today's words; what cannot
    be is refused, with the command that makes it again.
    """
    path, content = read_definition(target)
    try:
        experiment = parse_experiment(content, str(path))
    except ConfigurationError as error:
        if path.name != DEFINITION:
            raise
        text = str(error) if str(error).endswith((".", "?")) else f"{error}."
        raise ConfigurationError(
            f"{text} If another version of spicetrain wrote this run folder: bring the file up to date, or make the "
            f"run again in another folder, `spicetrain run EXPERIMENT --out FOLDER`."
        ) from error
    return experiment.with_absolute_paths(path.resolve().parent)


def read_definition(target: str | Path) -> tuple[Path, dict[str, Any]]:
    """The TOML of an experiment and its tables, a run folder's in today's words. ConfigurationError when `target` names
    none."""
    if not isinstance(target, str | Path):
        raise ConfigurationError(
            f"{target!r} names no experiment: give a preset's name, or the path of a TOML or of a run folder."
        )
    path = _definition_of(target)
    content = read_toml(path)
    name, tables = content.get("system", "inverter"), (content.get(table, {}) for table in ("training", "verification"))
    if path.name == DEFINITION and name in SYSTEMS and all(isinstance(table, dict) for table in tables):
        content = SYSTEMS[name].definition.of_today(content)
    return path, content


def read_summary(files: RunFolder) -> object | None:
    """summary.json as the system's record; None when there is none. StorageError when it is damaged."""
    content = files.json(SUMMARY, (), "verify")
    if content is None:
        return None
    kind = system_of(load_experiment(files.folder)).summary
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise files.damaged(files / SUMMARY, explain(kind, error), "verify") from None


def require_same_training(
    folder: Path,
    experiment: Experiment,
    *,
    now: Mapping[str, Any] | None = None,
    then: Mapping[str, Any] | None = None,
    undecided: Sequence[str] = (),
) -> None:
    """ArchitectureMismatch when a folder with trained work in it belongs to another training than `experiment`'s.

    now, then  further facts that must agree, by name: of this training, of that one
    undecided  settings that need not
    """
    if RunFolder(folder).path(CHECKPOINT) is None or not RunFolder(folder).is_one:
        return
    wanted = {**(now or {}), **experiment.trained_as()}
    found = {**(then or {}), **load_experiment(folder).trained_as()}
    # The network it started from is known by what it holds, which the checkpoint says.
    passed_over = (*undecided, "training.initial")
    differing = [
        f"{key} {_short(found[key])} there, {_short(value)} here"
        for key, value in wanted.items()
        if key in found and found[key] != value and key not in passed_over
    ]
    if differing:
        raise ArchitectureMismatch(
            f"{folder} holds a network trained otherwise ({'; '.join(differing)}). It is left as it is: choose another "
            f"folder with --out, or remove this one to train it again.{_further(folder, differing, found, wanted)}"
        )


def _further(folder: Path, differing: Sequence[str], found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What to type where nothing is wanted but more epochs."""
    key = "training.epochs"
    if len(differing) > 1 or not differing[0].startswith(f"{key} ") or wanted[key] <= found[key]:
        return ""
    more = wanted[key] - found[key]
    return f" To train its network for {more} epochs more: `spicetrain train {folder} --further {more}`."


def _short(value: object) -> str:
    """A setting as it is, a checksum by its beginning."""
    text = value if isinstance(value, str) else repr(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def presets() -> list[str]:
    """Names of the shipped experiments."""
    return assets.names_in(assets.presets_folder())


def default_folder(target: str | Path) -> Path:
    """runs/<name> for a preset or TOML; a run folder is its own."""
    path = Path(target).expanduser()
    return path if RunFolder(path).is_one else Path("runs") / path.stem


def _definition_of(target: str | Path) -> Path:
    path = Path(target).expanduser()
    if RunFolder(path).is_one:
        return path / DEFINITION
    if path.suffix == ".toml":
        if not path.is_file():
            beside = [other.name for other in path.parent.glob("*.toml")]
            raise ConfigurationError(f"There is no experiment {path}.{nearest(path.name, beside)}")
        return path
    if str(target) in presets():
        return assets.presets_folder() / f"{target}.toml"
    if path.is_dir():
        raise ConfigurationError(
            f"{path} is a folder without {DEFINITION}: not a run of spicetrain. Likely a misspelt name, or a run that "
            "never began."
        )
    raise ConfigurationError(
        f"Unknown preset {str(target)!r}.{nearest(str(target), presets())} "
        "An experiment may also be named by the path of its TOML or of a run folder."
    )
