"""The training loop of spiking networks, read once from top to bottom."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spicetrain.array.layered import shape_text
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.progress import track
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.calibrate import calibrated
from spicetrain.spiking.training.encoding import encode, training_spikes
from spicetrain.spiking.training.model import TrainableSpikingNetwork
from spicetrain.spiking.training.settings import SpikingNetworkSettings, SpikingTrainingSettings
from spicetrain.spiking.training.view import Beyond, View
from spicetrain.technology import Technology
from spicetrain.training.augmentation import augmented
from spicetrain.training.checkpoint import resume, save_checkpoint
from spicetrain.training.common import (
    append_line,
    device_of,
    half_cosine,
    keep_lines,
    parts_of,
    require_dataset,
)


def train(
    shape: SpikingNetworkSettings,
    settings: SpikingTrainingSettings,
    dataset: Dataset,
    technology: Technology,
    circuit: SpikingCircuit,
    laws: SpikingLaws,
    folder: Path,
) -> SpikingNetwork:
    """Train a spiking network on `dataset`; the network as it is programmed, siemens and threshold supplies.

    folder  gets metrics.jsonl (a line an epoch) and checkpoint.safetensors, from which a later call goes on.

    Raises ArchitectureMismatch (dataset or checkpoint of another shape), ConfigurationError (see require_spiking_fit;
    no CUDA), StorageError (folder). An interrupt loses the epoch it falls into, no more.
    """
    require_spiking_fit(shape, settings, dataset, circuit, technology)
    device = device_of(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    view = View(circuit, laws, torch.float32, settings.surrogate_slope, device=device)
    model = TrainableSpikingNetwork(shape, settings, circuit, technology.memristor, view)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)

    parts = parts_of(dataset, settings.validation, device)
    inputs, labels = parts.pop("train")
    shown = {
        name: (torch.from_numpy(encode(x.cpu().numpy(), shape, shape.encoder_seed)), y)
        for name, (x, y) in parts.items()
    }
    batches = -(-len(inputs) // settings.batch_size)
    identity = _identity(shape, settings, dataset, technology, circuit, laws)
    checkpoint, metrics = folder / "checkpoint.safetensors", folder / "metrics.jsonl"
    done = resume(checkpoint, model, optimizer, identity)
    keep_lines(metrics, done)

    with track(f"train {shape_text(shape.layers)} {settings.method}", settings.epochs * batches, "steps") as bar:
        bar.advance(done * batches)
        for epoch in range(done, settings.epochs):
            started, view.beyond = time.perf_counter(), Beyond()
            loss_sum, spiked = torch.zeros((), device=device), torch.zeros(len(model.layers), device=device)
            random = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
            order = torch.randperm(len(inputs), generator=random).to(device)
            for step, chosen in enumerate(order.split(settings.batch_size)):
                for group in optimizer.param_groups:
                    progress = (epoch * batches + step) / (settings.epochs * batches)
                    group["lr"] = settings.learning_rate * _share_of_rate(progress, settings.warm_up)
                images = augmented(inputs[chosen], dataset.image_shape, settings.augmentation, random)
                layers = model(training_spikes(images, shape, random))
                loss = cross_entropy(settings.rate_logit * layers[-1].mean(0), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                _require_finite(model, epoch)
                model.keep_possible()
                loss_sum += loss.detach() * len(chosen)
                spiked += torch.stack([spikes.detach().mean() for spikes in layers]) * len(chosen)
                bar.advance(loss=loss.item())
            accuracies = {f"accuracy_{name}": _accuracy(model, *part) for name, part in shown.items()}
            line = {
                "epoch": epoch + 1,
                "loss": float(loss_sum) / len(order),
                **accuracies,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "spike_rates": (spiked / len(order)).tolist(),
                "beyond_laws": view.beyond.count,
                "seconds": time.perf_counter() - started,
            }
            append_line(metrics, line)  # first: a line that the checkpoint does not know is dropped at the next start
            save_checkpoint(checkpoint, model, optimizer, epoch + 1, identity)
            bar.update(**{name: f"{value:.2%}" for name, value in accuracies.items()})
    network = model.network(identity)
    if settings.method == "circuit" or not settings.calibration_images:
        return network
    some = inputs[: settings.calibration_images].cpu().numpy()
    return calibrated(network, encode(some, shape, shape.encoder_seed + 1), circuit, laws)


@torch.no_grad()
def _accuracy(model: TrainableSpikingNetwork, spikes: Tensor, labels: Tensor) -> float:
    """On spikes [images, steps, rows], bool: the class with the most output spikes, of several the first."""
    right = 0
    for some, classes in zip(spikes.split(500), labels.split(500), strict=True):
        outputs = model(some.to(labels.device).transpose(0, 1).float())[-1]
        right += int((outputs.sum(0).argmax(1) == classes).sum())
    return right / len(spikes)


def _require_finite(model: TrainableSpikingNetwork, epoch: int) -> None:
    """The loss does not tell: a neuron whose membrane is no number does not spike."""
    if not all(bool(synapses.isfinite().all()) for synapses in model.parameters()):
        raise ConfigurationError(
            f"A weight is not a number in epoch {epoch + 1}. Likely: training.learning_rate is too high. The "
            "checkpoint of the epoch before is kept."
        )


def _share_of_rate(progress: float, warm_up: float) -> float:
    """Up a straight line from zero, down half a cosine to zero."""
    return progress / warm_up if progress < warm_up else half_cosine((progress - warm_up) / (1 - warm_up))


def _identity(
    shape: SpikingNetworkSettings,
    settings: SpikingTrainingSettings,
    dataset: Dataset,
    technology: Technology,
    circuit: SpikingCircuit,
    laws: SpikingLaws,
) -> dict[str, Any]:
    """What must be the same for a checkpoint to go on; a longer training is another one, for the schedule's sake."""
    return {
        "system": "spiking",
        "dataset": dataset.name,
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "circuit": circuit.name,
        "circuit_fingerprint": circuit.fingerprint,
        "surrogates": laws.fingerprint,
        **shape.model_dump(mode="json"),
        **settings.model_dump(mode="json", exclude={"device", "threads"}),
    }


def require_spiking_fit(
    shape: SpikingNetworkSettings,
    settings: SpikingTrainingSettings,
    dataset: Dataset,
    circuit: SpikingCircuit,
    technology: Technology,
) -> None:
    """ArchitectureMismatch or ConfigurationError when the dataset cannot be learnt with these settings, or the circuit
    cannot spike within the time steps of an image."""
    require_dataset(shape.layers, settings.augmentation, settings.validation, dataset)
    left = len(dataset.train_inputs) - settings.validation
    if settings.method == "regular" and settings.calibration_images > left:
        raise ConfigurationError(
            f"training.calibration_images = {settings.calibration_images}, but only {left} training images are there."
        )
    circuit.require_chargeable(shape.layers, shape.steps, technology.memristor)
