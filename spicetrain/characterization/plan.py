"""What is to be measured, from one TOML file: a table a section; one whose section is left out is not measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import create_model

from spicetrain import assets
from spicetrain.characterization.sweep import Subject, Sweep
from spicetrain.errors import ConfigurationError
from spicetrain.keyed import Recipe
from spicetrain.schema import Definition, find_toml, parse, read_toml


class PlanSection(Definition):
    """A section of a plan: how one table is measured."""

    def resolved(self, folder: Path) -> Self:
        """The same, with relative paths in it taken from `folder`, the plan's. ConfigurationError: nothing there."""
        return self

    def facts(self) -> dict[str, Any]:
        """What it says, as JSON; files that it names by what they hold, wherever they lie."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class TableKind:
    """A table that can be measured.

    section  of a plan
    sweeps   (section, subject, parts) -> its runs of ngspice; `parts` is how many can go in parallel
    version  of the code that measures it
    applies  whether a subject has it
    """

    section: type[PlanSection]
    sweeps: Callable[[Any, Subject, int], Sequence[Sweep[Any]]]
    version: int = 1
    applies: Callable[[Subject], bool] = field(default=lambda subject: True)
    of_circuit: bool = False


@dataclass(frozen=True)
class Plan:
    """The sections by table name, and what kind each is."""

    sections: Mapping[str, PlanSection]
    kinds: Mapping[str, TableKind]

    def __post_init__(self) -> None:
        for name in self.sections:
            if name not in self.kinds:
                raise ConfigurationError(f"The plan asks for the table {name}, which is not of this system.")

    def key(self) -> str:
        """Of what the plan says, wherever its file lies and however it is commented."""
        return Recipe("plan").key(sections={name: section.facts() for name, section in self.sections.items()})


def load_plan(name: str | Path, kinds: Mapping[str, TableKind]) -> Plan:
    """A shipped plan by name, or a user's by the path of its TOML file, for tables of these kinds.

    Raises ConfigurationError: unknown name, missing file, unknown key, impossible value, missing network.
    """
    path = find_toml(name, assets.characterization_folder(), "plan")
    sections: Any = {table: (kind.section | None, None) for table, kind in kinds.items()}
    form = create_model("PlanFile", __base__=Definition, description=(str, ""), **sections)
    found = parse(form, read_toml(path), str(path))
    given = {table: section for table in kinds if (section := getattr(found, table)) is not None}
    if not given:
        known = ", ".join(f"[{table}]" for table in kinds)
        raise ConfigurationError(f"{path}: the plan measures nothing; give at least one section of {known}.")
    folder = path.resolve().parent
    try:
        return Plan({table: section.resolved(folder) for table, section in given.items()}, kinds)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
