"""The folders that ship with spicetrain, in a checkout and in an installed wheel.

A checkout has `netlists/`, `characterization/` and `data/` beside the package; the wheel carries copies in
`spicetrain/_assets/`. Presets and comparisons are part of the package in both.
"""

from __future__ import annotations

from pathlib import Path

from spicetrain.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent


def netlists_folder() -> Path:
    """`technologies/` and `cells/`: what ngspice reads."""
    return _shipped("netlists")


def characterization_folder() -> Path:
    """Sweep plans and the measured tables that ship."""
    return _shipped("characterization")


def presets_folder() -> Path:
    """Experiments by name, one TOML each."""
    return _PACKAGE / "presets"


def comparisons_folder() -> Path:
    """Comparisons of methods by name, one TOML each."""
    return _PACKAGE / "comparisons"


def names_in(folder: Path) -> list[str]:
    """What one of these folders holds, by name: its TOMLs."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def data_folder() -> Path | None:
    """The checkout's `data/` with the images; None in an installed wheel, which carries none."""
    folder = _checkout()
    return folder / "data" if folder is not None and (folder / "data").is_dir() else None


def dataset_sources() -> Path:
    """SOURCES.toml: origin, mirrors, licence and checksum of every dataset file."""
    return _shipped("data") / "SOURCES.toml"


def _checkout() -> Path | None:
    """The repository root, recognised by its pyproject.toml: a wheel's site-packages has none."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() else None


def _shipped(name: str) -> Path:
    checkout = _checkout()
    folder = checkout / name if checkout is not None else _PACKAGE / "_assets" / name
    if not folder.is_dir():
        raise ConfigurationError(
            f"spicetrain's own folder {name!r} is not at {folder}. The installation is incomplete: "
            "install it again (in a checkout: scripts/setup)."
        )
    return folder
