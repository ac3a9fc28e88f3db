"""The [dataset] table: a dataset by name, or a file or folder of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from spicetrain.datasets import DATASETS, Dataset, load_dataset
from spicetrain.errors import nearest
from spicetrain.schema import Definition

Task = Literal["classification", "regression"]
_OWN = ("test_file", "features", "label", "target", "classes", "scaling", "separator")


class DatasetSettings(Definition):
    """A dataset by `name`, or one of one's own by `file`.

    file          .csv, .npz, .parquet, or a folder of images with a subfolder a class; the settings below are its
    name          mnist, fashion-mnist, iris, breast-cancer, digits, wine, sobel, inversek2j, blackscholes; beside
                  `file` a name of one's own, by default the file's
    folder        of mnist and fashion-mnist: where <name>/*.gz lie, None: the usual places, else downloaded
    test_file     a second file of test samples, of the same columns; None: a share of `file`, every class in its share
    test_share, seed  of that split
    features      columns that are the inputs; None: all that are neither label nor target
    label         the column of the class; None: the one that is called label, class, target or y
    target        columns of the numbers to be learnt, in place of a class: a regression
    task          None: a regression where there is a target
    classes       values of the label in the order of the outputs; or, where the label counts from 0, their names
    scaling       to 0..1 by the range of the training samples: of each "feature", or one of "all"; "none": they are in
                  0..1. None: "feature", of images "none" (grey values over 255)
    beyond        test values beyond the training range: "clip" them to it, with a word about it; or "refuse" them
    image_shape   rows and columns of pixels, where the features are an image; of a folder: the size to bring all to
    separator     of a .csv
    train_images, test_images  the first so many samples of each part; None: all
    output_share  of the rails' swing, about their middle, that the range of the training targets takes
    """

    file: Path | None = None
    name: str = "mnist"
    folder: Path | None = None
    test_file: Path | None = None
    test_share: float = Field(default=0.2, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    features: tuple[str, ...] | None = None
    label: str | None = None
    target: tuple[str, ...] | None = None
    task: Task | None = None
    classes: tuple[str, ...] | None = None
    scaling: Literal["feature", "all", "none"] | None = None
    beyond: Literal["clip", "refuse"] = "clip"
    image_shape: tuple[int, int] | None = None
    separator: str = Field(default=",", min_length=1, max_length=1)
    train_images: int | None = Field(default=None, ge=10)
    test_images: int | None = Field(default=None, ge=1)
    output_share: float = Field(default=0.8, gt=0, lt=1)

    @field_validator("target", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else value

    @field_validator("name")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("file") is None and name not in DATASETS:
            raise ValueError(
                f"unknown dataset.{nearest(name, DATASETS)} A dataset of your own is named by dataset.file"
            )
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.file is None:
            given = [name for name in _OWN if name in self.model_fields_set and getattr(self, name) != _default(name)]
            if given:
                raise ValueError(f"{', '.join(given)}: of a file of your own, but dataset.file is not given")
            return self
        if self.name in DATASETS:  # not given, or of the dataset that a flag replaces
            object.__setattr__(self, "name", self.file.stem or "own")
        if self.folder is not None:
            raise ValueError("folder: of mnist and fashion-mnist, but dataset.file is given. Leave one of them out")
        if self.target and self.label is not None:
            raise ValueError("label and target are both given: a class is learnt, or numbers. Leave one of them out")
        if self.task == "regression" and not self.target:
            raise ValueError("task = 'regression' needs the column that is learnt: give dataset.target")
        if self.task == "classification" and self.target:
            raise ValueError("task = 'classification' has no target: name the column of the class in dataset.label")
        if self.target and self.classes:
            raise ValueError("classes are given, but a target is learnt, which has none. Leave one of them out")
        for name in ("features", "target", "classes"):
            values = getattr(self, name) or ()
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one of them twice: {', '.join(values)}")
        if self.image_shape is not None and min(self.image_shape) < 1:
            raise ValueError(f"image_shape = {list(self.image_shape)}: rows and columns are at least 1")
        return self

    def load(self) -> Dataset:
        """DatasetError when it cannot be had, or cannot be learnt."""
        return self._loaded().first(self.train_images, self.test_images)

    def _loaded(self) -> Dataset:
        if self.file is not None:
            from spicetrain.datasets.own import load_own  # here: pandas takes half a second to import

            return load_own(self)
        dataset = load_dataset(self.name, self.folder)
        if dataset.targets is None:
            return dataset
        return replace(dataset, targets=replace(dataset.targets, share=self.output_share))

    def seen_from(self, base: Path) -> Self:
        """The same, with its relative paths taken from `base`."""
        paths = {name: getattr(self, name) for name in ("file", "folder", "test_file")}
        return self.model_copy(
            update={name: base / path.expanduser() for name, path in paths.items() if path is not None}
        )


def _default(name: str) -> Any:
    return DatasetSettings.model_fields[name].default
