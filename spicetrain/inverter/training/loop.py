"""The training loop, read once from top to bottom."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spicetrain.array.layered import shape_text
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.methods import METHODS
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.settings import NetworkSettings, TrainingSettings
from spicetrain.inverter.training.stage import Effort
from spicetrain.inverter.training.voltages import Simulate
from spicetrain.progress import track
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
    shape: NetworkSettings,
    settings: TrainingSettings,
    dataset: Dataset,
    technology: Technology,
    surrogates: Surrogates,
    folder: Path,
    simulate: Simulate | None = None,
) -> Network:
    """Train a network on `dataset`; the network as it is programmed, conductances in siemens.

    folder    gets metrics.jsonl (a line an epoch) and checkpoint.safetensors, from which a later call goes on.
    simulate  what solves the forward passes with settings.forward "spice"; the accuracies are kcl's all the same

    Raises ArchitectureMismatch (dataset, checkpoint or `initial` of another shape), ConfigurationError (no CUDA, more
    validation images than there are), StorageError (folder), and what `simulate` raises. An interrupt loses the epoch
    it falls into, no more.
    """
    require_fit(shape, settings, dataset)
    if settings.forward == "spice" and simulate is None:
        raise ConfigurationError(
            "training.forward = 'spice', but train() was given nothing to simulate with: it starts no process itself. "
            "Give it simulate=, as verification.spice_forward makes one, or call Run.train, which does."
        )
    device = device_of(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    circuit = Circuit(technology, surrogates, torch.float32, device, phax_load_S=settings.phax_load_S)
    model = TrainableNetwork(shape, settings.method, circuit, settings.seed, settings.sizing)
    initial = None if settings.initial is None else Network.load(settings.initial)
    if initial is not None:
        model.assign(initial, str(settings.initial))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)

    parts = parts_of(dataset, settings.validation, device)
    inputs, labels = parts["train"]
    batches = _batches(len(inputs), settings)
    identity = _identity(shape, settings, dataset, technology, surrogates, initial)
    checkpoint, metrics = folder / "checkpoint.safetensors", folder / "metrics.jsonl"
    done = resume(checkpoint, model, optimizer, identity)
    keep_lines(metrics, done)

    with track(_title(shape, settings), settings.epochs * batches, "steps") as bar:
        bar.advance(done * batches)
        for epoch in range(done, settings.epochs):
            started, circuit.effort = time.perf_counter(), Effort()
            loss_sum, simulating_s = torch.zeros((), device=device), 0.0
            if 2 * epoch >= settings.epochs:
                model.settle_sizes()
            else:
                model.size_for_loads()
            random = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
            order = torch.randperm(len(inputs), generator=random)
            order = order[: batches * settings.batch_size].to(device)
            for step, chosen in enumerate(order.split(settings.batch_size)):
                for group in optimizer.param_groups:
                    progress = (epoch * batches + step) / (settings.epochs * batches)
                    group["lr"] = settings.learning_rate * half_cosine(progress)
                images = augmented(inputs[chosen], dataset.image_shape, settings.augmentation, random)
                given = None
                if settings.forward == "spice" and simulate is not None:
                    began = time.perf_counter()
                    given = simulate(model.network(identity), images.cpu().numpy())
                    simulating_s += time.perf_counter() - began
                layers = model.voltages(images, given)
                loss = cross_entropy((layers[-1].v_n - technology.rails.mid_V) / settings.logit_V, labels[chosen])
                if settings.power_weight_per_W:
                    loss = loss + settings.power_weight_per_W * model.rail_power(layers).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                model.keep_sizes_possible()
                loss_sum += loss.detach() * len(chosen)
                bar.advance(loss=loss.item(), residual=f"{circuit.effort.step_V:.1e} V")
            training_effort, circuit.effort = circuit.effort, Effort()
            accuracies = {
                f"accuracy_{name}": _accuracy(model, *part) for name, part in parts.items() if name != "train"
            }
            line = {
                "epoch": epoch + 1,
                "loss": float(loss_sum) / len(order),
                **accuracies,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "solver_step_V": training_effort.step_V,
                "solver_iterations": training_effort.iterations,
                "solver_unconverged": training_effort.unconverged + circuit.effort.unconverged,
                "seconds_simulation": simulating_s,
                "seconds": time.perf_counter() - started,
            }
            _require_finite(line)
            append_line(metrics, line)  # first: a line that the checkpoint does not know is dropped at the next start
            save_checkpoint(checkpoint, model, optimizer, epoch + 1, identity)
            bar.update(**{name: f"{value:.2%}" for name, value in accuracies.items()})
    return model.network(identity)


def _require_finite(line: dict[str, Any]) -> None:
    if not math.isfinite(line["loss"]):
        raise ConfigurationError(
            f"The loss is {line['loss']} after epoch {line['epoch']}. Likely: training.learning_rate is too high, or "
            "training.logit_V too low. The checkpoint of the epoch before is kept."
        )


@torch.no_grad()
def _accuracy(model: TrainableNetwork, inputs: Tensor, labels: Tensor) -> float:
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in zip(inputs.split(500), labels.split(500), strict=True))
    return right / len(inputs)


def _batches(images: int, settings: TrainingSettings) -> int:
    """Minibatches an epoch."""
    whole = -(-images // settings.batch_size)
    return min(whole, settings.steps_per_epoch) or whole


def _title(shape: NetworkSettings, settings: TrainingSettings) -> str:
    solved_by = settings.method if settings.forward == "model" else f"{settings.method}, ngspice"
    return f"train {shape_text(shape.layers)} {solved_by}"


def _identity(
    shape: NetworkSettings,
    settings: TrainingSettings,
    dataset: Dataset,
    technology: Technology,
    surrogates: Surrogates,
    initial: Network | None,
) -> dict[str, Any]:
    """What must be the same for a checkpoint to go on; a longer training is another one, for the schedule's sake."""
    return {
        "system": "inverter",
        "dataset": dataset.name,
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "surrogates": surrogates.fingerprint,
        **shape.model_dump(mode="json"),
        **settings.model_dump(mode="json", exclude={"device", "threads"}),
        "initial": None if initial is None else initial.fingerprint,  # wherever it lies
    }


def require_fit(shape: NetworkSettings, settings: TrainingSettings, dataset: Dataset) -> None:
    """ArchitectureMismatch or ConfigurationError when the dataset cannot be learnt with these settings."""
    require_dataset(shape.layers, settings.augmentation, settings.validation, dataset)
    if METHODS[settings.method].ratios and (settings.sizing != "fixed" or settings.power_weight_per_W):
        able = ", ".join(name for name, method in METHODS.items() if not method.ratios)
        raise ConfigurationError(
            f"training.sizing = {settings.sizing!r}, power_weight_per_W = {settings.power_weight_per_W:g}: the method "
            f"{settings.method!r} sees neither load nor power. Methods that do: {able}."
        )
    if settings.forward == "spice" and settings.method != "kcl":
        raise ConfigurationError(
            f"training.forward = 'spice' needs training.method = 'kcl', not {settings.method!r}: the backward pass is "
            f"kcl's, in absolute conductances. To go on from a network that {settings.method} trained, give method "
            "'kcl' and name that network.safetensors in training.initial (--initial), in a run folder of its own."
        )
