"""A dataset: points in a square, the class by the diagonal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spicetrain.datasets import Dataset


def load(folder: Path | None) -> Dataset:
    rng = np.random.default_rng(0)
    inputs = rng.random((260, 2), dtype=np.float32)
    inputs = inputs[np.abs(inputs[:, 0] - inputs[:, 1]) > 0.1]
    labels = (inputs[:, 0] > inputs[:, 1]).astype(np.int64)
    return Dataset("diagonal", inputs[:150], labels[:150], inputs[150:180], labels[150:180], ("above", "below"))
