"""What a run depends on, as its TOML states it, and the names of what a run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from spicetrain import assets
from spicetrain.errors import ConfigurationError, nearest
from spicetrain.inverter.training.settings import NetworkSettings, TrainingSettings
from spicetrain.inverter.verification.settings import EnergySettings, VerificationSettings
from spicetrain.schema import Definition, parse, read_toml
from spicetrain.spiking.circuit import PerLayer
from spicetrain.spiking.training.settings import SpikingNetworkSettings, SpikingTrainingSettings
from spicetrain.spiking.verification.settings import SpikingVerificationSettings
from spicetrain.surrogates.settings import SurrogateSettings

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
    """What an experiment of any system depends on. `technology` is a shipped one's name or the path of a TOML.

    A setting that may be None is None unless it is given: TOML has no word for it.
    """

    system: Literal["inverter", "spiking"]
    technology: str = "ptm90"
    dataset: DatasetSettings = Field(default_factory=DatasetSettings)
    characterization: CharacterizationSettings = Field(default_factory=CharacterizationSettings)
    surrogates: SurrogateSettings = Field(default_factory=SurrogateSettings)
    network: Any
    training: Any
    verification: Any

    def trained_as(self) -> dict[str, Any]:
        """The settings that a trained network depends on, by dotted name; files that they name are not looked at."""
        tables = {
            "surrogates": self.surrogates.model_dump(),
            "network": self.network.model_dump(),
            "training": self.training.model_dump(exclude={"device", "threads"}),
        }
        settings = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
        return {"dataset.name": self.dataset.name} | settings

    def measured_as(self) -> dict[str, Any]:
        """What characterization and surrogates depend on, by name."""
        return {
            name: getattr(self, name)
            for name in ("system", "technology", "characterization", "surrogates", "circuit")
            if hasattr(self, name)
        }

    def with_absolute_paths(self, base: Path) -> Self:
        """The same, with the paths in it that are relative taken from `base`."""
        return self.model_copy(update=self._paths(base))

    def _paths(self, base: Path) -> dict[str, Any]:
        return {
            "technology": _absolute_toml(self.technology, base),
            "dataset": self.dataset.model_copy(update={"folder": _absolute(self.dataset.folder, base)}),
            "characterization": CharacterizationSettings(plan=_absolute_toml(self.characterization.plan, base)),
        }


class InverterExperiment(Experiment):
    """Everything a run of the inverter system depends on."""

    system: Literal["inverter"] = "inverter"
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

    def _paths(self, base: Path) -> dict[str, Any]:
        initial = self.training.model_copy(update={"initial": _absolute(self.training.initial, base)})
        return super()._paths(base) | {"training": initial}


class CircuitSettings(Definition):
    """name: a shipped spiking circuit's, or the path of a TOML; the others, when given, stand in place of its own."""

    name: str = "lif-1r"
    threshold_V: PerLayer | None = None
    capacitance_F: PerLayer | None = None


class SpikingExperiment(Experiment):
    """Everything a run of the spiking system depends on."""

    system: Literal["spiking"] = "spiking"
    circuit: CircuitSettings = Field(default_factory=CircuitSettings)
    characterization: CharacterizationSettings = CharacterizationSettings(plan="spiking")
    network: SpikingNetworkSettings = Field(default_factory=SpikingNetworkSettings)
    training: SpikingTrainingSettings = Field(default_factory=SpikingTrainingSettings)
    verification: SpikingVerificationSettings = Field(default_factory=SpikingVerificationSettings)

    def trained_as(self) -> dict[str, Any]:
        return super().trained_as() | {f"circuit.{key}": value for key, value in self.circuit.model_dump().items()}

    def _paths(self, base: Path) -> dict[str, Any]:
        circuit = self.circuit.model_copy(update={"name": _absolute_toml(self.circuit.name, base)})
        spikes = self.verification.model_copy(update={"spikes": _absolute(self.verification.spikes, base)})
        return super()._paths(base) | {"circuit": circuit, "verification": spikes}


SYSTEMS: dict[str, type[Experiment]] = {"inverter": InverterExperiment, "spiking": SpikingExperiment}


def _absolute(path: Path | None, base: Path) -> Path | None:
    return None if path is None else base / path.expanduser()


def _absolute_toml(name: str, base: Path) -> str:
    return str(base / Path(name).expanduser()) if name.endswith(".toml") else name


def parse_experiment(content: dict[str, Any], source: str) -> Experiment:
    """The experiment that tables of settings describe; ConfigurationError, naming `source`, when it is none."""
    system = content.get("system", "inverter")
    if system not in SYSTEMS:
        raise ConfigurationError(f"{source}: unknown system {system!r}.{nearest(str(system), SYSTEMS)}")
    return parse(SYSTEMS[system], content, source)


def load_experiment(target: str | Path) -> Experiment:
    """An experiment by preset name, by the path of a TOML, or of an existing run folder. ConfigurationError otherwise.

    Relative paths in a TOML are relative to it.
    """
    path = _definition_of(target)
    return parse_experiment(read_toml(path), str(path)).with_absolute_paths(path.resolve().parent)


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
