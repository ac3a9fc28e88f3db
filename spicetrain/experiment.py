"""What an experiment of any system depends on, as its TOML states it. A system adds its tables to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field

from spicetrain.array.devices.presets import load_preset
from spicetrain.array.wires import Wires
from spicetrain.datasets.settings import DatasetSettings
from spicetrain.schema import Definition
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology, load_technology


class CharacterizationSettings(Definition):
    """plan: a shipped plan's name or the path of a TOML; timeout_s: of one run of ngspice."""

    plan: str = "inverter"
    timeout_s: float = Field(default=600.0, gt=0)


class Experiment(Definition):
    """What an experiment depends on. `technology` is a shipped one's name or the path of a TOML; so is `memristor`, a
    device of netlists/devices in place of the technology's, as `wires` are, of every array.

    A setting that may be None is None unless it is given: TOML has no word for it.
    """

    system: str
    technology: str = "ptm90"
    memristor: str | None = None
    wires: Wires | None = None
    dataset: DatasetSettings = Field(default_factory=DatasetSettings)
    characterization: CharacterizationSettings = Field(default_factory=CharacterizationSettings)
    surrogates: SurrogateSettings = Field(default_factory=SurrogateSettings)
    network: Any
    training: Any
    verification: Any

    def load_technology(self) -> Technology:
        """The technology as the experiment has it. TechnologyError when it cannot be had."""
        changed: dict[str, Any] = {} if self.memristor is None else {"memristor": load_preset(self.memristor).memristor}
        changed |= {} if self.wires is None else {"wires": self.wires}
        return load_technology(self.technology).changed(**changed)

    @classmethod
    def of_today(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The tables of a run folder as older versions wrote them, in today's words."""
        return content

    def trained_as(self) -> dict[str, Any]:
        """The settings that a trained network depends on, by dotted name; files that they name are not looked at."""
        tables = {
            "surrogates": self.surrogates.model_dump(),
            "network": self.network.model_dump(),
            "training": self.training.trained_as(),
        }
        settings = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
        return {"dataset.name": self.dataset.name} | settings

    def measured_as(self) -> dict[str, Any]:
        """What characterization and surrogates depend on, by name."""
        plan = self.characterization.plan
        found = {"system": self.system, "technology": self.technology, "plan": plan, "surrogates": self.surrogates}
        further = {"memristor": self.memristor, "wires": self.wires}
        return found | {name: value for name, value in further.items() if value is not None}

    def with_absolute_paths(self, base: Path) -> Self:
        """The same, with the paths in it that are relative taken from `base`."""
        return self.model_copy(update=self._paths(base))

    def _paths(self, base: Path) -> dict[str, Any]:
        plan = absolute_toml(self.characterization.plan, base)
        return {
            "technology": absolute_toml(self.technology, base),
            "memristor": None if self.memristor is None else absolute_toml(self.memristor, base),
            "dataset": self.dataset.seen_from(base),
            "characterization": self.characterization.model_copy(update={"plan": plan}),
            "verification": _conditions_from(self.verification, base),
        }


def absolute(path: Path | None, base: Path) -> Path | None:
    """A path of the TOML, seen from `base`."""
    return None if path is None else base / path.expanduser()


def absolute_toml(name: str, base: Path) -> str:
    """A shipped thing's name as it is, the path of a TOML seen from `base`."""
    return str(base / Path(name).expanduser()) if name.endswith(".toml") else name


def _conditions_from(verification: Any, base: Path) -> Any:
    """The verification with the path of its conditions' technology seen from `base`."""
    conditions = verification.conditions
    if conditions.technology is None:
        return verification
    moved = conditions.model_copy(update={"technology": absolute_toml(conditions.technology, base)})
    return verification.model_copy(update={"conditions": moved})
