"""The training loop of every system, read once from top to bottom; what a step is, a task says."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spicetrain.progress import track
from spicetrain.runfolder import CHECKPOINT, METRICS
from spicetrain.training.augmentation import augmented
from spicetrain.training.checkpoint import Identity, resume, save_checkpoint
from spicetrain.training.common import Part, append_line, half_cosine, keep_lines
from spicetrain.training.settings import LoopSettings

_STEPS_UNREAD = 50


class Task(ABC):
    """What a system trains: its model, the loss of a minibatch, how right it is about a part of the data.

    title     for the progress bar
    identity  what must be the same for a checkpoint to go on
    """

    model: nn.Module
    title: str
    identity: Identity

    def begin(self, epoch: int) -> None:
        """Before an epoch."""

    @abstractmethod
    def loss(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        """Of a minibatch, images [samples, rows] in 0..1; `random` is on the CPU, the epoch's."""

    def stepped(self, epoch: int) -> None:
        """After a step of the optimizer."""

    def shown(self) -> dict[str, object]:
        """What is shown behind the bar besides the loss."""
        return {}

    @abstractmethod
    def accuracies(self) -> dict[str, float]:
        """Of the parts that are not trained on, by name: accuracy_test, accuracy_validation; or other figures, of a
        regression r2_test and rms_test."""

    def line(self) -> dict[str, Any]:
        """What the epoch's line of metrics.jsonl says besides."""
        return {}

    def finish(self, line: dict[str, Any]) -> None:
        """At the end of an epoch, before anything is written: ConfigurationError when it cannot go on."""


def train_epochs(
    task: Task, settings: LoopSettings, data: Part, image_shape: tuple[int, int] | None, folder: Path
) -> None:
    """Train the task's model on `data`, inputs [samples, rows] and labels, with Adam.

    folder  gets metrics.jsonl (a line an epoch) and checkpoint.safetensors, from which a later call goes on

    Raises ArchitectureMismatch (a checkpoint of another training), StorageError (folder), and what the task raises. An
    interrupt loses the epoch it falls into, no more.
    """
    inputs, labels = data
    device, batches, show_every = inputs.device, batches_of(len(inputs), settings), steps_unread(inputs.device)
    optimizer = torch.optim.Adam(task.model.parameters(), lr=settings.learning_rate, fused=True)
    checkpoint, metrics = folder / CHECKPOINT, folder / METRICS
    done = resume(checkpoint, task.model, optimizer, task.identity)
    before = settings.epochs_before
    keep_lines(metrics, before + done, settings.last_epoch)

    with track(task.title, settings.epochs * batches, "steps") as bar:
        bar.advance(done * batches)
        for epoch in range(done, settings.epochs):
            bar.update(epoch=f"{before + epoch + 1}/{settings.last_epoch}")
            started, loss_sum = time.perf_counter(), torch.zeros((), device=device)
            task.begin(epoch)
            random = torch.Generator().manual_seed(settings.seed * 100_003 + before + epoch)
            order = torch.randperm(len(inputs), generator=random)[: batches * settings.batch_size].to(device)
            for step, chosen in enumerate(order.split(settings.batch_size)):
                progress = (epoch * batches + step) / (settings.epochs * batches)
                for group in optimizer.param_groups:
                    group["lr"] = settings.learning_rate * share_of_rate(progress, settings.warm_up)
                images = augmented(inputs[chosen], image_shape, settings.augmentation, random)
                loss = task.loss(images, labels[chosen], random)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                task.stepped(epoch)
                loss_sum += loss.detach() * len(chosen)
                bar.advance(1, **({"loss": loss.item(), **task.shown()} if step % show_every == 0 else {}))
            figures = task.line()
            accuracies = task.accuracies()
            line = {
                "epoch": before + epoch + 1,
                "loss": float(loss_sum) / len(order),
                **accuracies,
                "learning_rate": optimizer.param_groups[0]["lr"],
                **figures,
                "seconds": time.perf_counter() - started,
            }
            task.finish(line)
            append_line(metrics, line)  # first: a line that the checkpoint does not know is dropped at the next start
            save_checkpoint(checkpoint, task.model, optimizer, epoch + 1, task.identity.values)
            bar.update(**{name: _shown(name, value) for name, value in accuracies.items()})


def _shown(figure: str, value: float) -> str:
    return f"{value:.4g}" if figure.startswith(("r2", "rms")) else f"{value:.2%}"


def steps_unread(device: torch.device) -> int:
    """Steps between two that show how far they are: what a GPU has not done yet would be waited for."""
    return 1 if device.type == "cpu" else _STEPS_UNREAD


def batches_of(images: int, settings: LoopSettings) -> int:
    """Minibatches an epoch."""
    whole = -(-images // settings.batch_size)
    return min(whole, settings.steps_per_epoch) or whole


def share_of_rate(progress: float, warm_up: float) -> float:
    """Of the learning rate: up a straight line from zero, down half a cosine to zero."""
    return progress / warm_up if progress < warm_up else half_cosine((progress - warm_up) / (1 - warm_up))
