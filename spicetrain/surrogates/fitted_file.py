"""What a fit writes, of whatever system: surrogates.safetensors, arrays with what is no array in the header; plots."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from safetensors import SafetensorError, safe_open

from spicetrain.errors import StorageError
from spicetrain.runfolder import SURROGATES
from spicetrain.storage import cache_folder, write_atomic

if TYPE_CHECKING:  # whoever reads a fit need not wait for matplotlib
    from matplotlib.figure import Figure

_NEXT_STEP = "Fit again: spicetrain fit-surrogates."
Built = TypeVar("Built")


def header(form: str, plain: Any, reports: dict[str, Any]) -> dict[str, str]:
    """The header of a file of this format: `plain` whatever belongs to the arrays, `reports` one on each fit."""
    return {"format": form, "plain": json.dumps(plain), "reports": json.dumps(reports)}


def kept_folder(key: str) -> Path:
    """Where the cache keeps the fit with this key; it need not be there."""
    return cache_folder() / "surrogates" / key


def plot_of(name: str) -> str:
    """The file of a fit's plot."""
    return f"surrogates-{name}.svg"


def save_plot(folder: Path, name: str, figure: Figure) -> None:
    """A fit against its table, drawn in STYLE."""
    from spicetrain.drawing import svg_file

    with write_atomic(folder / plot_of(name)) as temporary:
        temporary.write_text(svg_file(figure), "utf-8")


def read_fitted(
    path: Path,
    form: str,
    framework: Literal["numpy", "pt"],
    build: Callable[[dict[str, Any], Any, dict[str, Any]], Built],
) -> Built:
    """`build`(arrays, plain, reports) of `path`, the file or its folder. StorageError: missing, damaged, or of another
    format."""
    path = path / SURROGATES if path.is_dir() else path
    try:
        with safe_open(path, framework=framework) as stored:
            about = stored.metadata() or {}
            if (found := about.get("format")) != form:
                raise StorageError(
                    f"{path} holds no surrogates of this kind: {form} wanted, {found} found. {_NEXT_STEP}"
                )
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return build(arrays, json.loads(about["plain"]), json.loads(about["reports"]))
    except FileNotFoundError as error:
        raise StorageError(f"There are no surrogates at {path}. {_NEXT_STEP}") from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise StorageError(f"Cannot read the surrogates {path}: {error}. The file is damaged. {_NEXT_STEP}") from error
