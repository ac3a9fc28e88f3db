"""Iris, as scikit-learn bundles it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets.dataset import Dataset
from spicetrain.errors import DatasetError

_TEST_FLOWERS = 30
_SEED = 0


def load(folder: Path | None) -> Dataset:
    """R. A. Fisher's iris as scikit-learn bundles it; 40 + 10 flowers of each class, by a fixed seed.

    The range that scales a feature to 0..1 is the training flowers'; with this seed no test flower is beyond
    it, so no row voltage passes the rails.

    DatasetError when a folder is given: there is none to look into.
    """
    if folder is not None:
        raise DatasetError(f"iris comes with scikit-learn and takes no folder: leave {folder} out.")
    from sklearn.datasets import load_iris  # here: scikit-learn takes a second to import
    from sklearn.model_selection import train_test_split

    iris = load_iris()
    train, test, train_labels, test_labels = train_test_split(
        iris.data, iris.target, test_size=_TEST_FLOWERS, stratify=iris.target, random_state=_SEED
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
