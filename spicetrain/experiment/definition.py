"""What a run depends on, as its TOML states it, and the names of what a run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from spicetrain import assets
from spicetrain.errors import ConfigurationError, nearest
from spicetrain.schema import Definition, parse, read_toml
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.training.settings import NetworkSettings, TrainingSettings
from spicetrain.verification.settings import EnergySettings, VerificationSettings

DEFINITION, MANIFEST, CHECKPOINT = "experiment.toml", "manifest.json", "checkpoint.safetensors"
SURROGATES, FIT, NETWORK = "surrogates.safetensors", "surrogates.json", "network.safetensors"
SUMMARY, REPORT = "summary.json", "report.html"


class DatasetSettings(Definition):
    """name: mnist, fashion-mnist or iris; folder: where <name>/*.gz lie, None: the usual places, else downloaded."""

    name: str = "mnist"
    folder: Path | None = None


class CharacterizationSettings(Definition):
    """plan: a shipped plan's name or the path of a TOML."""

    plan: str = "inverter"


class Experiment(Definition):
    """Everything a run depends on. `technology` is a shipped one's name or the path of a TOML.

    A setting that may be None is None unless it is given: TOML has no word for it.
    """

    system: Literal["inverter"] = "inverter"
    technology: str = "ptm90"
    dataset: DatasetSettings = Field(default_factory=DatasetSettings)
    characterization: CharacterizationSettings = Field(default_factory=CharacterizationSettings)
    surrogates: SurrogateSettings = Field(default_factory=SurrogateSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    verification: VerificationSettings = Field(default_factory=VerificationSettings)
    energy: EnergySettings = Field(default_factory=EnergySettings)

    @model_validator(mode="after")
    def _rim_has_its_resistors(self) -> Self:
        if self.training.method == "rim" and self.network.ground_ohm is None:
            raise ValueError(
                "training.method = 'rim' needs the resistors from every inverter output to mid-rail that it relies on: "
                "give network.ground_ohm, e.g. 1e5"
            )
        return self

    def trained_as(self) -> dict[str, Any]:
        """The settings that a trained network depends on, by dotted name; files that they name are not looked at."""
        tables = {
            "surrogates": self.surrogates.model_dump(),
            "network": self.network.model_dump(),
            "training": self.training.model_dump(exclude={"device", "threads"}),
        }
        settings = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
        return {"dataset.name": self.dataset.name} | settings

    def with_absolute_paths(self, base: Path) -> Experiment:
        """The same, with the paths in it that are relative taken from `base`."""

        def absolute(path: Path | None) -> Path | None:
            return None if path is None else base / path.expanduser()

        def absolute_toml(name: str) -> str:
            return str(base / Path(name).expanduser()) if name.endswith(".toml") else name

        return self.model_copy(
            update={
                "technology": absolute_toml(self.technology),
                "dataset": self.dataset.model_copy(update={"folder": absolute(self.dataset.folder)}),
                "characterization": CharacterizationSettings(plan=absolute_toml(self.characterization.plan)),
                "training": self.training.model_copy(update={"initial": absolute(self.training.initial)}),
            }
        )


def load_experiment(target: str | Path) -> Experiment:
    """An experiment by preset name, by the path of a TOML, or of an existing run folder. ConfigurationError otherwise.

    Relative paths in a TOML are relative to it.
    """
    path = _definition_of(target)
    experiment = parse(Experiment, read_toml(path), str(path))
    return experiment.with_absolute_paths(path.resolve().parent)


def presets() -> list[str]:
    """Names of the shipped experiments."""
    return sorted(path.stem for path in assets.presets_folder().glob("*.toml"))


def default_folder(target: str | Path) -> Path:
    """runs/<name> for a preset or TOML; a run folder is its own."""
    path = Path(target).expanduser()
    return path if _is_run_folder(path) else Path("runs") / path.stem


def _is_run_folder(path: Path) -> bool:
    return (path / DEFINITION).is_file()


def _definition_of(target: str | Path) -> Path:
    path = Path(target).expanduser()
    if _is_run_folder(path):
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
