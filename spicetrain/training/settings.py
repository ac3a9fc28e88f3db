"""What the [training] tables of all systems have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from spicetrain.registry import Registry
from spicetrain.schema import EXPLAINED, UNKNOWN_KEY, Definition, explain, parse_nested
from spicetrain.variation import TrainingVariation

Positive = Annotated[float, Field(gt=0)]


class Augmentation(Definition):
    """What is done to a training image at random.

    shift_pixels  moved by up to so much along both axes
    rotate_rad    turned by up to so much either way
    flip          every other one mirrored left to right
    """

    shift_pixels: float = Field(default=0.0, ge=0)
    rotate_rad: float = Field(default=0.0, ge=0)
    flip: bool = False

    def __bool__(self) -> bool:
        return self != Augmentation()


class LoopSettings(Definition):
    """What the epoch loop needs, and a table [training.<method>] for whatever a method brings of its own.

    epochs_before   so many were trained before, and the lines of metrics.jsonl count on from there: of a training that
                    goes on from another one's network (`spicetrain train --further`), whose lines are there
    learning_rate   the highest: it rises to it linearly over the share warm_up of all steps, then falls to zero along
                    half a cosine
    augmentation    of the training images, anew in every epoch
    steps_per_epoch minibatches after which an epoch ends (its line in metrics.jsonl, its checkpoint); 0: all images,
                    as when there are fewer
    variation       of the chips that the network is trained for, drawn anew all the time
    validation      training images kept out of training, for choices that must not see the test images
    device          "auto" takes CUDA when there is one; nobody has run that yet
    threads         of torch on the CPU; 0 leaves it to torch
    """

    model_config = ConfigDict(extra="allow")

    methods: ClassVar[Registry[Any]]

    method: str
    epochs: int = Field(default=20, ge=1)
    epochs_before: int = Field(default=0, ge=0)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: Positive = 0.05
    warm_up: float = Field(default=0.0, ge=0, lt=1)
    augmentation: Augmentation = Field(default_factory=Augmentation)
    variation: TrainingVariation = Field(default_factory=TrainingVariation)
    steps_per_epoch: int = Field(default=0, ge=0)
    validation: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    threads: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _tables_are_of_methods(self, info: ValidationInfo) -> Self:
        tables = self.model_extra or {}
        for name, table in tables.items():
            if name in self.methods and not isinstance(table, dict):
                text = f"{table!r} is no table of the method's settings"
                raise PydanticCustomError(EXPLAINED, "{text}", {"name": name, "text": text})
            if name not in self.methods:
                known = [*type(self).model_fields, *self.methods]
                raise PydanticCustomError(UNKNOWN_KEY, "unknown key", {"name": name, "known": known})
            definition = self.methods[name].settings
            try:
                own = parse_nested(definition, table, info)
            except ValidationError as error:
                text = explain(definition, error)
                raise PydanticCustomError(EXPLAINED, "{text}", {"name": name, "text": text}) from None
            tables[name] = own.model_dump(mode="json", exclude_unset=True)
        return self

    @property
    def last_epoch(self) -> int:
        """The number of the last line of metrics.jsonl."""
        return self.epochs_before + self.epochs

    @classmethod
    def further_table(cls, name: str) -> type[Definition] | None:
        return cls.methods[name].settings if name in cls.methods else None

    @property
    def tables(self) -> dict[str, Any]:
        """The methods' own tables that are given, by the method's name."""
        return dict(self.model_extra or {})

    def of(self, method: str) -> Any:
        """The settings that a method brings, as they are given or by default."""
        return self.methods[method].settings.model_validate(self.tables.get(method, {}))

    def trained_as(self) -> dict[str, Any]:
        """Everything that the trained network depends on, with the method's own settings; JSON. Of a variation only
        what varies, so that a training without one is what it was before there was any."""
        shared = self.model_dump(mode="json", include=set(type(self).model_fields) - {"device", "threads"})
        if not self.epochs_before:
            del shared["epochs_before"]
        if self.variation == TrainingVariation():
            del shared["variation"]
        else:
            shared["variation"] = self.variation.trained_as()
        own = self.of(self.method).model_dump(mode="json")
        return shared | ({self.method: own} if own else {})


class NoSettings(Definition):
    """Of a method that brings none."""
