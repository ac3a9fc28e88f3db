"""A task of classification or regression as arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.storage import content_hash


@dataclass(frozen=True)
class Targets:
    """What a regression learns: columns of numbers, and where they lie between the rails.

    low, high  the range of the training targets, in their own units, one number a column
    share      of the rails' swing, about their middle, that this range takes
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    share: float = 0.8

    def to_share(self, targets: NDArray[np.float64]) -> NDArray[np.float32]:
        """Targets [n, columns] as shares of the swing, 0 at mid-rail, -1 and 1 at the rails."""
        low, high = np.array(self.low), np.array(self.high)
        return (self.share * (2 * (targets - low) / (high - low) - 1)).astype(np.float32)

    def from_share(self, shares: NDArray[Any]) -> NDArray[np.float64]:
        """The inverse: [n, columns] in the targets' own units."""
        low, high = np.array(self.low), np.array(self.high)
        return low + (high - low) * (np.asarray(shares, dtype=np.float64) / self.share + 1) / 2


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task with a fixed split; inputs are scaled to 0..1, 1 being a row driven to a rail.

    A classification's labels are indices into `classes`. A regression has `targets` and no classes; its labels
    [n, columns] are targets in their own units, float64.
    """

    name: str
    train_inputs: NDArray[np.float32]  # [n, features]
    train_labels: NDArray[Any]  # [n] int64, or [n, columns] float64
    test_inputs: NDArray[np.float32]  # [n, features]
    test_labels: NDArray[Any]  # [n] int64, or [n, columns] float64
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None = None  # rows and columns of pixels, when the features are an image
    files_sha256: dict[str, str] = field(default_factory=dict)  # of the published files' content, checked when read
    targets: Targets | None = None
    own: bool = False  # read from the user's own file, or a part only: known by its arrays
    notes: tuple[str, ...] = ()  # what the user should know of how it was read

    def first(self, train: int | None, test: int | None) -> Dataset:
        """The first so many samples of each part; None: all. A part is another dataset, and its key says so."""
        trained, tested = min(train or len(self.train_inputs), len(self.train_inputs)), test or len(self.test_inputs)
        if trained == len(self.train_inputs) and tested >= len(self.test_inputs):
            return self
        return replace(
            self, train_inputs=self.train_inputs[:trained], train_labels=self.train_labels[:trained],
            test_inputs=self.test_inputs[:tested], test_labels=self.test_labels[:tested], own=True,
        )  # fmt: skip

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the network's outputs are, by name: classes, or targets."""
        return self.classes if self.targets is None else self.targets.names

    @cached_property
    def checksums(self) -> dict[str, str]:
        """Of its content, by name: of the published files; or of the arrays, of one's own with the file's."""
        if self.files_sha256 and not self.own:
            return self.files_sha256
        arrays = (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels)
        facts: list[Any] = [] if self.targets is None else [asdict(self.targets)]
        if self.own:
            facts += [self.classes, [list(array.shape) for array in arrays]]
        read = f"{self.name}, as it is read" if self.own else self.name
        return self.files_sha256 | {read: content_hash(*(array.tobytes() for array in arrays), *facts)}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of its content."""
        return content_hash(self.checksums)
