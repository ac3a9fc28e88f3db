"""The device as a TOML that `[memristor] preset = "device.toml"` takes, what was found in its comments."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from spicetrain.array.devices.presets import load_preset
from spicetrain.importing.device import Imported
from spicetrain.importing.draw import draw
from spicetrain.importing.show import told
from spicetrain.storage import write_atomic


def write(imported: Imported, folder: Path) -> Path:
    """device.toml, device.png in `folder`; the path of the first. StorageError when that is refused."""
    names = ", ".join(_plain(path.name) for path in imported.request.files)
    content = {"description": f"measured: {names}", "memristor": imported.memristor}
    comments = "".join(f"# {_plain(line)}\n" for line in told(imported))
    text = f"# Made by `spicetrain import-device` of {names}.\n#\n{comments}{tomli_w.dumps(content)}"
    path = folder / "device.toml"
    with write_atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    load_preset(str(path))  # as a technology will
    with write_atomic(folder / "device.png") as temporary:
        draw(imported, temporary)
    return path


def _plain(text: str) -> str:
    """On one line, whatever a file is called."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
