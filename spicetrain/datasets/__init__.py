"""MNIST, Fashion-MNIST and iris as numpy arrays, checked against the published content.

Images lie in `<folder>/<name>/*.gz`. A folder given by the caller or in $SPICETRAIN_DATA is the only one
looked into; otherwise the checkout's data/, then the cache, and what is missing there is fetched into the
cache from the public mirrors that SOURCES.toml names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicetrain.assets import data_folder, dataset_sources
from spicetrain.datasets.idx import read_idx
from spicetrain.datasets.mirrors import download
from spicetrain.datasets.sources import ImageSource, read_sources
from spicetrain.errors import DatasetError, nearest
from spicetrain.storage import cache_folder, content_hash

_IRIS_TEST_FLOWERS = 30
_IRIS_SEED = 0


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification task with a fixed split; inputs are scaled to 0..1, 1 being a row driven to a rail."""

    name: str
    train_inputs: NDArray[np.float32]  # [n, features]
    train_labels: NDArray[np.int64]  # [n], index into classes
    test_inputs: NDArray[np.float32]  # [n, features]
    test_labels: NDArray[np.int64]  # [n]
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None = None  # rows and columns of pixels, when the features are an image
    files_sha256: dict[str, str] = field(default_factory=dict)  # of the published files' content, checked when read

    @cached_property
    def checksums(self) -> dict[str, str]:
        """Of its content, by name: of the published files, or of the arrays where there are none."""
        arrays = (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels)
        return self.files_sha256 or {self.name: content_hash(*(array.tobytes() for array in arrays))}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of its content."""
        return content_hash(self.checksums)


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """Load `mnist`, `fashion-mnist` (784 features, 60,000 + 10,000 images) or `iris` (4 features, 120 + 30).

    Raises DatasetError when the name is unknown, a file is missing, damaged or not the published one, or a
    needed download fails; StorageError when the cache cannot be written.
    """
    if name == "iris":
        return _load_iris()
    sources = read_sources(dataset_sources())
    if name not in sources:
        raise DatasetError(f"Unknown dataset {name!r}.{nearest(name, [*sources, 'iris'])}")
    return _load_images(sources[name], folder)


def _load_images(source: ImageSource, folder: Path | None) -> Dataset:
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


def _load_iris() -> Dataset:
    """R. A. Fisher's iris as scikit-learn bundles it; 40 + 10 flowers of each class, by a fixed seed.

    The range that scales a feature to 0..1 is the training flowers'; with this seed no test flower is beyond
    it, so no row voltage passes the rails.
    """
    from sklearn.datasets import load_iris  # here: scikit-learn takes a second to import
    from sklearn.model_selection import train_test_split

    iris = load_iris()
    train, test, train_labels, test_labels = train_test_split(
        iris.data, iris.target, test_size=_IRIS_TEST_FLOWERS, stratify=iris.target, random_state=_IRIS_SEED
    )
    low, high = train.min(axis=0), train.max(axis=0)

    def scaled(features: NDArray[np.float64]) -> NDArray[np.float32]:
        return ((features - low) / (high - low)).astype(np.float32)

    return Dataset(
        name="iris",
        train_inputs=scaled(train),
        train_labels=train_labels.astype(np.int64),
        test_inputs=scaled(test),
        test_labels=test_labels.astype(np.int64),
        classes=tuple(str(name) for name in iris.target_names),
    )
