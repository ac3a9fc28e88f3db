"""Features to 0..1 by the range of the training samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spicetrain.errors import DatasetError

_MOST_NAMED = 5


@dataclass(frozen=True)
class Scaled:
    """train, test [n, features] in 0..1, and what should be known of how they became so."""

    train: NDArray[np.float32]
    test: NDArray[np.float32]
    notes: tuple[str, ...] = ()


def scaled(
    train: NDArray[np.float64],
    test: NDArray[np.float64],
    names: tuple[str, ...],
    by: Literal["feature", "all", "none"],
    beyond: Literal["clip", "refuse"],
    name: str,
) -> Scaled:
    """By each feature's training range, by one of all, or as they are.

    DatasetError when a feature that is to be scaled by its own range has none, when features as they are lie outside of
    0..1, and with "refuse" when a test value is beyond the training range.
    """
    if by == "none":
        for values in (train, test):
            _require_unit(values, names, name)
        _require_change(train, names, name)
        return Scaled(train.astype(np.float32), test.astype(np.float32), _constant_note(train, names, name))
    axis = 0 if by == "feature" else None
    low, high = train.min(axis=axis), train.max(axis=axis)
    notes = _require_range(train, names, by, name)
    with np.errstate(over="ignore"):
        span = high - low
    if not np.isfinite(span).all() or (span < np.finfo(np.float64).tiny).any():
        raise DatasetError(
            f"{name}: features reach from {low.min():.3g} to {high.max():.3g}: no range to scale by. Give them in "
            "another unit."
        )
    outside = (test < low) | (test > high)
    if outside.any():
        notes += (_beyond(test, low, high, outside, names, beyond, name),)
    return Scaled(
        ((train - low) / span).astype(np.float32), np.clip((test - low) / span, 0, 1).astype(np.float32), notes
    )


def _require_range(train: NDArray[np.float64], names: tuple[str, ...], by: str, name: str) -> tuple[str, ...]:
    """What is to be said of features that never change; DatasetError where they must be scaled by that."""
    constant = _constant(train, names)
    if by == "feature" and constant:
        raise DatasetError(
            f"{name}: {_count(constant, names)} never change{'s' if len(constant) == 1 else ''} among the training "
            f"samples ({_some(constant)}), so there is no range to scale by. Leave it out of dataset.features, or "
            "scale by one range of all (dataset.scaling = 'all'), as pixels are."
        )
    _require_change(train, names, name)
    return _constant_note(train, names, name)


def _require_change(train: NDArray[np.float64], names: tuple[str, ...], name: str) -> None:
    if len(_constant(train, names)) == len(names):
        raise DatasetError(
            f"{name}: no feature changes among the training samples, the first is {train.flat[0]:g} in all of them: "
            "nothing to learn from. Give samples that differ."
        )


def _constant(train: NDArray[np.float64], names: tuple[str, ...]) -> list[str]:
    same = train.min(axis=0) == train.max(axis=0)
    return [names[index] for index in np.flatnonzero(same)]


def _constant_note(train: NDArray[np.float64], names: tuple[str, ...], name: str) -> tuple[str, ...]:
    constant = _constant(train, names)
    if not constant:
        return ()
    changes = "changes" if len(constant) == 1 else "change"
    return (f"{name}: {_count(constant, names)} never {changes} among the training samples ({_some(constant)}).",)


def _beyond(
    test: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    outside: NDArray[np.bool_],
    names: tuple[str, ...],
    do: str,
    name: str,
) -> str:
    """What is said of test values outside; DatasetError where they are refused."""
    row, column = np.argwhere(outside)[0]
    edges = (float(np.broadcast_to(edge, test.shape)[row, column]) for edge in (low, high))
    told = (
        f"{name}: {outside.sum()} of {outside.size} test values are beyond the training samples' range, the first is "
        f"{test[row, column]:g} of {names[column]!r}, which goes from {' to '.join(f'{edge:g}' for edge in edges)}"
    )
    if do == "refuse":
        raise DatasetError(
            f"{told}. A row cannot be driven beyond its rails: take another split (dataset.seed), or let them be "
            "clipped (dataset.beyond = 'clip')."
        )
    return f"{told}; they are clipped to it."


def _require_unit(values: NDArray[np.float64], names: tuple[str, ...], name: str) -> None:
    outside = np.argwhere((values < 0) | (values > 1))
    if len(outside):
        row, column = outside[0]
        raise DatasetError(
            f"{name}: {len(outside)} of {values.size} values are outside of 0 .. 1, the first is "
            f"{values[row, column]:g} of {names[column]!r}, and dataset.scaling = 'none' takes them as they are."
        )


def _count(chosen: list[str], names: tuple[str, ...]) -> str:
    return f"{len(chosen)} of {len(names)} features"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
