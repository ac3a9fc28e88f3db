"""Further sets that scikit-learn bundles: breast cancer, digits, wine; a fifth of every class for testing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spicetrain.datasets.dataset import Dataset
from spicetrain.datasets.scaling import scaled
from spicetrain.errors import DatasetError

_TEST_SHARE, _SEED = 0.2, 0


def load_bundled(name: str, loader: str, by: Literal["feature", "all"], folder: Path | None = None) -> Dataset:
    """`loader` of sklearn.datasets, scaled by the training samples' range of each feature, or by one of all.

    Test values beyond that range are clipped to it. DatasetError when a folder is given: there is none to look into.
    """
    if folder is not None:
        raise DatasetError(f"{name} comes with scikit-learn and takes no folder: leave {folder} out.")
    import sklearn.datasets  # here: scikit-learn takes a second to import
    from sklearn.model_selection import train_test_split

    load: Callable[[], Any] = getattr(sklearn.datasets, loader)
    bunch = load()
    train, test, train_labels, test_labels = train_test_split(
        bunch.data, bunch.target, test_size=_TEST_SHARE, stratify=bunch.target, random_state=_SEED
    )
    inputs = scaled(train, test, tuple(map(str, bunch.feature_names)), by, "clip", name)
    return Dataset(
        name=name,
        train_inputs=inputs.train,
        train_labels=train_labels.astype(np.int64),
        test_inputs=inputs.test,
        test_labels=test_labels.astype(np.int64),
        classes=tuple(str(one) for one in bunch.target_names),
        image_shape=None if "images" not in bunch else bunch.images.shape[1:],
        notes=inputs.notes,
    )


BREAST_CANCER = partial(load_bundled, "breast-cancer", "load_breast_cancer", "feature")
DIGITS = partial(load_bundled, "digits", "load_digits", "all")
WINE = partial(load_bundled, "wine", "load_wine", "feature")
