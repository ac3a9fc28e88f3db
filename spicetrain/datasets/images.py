"""MNIST and Fashion-MNIST, checked against the published content.

Images lie in `<folder>/<name>/*.gz`. A folder given by the caller or in $SPICETRAIN_DATA is the only one looked into;
otherwise the checkout's data/, then the cache, and what is missing there is fetched into the cache from the public
mirrors that SOURCES.toml names.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicetrain.assets import data_folder, dataset_sources
from spicetrain.datasets.dataset import Dataset
from spicetrain.datasets.idx import read_idx
from spicetrain.datasets.mirrors import download
from spicetrain.datasets.sources import ImageSource, read_sources
from spicetrain.errors import DatasetError
from spicetrain.storage import cache_folder


def load_published(name: str, folder: Path | None = None) -> Dataset:
    """Of SOURCES.toml. DatasetError when a file is missing, damaged or not the published one, or a needed download
    fails; StorageError when the cache cannot be written."""
    source = read_sources(dataset_sources())[name]
    where = _find_folder(source, folder)
    arrays = {role: read_idx(where / file.name, file) for role, file in source.files.items()}
    return Dataset(
        name=source.name,
        train_inputs=_grey_to_unit(arrays["train_images"]),
        train_labels=arrays["train_labels"].astype(np.int64),
        test_inputs=_grey_to_unit(arrays["test_images"]),
        test_labels=arrays["test_labels"].astype(np.int64),
        classes=source.classes,
        image_shape=arrays["train_images"].shape[1:],
        files_sha256={f"{source.name}/{file.name}": file.sha256 for file in source.files.values()},
    )


def _grey_to_unit(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, rows, columns] of 0..255 -> [n, rows * columns] of 0..1."""
    return np.divide(images.reshape(len(images), -1), 255, dtype=np.float32)


def _find_folder(source: ImageSource, folder: Path | None) -> Path:
    """The folder that holds every file of `source`, after a download if that is what it takes."""
    if folder is not None:
        return _demanded(Path(folder) / source.name, source, "the folder you gave")
    if named := os.environ.get("SPICETRAIN_DATA"):
        return _demanded(Path(named).expanduser() / source.name, source, "$SPICETRAIN_DATA")
    cache = cache_folder() / "data" / source.name
    checkout = data_folder()
    candidates = [cache] if checkout is None else [checkout / source.name, cache]
    for candidate in candidates:
        if not source.missing_in(candidate):
            return candidate
    download(source, cache, looked_in=candidates)
    return cache


def _demanded(folder: Path, source: ImageSource, origin: str) -> Path:
    """A folder the user named must hold the dataset: a misspelt one must not silently become a download."""
    if missing := source.missing_in(folder):
        raise DatasetError(
            f"{source.name}: missing {', '.join(file.name for file in missing)} in {folder} ({origin}). "
            "Put the files there, or leave the folder out to use the shipped or downloaded ones."
        )
    return folder


MNIST = partial(load_published, "mnist")
FASHION_MNIST = partial(load_published, "fashion-mnist")
