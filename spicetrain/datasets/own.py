"""A dataset of one's own: read, checked, split and scaled as [dataset] says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets.dataset import Dataset, Targets
from spicetrain.datasets.image_folder import read_images
from spicetrain.datasets.labels import classes_of, indices_of, values_of
from spicetrain.datasets.scaling import scaled
from spicetrain.datasets.tabular import Tabular, read_tabular
from spicetrain.errors import DatasetError
from spicetrain.storage import sha256_of_file

if TYPE_CHECKING:
    from spicetrain.datasets.settings import DatasetSettings

_LABELS = ("label", "class", "target", "y")


@dataclass(frozen=True)
class _Samples:
    """features [n, columns], wanted [n] labels as texts, or [n, columns] targets."""

    features: NDArray[np.float64]
    names: tuple[str, ...]
    wanted: NDArray[Any]
    label: str
    image_shape: tuple[int, int] | None
    scaling: str


def load_own(settings: DatasetSettings) -> Dataset:
    """The dataset of dataset.file. DatasetError when it cannot be read or cannot be learnt; see DatasetSettings."""
    assert settings.file is not None
    train, test, sums = _parts(settings, settings.file)
    name = settings.name
    targets: Targets | None = None
    classes: tuple[str, ...] = ()
    if settings.target:
        targets = _targets_of(train, settings)
        train_labels, test_labels = train.wanted, test.wanted
    else:
        where = f"{settings.file}: the label {train.label!r}"
        values, classes = classes_of(train.wanted.tolist(), settings.classes or (), where)
        train_labels, test_labels = (indices_of(part.wanted.tolist(), values, where) for part in (train, test))
    by: Any = settings.scaling or train.scaling
    inputs = scaled(train.features, test.features, train.names, by, settings.beyond, name)
    return Dataset(
        name=name,
        train_inputs=inputs.train,
        train_labels=train_labels,
        test_inputs=inputs.test,
        test_labels=test_labels,
        classes=classes,
        image_shape=train.image_shape,
        files_sha256=sums,
        targets=targets,
        own=True,
        notes=inputs.notes,
    )


def _parts(settings: DatasetSettings, file: Path) -> tuple[_Samples, _Samples, dict[str, str]]:
    """Training samples, test samples, and the files' checksums."""
    parts, sums = _read(settings, file)
    if "train" in parts and settings.test_file is not None:
        raise DatasetError(f"{file} brings its own x_test and y_test: leave dataset.test_file out.")
    if settings.test_file is not None:
        further, more = _read(settings, settings.test_file)
        if "train" in further:
            raise DatasetError(f"dataset.test_file = {settings.test_file} brings training samples too: give it alone.")
        parts = {"train": parts[""], "test": further[""]}
        sums |= {f"test: {name}": found for name, found in more.items()}
    if "train" not in parts:
        return *_split(parts[""], settings), sums
    train, test = parts["train"], parts["test"]
    if train.names != test.names or train.image_shape != test.image_shape:
        raise DatasetError(
            f"The test samples of {settings.name} have {len(test.names)} features ({_some(test.names)}), the training "
            f"samples {len(train.names)} ({_some(train.names)}): they must be the same. Leave the "
            "others out, or name those of both in dataset.features."
        )
    return train, test, sums


def _read(settings: DatasetSettings, file: Path) -> tuple[dict[str, _Samples], dict[str, str]]:
    if file.is_dir():
        samples, sha256 = _of_images(settings, file)
        return {"": samples}, {file.name: sha256}
    tables = read_tabular(file, settings.separator)
    return {part: _of_table(settings, table) for part, table in tables.items()}, {file.name: sha256_of_file(file)}


def _of_images(settings: DatasetSettings, folder: Path) -> tuple[_Samples, str]:
    """The samples, and the folder's checksum."""
    if settings.target or settings.features or settings.label is not None:
        raise DatasetError(
            f"{folder} is a folder of images, which has no columns: leave features, label and target out."
        )
    found = read_images(folder, settings.image_shape)
    names = tuple(f"pixel_{index}" for index in range(found.pixels.shape[1]))
    return _Samples(found.pixels, names, found.labels, "subfolder", found.image_shape, "none"), found.sha256


def _of_table(settings: DatasetSettings, table: Tabular) -> _Samples:
    if settings.target:
        learnt = table.expanded(settings.target, "target")
        wanted, label = table.numbers(learnt), ""
    else:
        label = settings.label or _label_of(table)
        if label not in table.columns:
            table.expanded((label,), "label")  # says what there is
            raise DatasetError(
                f"{table.path}: the label {label!r} has {len(table.parts[label])} numbers a sample. A label is one "
                "number, the class's: of one-hot rows take numpy.argmax(..., axis=1)."
            )
        wanted = np.array(values_of(table.columns[label], f"{table.path}: the label {label!r}"))
        learnt = (label,)
    names = table.expanded(settings.features or (), "features") or tuple(
        name for name in table.columns if name not in learnt
    )
    if both := [name for name in names if name in learnt]:
        raise DatasetError(
            f"{table.path}: {both[0]!r} is a feature and what is to be learnt: drop it from one of them."
        )
    if not names:
        raise DatasetError(
            f"{table.path} has no columns but {', '.join(learnt)}: there are no features. Give the inputs as further "
            "columns."
        )
    pictures = [
        table.image_shapes[name] for name, part in table.parts.items() if name in table.image_shapes and part == names
    ]
    shape = settings.image_shape or (pictures[0] if pictures else None)
    if shape is not None and shape[0] * shape[1] != len(names):
        raise DatasetError(
            f"dataset.image_shape = {list(shape)} has {shape[0] * shape[1]} pixels, but {table.path} has {len(names)} "
            "features."
        )
    return _Samples(table.numbers(names), names, wanted, label, shape, "feature" if shape is None else "all")


def _label_of(table: Tabular) -> str:
    found = [name for name in _LABELS if name in table.columns or name in table.parts]
    if len(found) == 1:
        return found[0]
    several = f"{' and '.join(found)} may all be it" if found else f"none is called {', '.join(_LABELS)}"
    known = [name for name in table.columns if not any(name in part for part in table.parts.values())]
    raise DatasetError(
        f"{table.path}: which column is the class? Name it in dataset.label (or a number to be learnt in "
        f"dataset.target): {several}. Columns: {_some(tuple([*known, *table.parts]))}."
    )


def _split(samples: _Samples, settings: DatasetSettings) -> tuple[_Samples, _Samples]:
    """A share for testing, every class in its share of it."""
    from sklearn.model_selection import train_test_split  # here: it takes a second to import

    number, strata = len(samples.features), None if settings.target else samples.wanted
    tested = round(settings.test_share * number)
    if not 1 <= tested <= number - 2:
        raise DatasetError(
            f"{settings.name} has {number} samples: of those dataset.test_share = {settings.test_share:g} leaves "
            f"{number - tested} to train on and {tested} to test."
        )
    try:
        train, test = train_test_split(np.arange(number), test_size=tested, random_state=settings.seed, stratify=strata)
    except ValueError as error:
        raise DatasetError(
            f"{settings.name} cannot be split with every class in both parts: {error} Give more samples of the rare "
            "classes, another dataset.test_share, or a dataset.test_file."
        ) from error
    return _chosen(samples, train), _chosen(samples, test)


def _chosen(samples: _Samples, rows: NDArray[np.int64]) -> _Samples:
    return replace(samples, features=samples.features[rows], wanted=samples.wanted[rows])


def _targets_of(train: _Samples, settings: DatasetSettings) -> Targets:
    low, high = train.wanted.min(axis=0), train.wanted.max(axis=0)
    given = settings.target or ()
    names = given if len(given) == len(low) else tuple(f"target_{j}" for j in range(len(low)))
    with np.errstate(over="ignore"):
        flat = ~np.isfinite(high - low) | (high - low < np.finfo(np.float64).tiny)
    for name, value in zip(np.array(names)[flat].tolist(), low[flat], strict=True):
        raise DatasetError(
            f"{settings.name}: the target {name!r} is {value:g} for every training sample, or reaches beyond all "
            "numbers: there is nothing to learn. Leave it out of dataset.target, or give samples that differ."
        )
    return Targets(tuple(names), tuple(low.tolist()), tuple(high.tolist()), settings.output_share)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
