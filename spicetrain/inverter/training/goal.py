"""What the output voltages are to be: a loss to train by and a score to judge by, of each kind of task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from spicetrain.datasets import Dataset
from spicetrain.datasets.dataset import Targets
from spicetrain.rails import Rails


class Goal(Protocol):
    """outputs_V [samples, outputs]; wanted as `parts_of` gives it: classes [samples], or shares of half the swing
    [samples, outputs]."""

    def loss(self, outputs_V: Tensor, wanted: Tensor) -> Tensor: ...

    def score(self, outputs_V: NDArray[Any], wanted: NDArray[Any]) -> dict[str, float]:
        """Figures by name, the one that counts first."""


@dataclass(frozen=True)
class Classification:
    """The highest output is the class; logit_V is one unit of the softmax."""

    rails: Rails
    logit_V: float

    def loss(self, outputs_V: Tensor, wanted: Tensor) -> Tensor:
        """Cross entropy."""
        return cross_entropy((outputs_V - self.rails.mid_V) / self.logit_V, wanted)

    def score(self, outputs_V: NDArray[Any], wanted: NDArray[Any]) -> dict[str, float]:
        return {"accuracy": float(np.mean(outputs_V.argmax(1) == wanted))}


@dataclass(frozen=True)
class Regression:
    """Every output is a number: `targets` says which voltage between the rails stands for it."""

    rails: Rails
    targets: Targets

    def loss(self, outputs_V: Tensor, wanted: Tensor) -> Tensor:
        """Mean squared error, in units of half the swing."""
        return mse_loss((outputs_V - self.rails.mid_V) / self.rails.half_swing_V, wanted)

    def score(self, outputs_V: NDArray[Any], wanted: NDArray[Any]) -> dict[str, float]:
        """r2, the mean over the outputs, and the rms error of each in its own unit."""
        expected, found = self.targets.from_share(wanted), self.read(outputs_V)
        one = len(self.targets.names) == 1
        names = ("rms" if one else f"rms_{name}" for name in self.targets.names)
        return {"r2": float(r2(expected, found).mean()), **dict(zip(names, rms(expected, found).tolist(), strict=True))}

    def read(self, outputs_V: NDArray[Any]) -> NDArray[np.float64]:
        """Output voltages [samples, outputs] as targets, in their own units."""
        volts = np.asarray(outputs_V, dtype=np.float64)
        return self.targets.from_share((volts - self.rails.mid_V) / self.rails.half_swing_V)


def goal_of(dataset: Dataset, rails: Rails, logit_V: float) -> Goal:
    """By the dataset's task."""
    return Classification(rails, logit_V) if dataset.targets is None else Regression(rails, dataset.targets)


def r2(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficient of determination of every output, [samples, outputs] -> [outputs]; nan where `wanted` is constant."""
    spread = np.sum((wanted - wanted.mean(axis=0)) ** 2, axis=0)
    missed = np.sum((wanted - found) ** 2, axis=0)
    return 1 - np.divide(missed, spread, out=np.full_like(spread, np.nan), where=spread > 0)


def rms(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root of the mean squared error of every output, [samples, outputs] -> [outputs]."""
    return np.asarray(np.sqrt(np.mean((wanted - found) ** 2, axis=0)))
