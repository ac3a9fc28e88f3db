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
    "table": {
        "v_read_V": 0.1,
        "voltages_V": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        "states_S": (1e-7, 2e-6, 8e-6),
        "currents_A": (
            (0.0, 1e-8, 2.4e-8, 4.2e-8, 6.6e-8, 1e-7),
            (0.0, 2e-7, 4.4e-7, 7e-7, 1e-6, 1.4e-6),
            (0.0, 8e-7, 1.6e-6, 2.5e-6, 3.4e-6, 4.4e-6),
        ),
    },
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
