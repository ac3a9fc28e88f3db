"""The verification table as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spicetrain.errors import StorageError


@dataclass(frozen=True)
class Outputs:
    """image, label [images]: index into the test images, true class; model_V, spice_V [images, outputs]: volts."""

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    model_V: NDArray[np.float64]
    spice_V: NDArray[np.float64]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """From verification.parquet; StorageError when there is nothing in it, or a label without an output."""
        number = sum(str(name).startswith("spice_o_") for name in frame)
        image, label = (frame[name].to_numpy(np.int64) for name in ("image", "label"))
        if not len(label) or label.min() < 0 or label.max() >= number:
            raise StorageError(
                f"verification.parquet holds {len(label)} images of {number} outputs with labels that do not belong to "
                "them: it is damaged. Remove it and run `spicetrain verify` again."
            )
        voltages = (
            frame[[f"{kind}_o_{j}_V" for j in range(number)]].to_numpy(np.float64) for kind in ("model", "spice")
        )
        return cls(image, label, *voltages)

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """|model - SPICE|, [images, outputs], volts."""
        return np.abs(self.model_V - self.spice_V)

    @cached_property
    def model_class(self) -> NDArray[np.int64]:
        return self.model_V.argmax(1)

    @cached_property
    def spice_class(self) -> NDArray[np.int64]:
        return self.spice_V.argmax(1)

    @cached_property
    def margin(self) -> NDArray[np.float64]:
        """In SPICE: the true class's output less the highest other one, [images], volts; negative when wrong."""
        rows = np.arange(len(self.label))
        others = self.spice_V.copy()
        others[rows, self.label] = -np.inf
        return self.spice_V[rows, self.label] - others.max(1)
