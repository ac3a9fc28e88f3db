"""What a fit drew of itself, on the page."""

from __future__ import annotations

from pathlib import Path

from spicetrain.drawing import svg_element
from spicetrain.errors import StorageError
from spicetrain.report.blocks import Drawing


def fit_drawing(path: Path, caption: str) -> Drawing:
    """surrogates-<name>.svg over the whole width. StorageError when it is damaged."""
    name = path.stem.removeprefix("surrogates-").replace("_", " ")
    try:
        picture = svg_element(path.read_text("utf-8"), f"Measured against fitted: {name}")
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} is no drawing that can be read ({error}): remove it, and draw the page again."
        ) from error
    return Drawing(picture, caption, wide=True)
