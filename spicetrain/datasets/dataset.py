"""A classification task as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spicetrain.storage import content_hash


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
