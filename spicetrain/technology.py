"""What the circuit is made of: rails, transistors, unit inverter, memristor, temperature, from one TOML file.

A user's own technology is such a file beside its own library; nothing in spicetrain names a transistor model.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from spicetrain import assets
from spicetrain.errors import TechnologyError
from spicetrain.schema import Definition, find_toml, parse, read_toml
from spicetrain.storage import content_hash, sha256_of_file

Identifier = Field(pattern=r"^[A-Za-z_][\w.$-]*$")


class Rails(Definition):
    """Supply voltages of every inverter, in volts; signals are referred to their middle."""

    vdd_V: float = Field(le=50)
    vss_V: float = Field(ge=-50)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.vdd_V <= self.vss_V:
            raise ValueError(
                f"rails.vdd_V = {self.vdd_V} is not above rails.vss_V = {self.vss_V}; "
                "VDD is the upper rail (for VDD = 0.5 V around ground: vdd_V = 0.25, vss_V = -0.25)"
            )
        return self

    @property
    def mid_V(self) -> float:
        return (self.vdd_V + self.vss_V) / 2

    @property
    def half_swing_V(self) -> float:
        return (self.vdd_V - self.vss_V) / 2


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


class Memristor(Definition):
    """I = (g / b) sinh(b V), or g V when `form` is ohmic (Yakopcic et al., IEEE EDL 32(10), 1436, 2011)."""

    form: Literal["ohmic", "sinh"] = "ohmic"
    g_min_S: float = Field(gt=0)
    g_max_S: float = Field(gt=0)
    b_per_V: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.g_min_S >= self.g_max_S:
            raise ValueError(
                f"memristor.g_min_S = {self.g_min_S} is not below memristor.g_max_S = {self.g_max_S}; "
                "the two may be swapped, or given as resistances (these are siemens)"
            )
        if self.form == "sinh" and self.b_per_V == 0:
            raise ValueError("memristor.form = 'sinh' needs memristor.b_per_V > 0")
        return self

    def nonlinearity(self, v: float) -> float:
        """Relative excess of the current over g v at v volts: sinh(bv) / (bv) - 1; 0 when ohmic."""
        x = self.b_per_V * v
        return math.sinh(x) / x - 1 if self.form == "sinh" and x else 0.0


class Technology(Definition):
    """A technology as its TOML file states it. `folder` is where the file, and so its library, lies."""

    name: str = Identifier
    description: str = ""
    temperature_C: float = Field(default=27.0, gt=-273.15, lt=500)
    rails: Rails
    transistors: Transistors
    inverter: UnitInverter
    memristor: Memristor
    folder: Path

    @cached_property
    def library(self) -> Path:
        """Absolute path of the model library."""
        return (self.folder / self.transistors.library).resolve()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything a simulation depends on: the definition and the library's content."""
        return content_hash(self.model_dump(exclude={"folder", "description"}), sha256_of_file(self.library))


def load_technology(name: str | Path) -> Technology:
    """A shipped technology by name, or a user's by the path of its TOML file.

    Raises TechnologyError: unknown name, missing file or library, unknown key, impossible value.
    """
    path = find_toml(name, assets.netlists_folder() / "technologies", "technology", TechnologyError)
    content = read_toml(path)
    if "folder" in content:
        raise TechnologyError(f"{path}: 'folder' is not a key; library paths are relative to the file.")
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
    return technology
