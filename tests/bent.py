"""A technology whose memristors bend."""

from __future__ import annotations

from pathlib import Path

from spicetrain.array.devices import Sinh
from spicetrain.technology import Technology


def with_sinh(technology: Technology, b_per_V: float) -> Technology:
    """The same with devices of the sinh law in the same range."""
    device = technology.memristor
    bent = Sinh(g_min_S=device.g_min_S, g_max_S=device.g_max_S, b_per_V=b_per_V)
    return technology.changed(memristor=bent)


def bent_toml(technology: Technology, folder: Path, b_per_V: float) -> Path:
    """The shipped technology's file with such devices, in `folder`."""
    text = (technology.folder / f"{technology.name}.toml").read_text()
    text = text.replace(f'library = "{technology.transistors.library}"', f'library = "{technology.library}"')
    head, _, tail = text.partition("[memristor]")
    others = "\n".join(line for line in tail.splitlines() if line.startswith("g_"))
    path = folder / "bent.toml"
    path.write_text(f'{head}[memristor]\nform = "sinh"\nb_per_V = {b_per_V}\n{others}\n')
    return path
