"""A column of labels as indices of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.errors import DatasetError

_MOST_CLASSES = 1000


def classes_of(found: list[str], given: tuple[str, ...], where: str) -> tuple[list[str], tuple[str, ...]]:
    """(the label's value for every class, the names of the classes) of the training samples.

    found  the label of every sample, see `values_of`
    given  dataset.classes: the label's values in the order of the outputs or, where it counts from 0, names

    DatasetError when there are fewer than two classes, one without samples, or integers that do not count from 0.
    """
    values = sorted(set(found), key=_in_order)
    if len(values) < 2:
        raise DatasetError(
            f"{where} is {values[0]!r} for every sample: there is nothing to tell apart. Give samples of "
            "another class, or name another column in dataset.label."
        )
    if len(values) > _MOST_CLASSES:
        raise DatasetError(
            f"{where} has {len(values)} different values in {len(found)} samples. Likely it is a number to be learnt: "
            "name it in dataset.target, not in dataset.label."
        )
    counting = [str(number) for number in range(len(values))]
    if not given:
        if all(map(_is_integer, values)) and values != counting:
            raise DatasetError(
                f"{where} has the integers {_some(values)}, which do not count from 0. If they are names, say so, in "
                f"the order of the outputs: dataset.classes = [{', '.join(repr(value) for value in values[:8])}"
                f"{', ...' if len(values) > 8 else ''}]."
            )
        return values, tuple(values)
    if values == counting and set(given) != set(values):
        if len(given) != len(values):
            raise DatasetError(
                f"dataset.classes names {len(given)} classes, but {where} counts {len(values)}: give as many names."
            )
        return values, given
    if unknown := [value for value in values if value not in given]:
        raise DatasetError(f"{where} is {unknown[0]!r} for some sample, which dataset.classes does not name.")
    if absent := [name for name in given if name not in values]:
        raise DatasetError(
            f"dataset.classes names {absent[0]!r}, but {where} never is that among the training samples."
        )
    return list(given), given


def indices_of(found: list[str], values: list[str], where: str) -> NDArray[np.int64]:
    """The index of every label's value. DatasetError for one that the training samples do not have."""
    index = {value: number for number, value in enumerate(values)}
    if unknown := sorted(set(found) - index.keys()):
        raise DatasetError(
            f"{where} is {unknown[0]!r} for some sample; the training samples have {_some(values)}. Drop such "
            "samples, or train with some of that class."
        )
    return np.array([index[value] for value in found], dtype=np.int64)


def values_of(column: NDArray[Any], where: str) -> list[str]:
    """The labels as texts; a whole number as an integer, wherever it was read as a float. DatasetError for what is no
    label."""
    if column.dtype.kind == "f":
        if (missing := np.flatnonzero(~np.isfinite(column))).size:
            raise DatasetError(
                f"{where} is {column[missing[0]]} in sample {missing[0]}: every sample needs a label. Drop that "
                "sample, or fill it in."
            )
        if (broken := np.flatnonzero(column != np.floor(column))).size:
            raise DatasetError(
                f"{where} is {column[broken[0]]} in sample {broken[0]}, which is no class. A number to be learnt is "
                "named in dataset.target, not in dataset.label."
            )
        return [str(int(value)) for value in column]
    if column.dtype.kind not in "biuOUSTM":
        raise DatasetError(f"{where} has values of the type {column.dtype}: classes are integers or texts.")
    values = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in column.tolist()]
    for index, value in enumerate(values):
        if not isinstance(value, str | int | bool) or not str(value).strip():
            raise DatasetError(
                f"{where} is {value!r} in sample {index}: every sample needs a label, an integer or text. Drop that "
                "sample, or fill it in."
            )
    return [str(value).strip() for value in values]


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdecimal()


def _in_order(text: str) -> tuple[bool, int, str]:
    """Integers first, by their size; then texts."""
    return (False, int(text), "") if _is_integer(text) else (True, 0, text)


def _some(values: list[str]) -> str:
    return ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")
