"""What the circuit is made of: rails, transistors, unit inverter, memristor, temperature, from one TOML file.

A user's own technology is such a file beside its own library; nothing in spicetrain names a transistor model.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from spicetrain import assets, include_tree
from spicetrain.array.device import STATISTICS
from spicetrain.array.devices import AnyDevice
from spicetrain.array.devices.presets import with_preset
from spicetrain.errors import TechnologyError
from spicetrain.mismatch import Mismatch
from spicetrain.rails import Rails
from spicetrain.schema import Definition, find_toml, parse, read_toml
from spicetrain.storage import content_hash

Identifier = Field(pattern=r"^[A-Za-z_][\w.$-]*$")


class Transistors(Definition):
    """Where the models are and how an instance is written."""

    library: str
    section: str | None = None
    element: Literal["M", "X"] = "M"
    nmos: str = Identifier
    pmos: str = Identifier
    multiplicity: str = Identifier


class UnitInverter(Definition):
    """Instance parameters of one finger; an inverter of size m has m of them in parallel."""

    nmos: dict[str, float]
    pmos: dict[str, float]


class Technology(Definition):
    """A technology as its TOML file states it. `folder` is where the file, and so its library, lies."""

    name: str = Identifier
    description: str = ""
    temperature_C: float = Field(default=27.0, gt=-273.15, lt=500)
    rails: Rails
    transistors: Transistors
    inverter: UnitInverter
    memristor: AnyDevice
    mismatch: Mismatch | None = None
    folder: Path

    def changed(self, **values: object) -> Self:
        """The same at another temperature, between other rails, from another section ...; values are not checked."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **values})

    @cached_property
    def library(self) -> Path:
        """Absolute path of the model library."""
        return (self.folder / self.transistors.library).resolve()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything a nominal simulation depends on: the definition, without its statistics, and the content
        of all model files."""
        nominal = self.model_dump(exclude={"folder", "description", "mismatch"})
        for name in STATISTICS:
            nominal["memristor"].pop(name, None)
        return content_hash(nominal, *self.model_files)

    @cached_property
    def model_files(self) -> tuple[str, ...]:
        """Checksums of the library and of all that it includes. TechnologyError when a file is missing."""
        return include_tree.checksums(self.library, self.transistors.section)


def load_technology(name: str | Path) -> Technology:
    """A shipped technology by name, or a user's by the path of its TOML file.

    `[memristor] preset = "..."` takes a device of netlists/devices, or of a TOML beside the file; its own keys stand in
    place of the preset's.

    Raises TechnologyError: unknown name, missing file, library or file it includes, unknown key, impossible value.
    """
    path = find_toml(name, assets.netlists_folder() / "technologies", "technology", TechnologyError)
    content = read_toml(path)
    if "folder" in content:
        raise TechnologyError(f"{path}: 'folder' is not a key; library paths are relative to the file.")
    if isinstance(content.get("memristor"), dict):
        content["memristor"] = with_preset(content["memristor"], path)
    technology = parse(Technology, content | {"folder": path.resolve().parent}, str(path), TechnologyError)
    if not technology.library.is_file():
        raise TechnologyError(
            f"{path}: transistors.library = {technology.transistors.library!r} is not a file "
            f"({technology.library}). The path is relative to the TOML file."
        )
    if technology.transistors.section is not None and any(letter.isspace() for letter in str(technology.library)):
        raise TechnologyError(
            f"{path}: ngspice does not read a section from a path with spaces, and the library is "
            f"{str(technology.library)!r}. Move the technology to another folder."
        )
    assert technology.model_files  # or it raises
    return technology
