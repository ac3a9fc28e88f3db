"""A technology whose memristors bend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from spicetrain.array.devices import AnyDevice, Sinh
from spicetrain.technology import Technology


def with_sinh(technology: Technology, b_per_V: float) -> Technology:
    """The same with devices of the sinh law in the same range."""
    device = technology.memristor
    bent = Sinh(g_min_S=device.g_min_S, g_max_S=device.g_max_S, b_per_V=b_per_V)
    return technology.changed(memristor=bent)


BENDING: dict[str, dict[str, Any]] = {
    "sinh": {"b_per_V": 4.0},
    "power": {"ratio": 2.8, "v_ref_V": 0.25},
    "poole-frenkel": {"b_per_sqrt_V": 2.0},
}
"""Of every form that bends, one that bends by tens of percent between the rails."""


def bending(technology: Technology, form: str) -> Technology:
    """The same technology with devices of a form of BENDING, in the same range."""
    device = technology.memristor
    table = {"form": form, "g_min_S": device.g_min_S, "g_max_S": device.g_max_S, **BENDING[form]}
    return technology.changed(memristor=TypeAdapter(AnyDevice).validate_python(table))


def bent_toml(technology: Technology, folder: Path, b_per_V: float) -> Path:
    """The shipped technology's file with such devices, in `folder`."""
    text = (technology.folder / f"{technology.name}.toml").read_text()
    text = text.replace(f'library = "{technology.transistors.library}"', f'library = "{technology.library}"')
    head, _, tail = text.partition("[memristor]")
    others = "\n".join(line for line in tail.splitlines() if line.startswith("g_"))
    path = folder / "bent.toml"
    path.write_text(f'{head}[memristor]\nform = "sinh"\nb_per_V = {b_per_V}\n{others}\n')
    return path
