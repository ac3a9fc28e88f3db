"""Training images that a training does not see, for choices that must not see the test images either."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets import Dataset


def held_out(dataset: Dataset, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(indices to train on, `number` indices kept out) of the training images, every class in its share
    where there are classes.

    Always the same ones: what is chosen by them is comparable. number = 0 keeps none.
    """
    everything = np.arange(len(dataset.train_labels))
    if not number:
        return everything, everything[:0]
    from sklearn.model_selection import train_test_split  # here: scikit-learn takes a second to import

    strata = dataset.train_labels if dataset.targets is None else None
    train, kept = train_test_split(everything, test_size=number, random_state=0, stratify=strata)
    return train, kept
