"""A folder of images, a subfolder a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.errors import DatasetError
from spicetrain.storage import content_hash, sha256_of_file

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


@dataclass(frozen=True)
class ImageFolder:
    """pixels [n, rows * columns] of 0..1, labels [n]: the subfolder's name; sha256 of all its files."""

    pixels: NDArray[np.float64]
    labels: NDArray[Any]
    image_shape: tuple[int, int]
    sha256: str


def read_images(folder: Path, image_shape: tuple[int, int] | None = None) -> ImageFolder:
    """All images as grey values, brought to `image_shape`, rows and columns, where it is given.

    DatasetError when a file is no image, there is none, or their sizes differ and no shape is given.
    """
    files = [
        file
        for kind in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        for file in sorted(kind.iterdir())
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise DatasetError(
            f"dataset.file = {folder}: no images in its subfolders. A folder of images has a subfolder a class, with "
            f"files that end with {', '.join(_SUFFIXES)}."
        )
    images = [_grey(file, image_shape) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise DatasetError(
                f"{file} has {_size(image)} pixels, {files[0]} has {_size(images[0])}: give dataset.image_shape = "
                f"{list(images[0].shape)}, rows and columns, to bring all to one size."
            )
    rows, columns = images[0].shape
    pixels = np.stack([image.ravel() for image in images])
    labels = np.array([file.parent.name for file in files])
    sums = [[str(file.relative_to(folder)), sha256_of_file(file)] for file in files]
    return ImageFolder(pixels, labels, (rows, columns), content_hash(sums))


def _grey(file: Path, image_shape: tuple[int, int] | None) -> NDArray[np.float64]:
    from PIL import Image, UnidentifiedImageError  # here: only image folders need it

    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):  # 16 bits: convert("L") would cut them off at 255
                raise DatasetError(f"{file} has pixels of more than 8 bits ({image.mode}): save it with 8.")
            grey = image.convert("L")
            if image_shape is not None:
                grey = grey.resize((image_shape[1], image_shape[0]), Image.Resampling.BILINEAR)
            return np.asarray(grey, dtype=np.float64) / 255
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{file} is no image that can be read: {error}. Save it again, or remove it.") from error


def _size(image: NDArray[Any]) -> str:
    return " x ".join(map(str, image.shape))
