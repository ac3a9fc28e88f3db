"""The datasets by name, as numpy arrays. One is one file here, or a user's own, registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spicetrain.datasets.dataset import Dataset
from spicetrain.errors import DatasetError, nearest
from spicetrain.registry import Registry

__all__ = ["DATASETS", "Dataset", "load_dataset"]

DATASETS: Registry[Callable[[Path | None], Dataset]] = Registry(
    "dataset",
    {
        "mnist": "spicetrain.datasets.images:MNIST",
        "fashion-mnist": "spicetrain.datasets.images:FASHION_MNIST",
        "iris": "spicetrain.datasets.iris:load",
        "breast-cancer": "spicetrain.datasets.bundled:BREAST_CANCER",
        "digits": "spicetrain.datasets.bundled:DIGITS",
        "wine": "spicetrain.datasets.bundled:WINE",
        "sobel": "spicetrain.datasets.kernels:SOBEL",
        "inversek2j": "spicetrain.datasets.kernels:INVERSEK2J",
        "blackscholes": "spicetrain.datasets.kernels:BLACKSCHOLES",
    },
)
"""A loader takes the folder that the user names, or None."""


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """Load `mnist`, `fashion-mnist` (784 features, 60,000 + 10,000 images), `iris` (4 features, 120 + 30), another of
    scikit-learn's (`breast-cancer`, `digits`, `wine`), a function to be learnt (`sobel`, `inversek2j`, `blackscholes`)
    or one that was registered.

    DatasetError when the name is unknown, or the loader cannot give the published content from `folder`.
    """
    if name not in DATASETS:
        raise DatasetError(f"Unknown dataset {name!r}.{nearest(name, DATASETS)}")
    return DATASETS[name](folder)
