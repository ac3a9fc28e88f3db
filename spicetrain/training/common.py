"""What the training loops of all systems have in common: data, learning rate, metrics.jsonl."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.layered import shape_text
from spicetrain.datasets import Dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, DomainError, StorageError
from spicetrain.storage import storage_errors, write_atomic
from spicetrain.training.held_out import held_out
from spicetrain.training.settings import Augmentation

Part = tuple[Tensor, Tensor]


def require_dataset(layers: tuple[int, ...], augmentation: Augmentation, validation: int, dataset: Dataset) -> None:
    """ArchitectureMismatch or ConfigurationError when the dataset has other inputs and classes than the network, no
    images to augment, or too few samples."""
    rows, classes = dataset.train_inputs.shape[1], len(dataset.outputs)
    if (layers[0], layers[-1]) != (rows, classes):
        what = "classes" if dataset.targets is None else f"targets ({', '.join(dataset.outputs)})"
        raise ArchitectureMismatch(
            f"network.layers = {shape_text(layers)}, but {dataset.name} has {rows} inputs and {classes} {what}: "
            f"begin with {rows} and end with {classes}, in a TOML [network] layers = "
            f"{[rows, *(layers[1:-1] or (10,)), classes]}."
        )
    if augmentation and dataset.image_shape is None:
        raise ConfigurationError(
            f"training.augmentation moves, turns or mirrors images, and {dataset.name} has none. Leave it out."
        )
    if validation > len(dataset.train_inputs) - classes:
        raise ConfigurationError(
            f"training.validation = {validation} leaves nothing to train on: {dataset.name} has "
            f"{len(dataset.train_inputs)} training images."
        )


def parts_of(dataset: Dataset, validation: int, device: torch.device) -> dict[str, Part]:
    """Inputs and labels to train on, to validate on (if any are kept out), and to test on; of a regression, in place of
    labels, targets as shares of half the swing."""
    targets = dataset.targets
    inputs, labels, test = dataset.train_inputs, dataset.train_labels, dataset.test_labels
    if targets is not None:
        labels, test = targets.to_share(labels), targets.to_share(test)
    parts = {"test": (dataset.test_inputs, test), "train": (inputs, labels)}
    if validation:
        shown, kept = held_out(dataset, validation)
        parts |= {"train": (inputs[shown], labels[shown]), "validation": (inputs[kept], labels[kept])}
    return {name: (torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for name, (x, y) in parts.items()}


def device_of(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means here; ConfigurationError when there is no CUDA device."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("training.device = 'cuda', but torch sees no CUDA device. Use 'auto' or 'cpu'.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def at_most_threads(most: int) -> Iterator[None]:
    """No more than so many threads of torch: as many workers, each on all cores, would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, most))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def half_cosine(progress: float) -> float:
    """1 at progress 0, 0 at 1: the share of the learning rate."""
    return 0.5 * (1 + float(np.cos(np.pi * progress)))


def require_unit_inputs(inputs: NDArray, else_: str) -> None:
    """DomainError when an input is not in 0..1; `else_`: what such an input would do."""
    x = np.asarray(inputs)
    outside = ~((x >= 0) & (x <= 1))  # also what is not a number
    if outside.any():
        raise DomainError(
            f"An input is {x[outside][0]:.6g} ({int(outside.sum())} of {x.size} values), outside 0 .. 1: {else_}. "
            "Likely grey values 0 .. 255 (divide by 255) or standardized features: scale them to 0 .. 1 with the "
            "training samples' range."
        )


def append_line(path: Path, line: dict[str, Any]) -> None:
    """One more line of metrics.jsonl, on the disk before the checkpoint that knows it."""
    with storage_errors(path), path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def keep_lines(path: Path, done: int, epochs: int) -> None:
    """Leave in metrics.jsonl one line for each of the `done` epochs of `epochs` that the checkpoint knows, in order.

    Of an epoch that is there twice the later line stays. StorageError when one is missing and there is more to train;
    what a finished training has is then left as it is.
    """
    before = path.read_bytes() if path.exists() else b""
    lines = {_epoch_of(line): line for line in before.splitlines(keepends=True)}
    missing = [epoch for epoch in range(1, done + 1) if epoch not in lines]
    if missing and done < epochs:
        raise StorageError(
            f"{path} has no line of epoch {missing[0]}, and the checkpoint beside it knows {done} epochs. It was "
            "removed, edited or cut short: restore it, or remove the checkpoint too, to train from the start."
        )
    kept = before if missing else b"".join(lines[epoch] for epoch in range(1, done + 1))
    if kept != before or not path.exists():
        with write_atomic(path) as temporary:
            temporary.write_bytes(kept)


def _epoch_of(line: bytes) -> int | None:
    """None of what is no whole line."""
    try:
        epoch = json.loads(line)["epoch"] if line.endswith(b"\n") else None
    except (ValueError, TypeError, KeyError):
        return None
    return epoch if type(epoch) is int else None
