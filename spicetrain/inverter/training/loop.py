"""A network of the inverter system, trained."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spicetrain.array.layered import shape_text
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings, training_of_today
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.conditions import (
    ConditionDraws,
    FittedCondition,
    require_fitted,
    training_conditions,
)
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.goal import Goal, goal_of
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.newton import tolerance_on
from spicetrain.inverter.training.variation import TrainingDraws, training_statistics
from spicetrain.inverter.training.voltages import Convergence, Simulate
from spicetrain.technology import Technology
from spicetrain.training.checkpoint import Identity
from spicetrain.training.common import Part, device_of, parts_of, require_dataset
from spicetrain.training.loop import Task, train_epochs

_JUDGED = 500  # images under every condition after an epoch: of twenty conditions they cost what all test images do


def train(
    shape: NetworkSettings,
    settings: TrainingSettings,
    dataset: Dataset,
    technology: Technology,
    surrogates: Surrogates,
    folder: Path,
    *,
    simulate: Simulate | None = None,
    fitted: Sequence[FittedCondition] = (),
) -> Network:
    """Train a network on `dataset`; the network as it is programmed, conductances in siemens.

    folder    gets metrics.jsonl and checkpoint.safetensors, see `train_epochs`
    simulate  what solves the forward passes with settings.forward "spice"; the accuracies are kcl's all the same
    fitted    of what `training_conditions` says, in its order; a line of metrics.jsonl then has conditions_mean and
              conditions_min besides, accuracies on the first 500 images kept out, of the test where there are none

    Raises ArchitectureMismatch (dataset, checkpoint or `initial` of another shape), ConfigurationError (no CUDA, more
    validation images than there are, a load that ERIM's largest inverter does not carry when sizes are settled, what
    `training_conditions` refuses), StorageError (folder), and what `simulate` raises.
    """
    require_fit(shape, settings, dataset)
    require_fitted(training_conditions(settings, technology), fitted)
    if settings.forward == "spice" and simulate is None:
        raise ConfigurationError(
            "training.forward = 'spice', but train() was given nothing to simulate with: it starts no process itself. "
            "Give it simulate=, as verification.spice_forward makes one, or call Run.train, which does."
        )
    device = device_of(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    circuit = FittedCircuit(technology, surrogates, torch.float32, device, tolerance_on(device))
    model = TrainableNetwork(shape, settings, circuit, [one.circuit(circuit.dtype, device) for one in fitted])
    model.rank_rows(dataset.train_inputs)
    initial = None if settings.initial is None else Network.load(settings.initial)
    if initial is not None:
        model.assign(initial, str(settings.initial))
    parts = parts_of(dataset, settings.validation, device)
    identity = _identity(shape, settings, dataset, circuit, initial, fitted)
    data = parts.pop("train")
    goal = goal_of(dataset, technology.rails, settings.logit(technology.rails))
    task = InverterTask(model, settings, parts, identity, goal, simulate if settings.forward == "spice" else None)
    train_epochs(task, settings, data, dataset.image_shape, folder)
    task.set_sizes(settings.epochs)
    return model.network(identity.values)


class InverterTask(Task):
    """What the goal says of the output voltages, the power of the rails in the loss where it is asked for."""

    def __init__(
        self,
        model: TrainableNetwork,
        settings: TrainingSettings,
        parts: dict[str, Part],
        identity: Identity,
        goal: Goal,
        simulate: Simulate | None,
    ) -> None:
        self.model: TrainableNetwork = model
        self.goal = goal
        self.settings, self.parts, self.identity, self.simulate = settings, parts, identity, simulate
        solved_by = settings.method if simulate is None else f"{settings.method}, ngspice"
        self.title = f"train {shape_text(model.settings.layers)} {solved_by}"
        varying = training_statistics(settings, model.circuit.technology)
        self.chips = TrainingDraws(model.circuit.technology, varying) if varying else None
        self.draws: TrainingDraws | None = None
        others, asked = len(model.circuits) - 1, settings.conditions
        self.conditions = ConditionDraws(others, asked.nominal_share) if others else None
        self.under: ConditionDraws | None = None

    def begin(self, epoch: int) -> None:
        self.trained, self.judged, self.last = Convergence(), Convergence(), Convergence()
        self.simulating_s = 0.0
        self.draws = self.chips if epoch >= self.settings.variation.after_epochs else None
        self.under = self.conditions if epoch >= self.settings.conditions.after_epochs else None
        self.set_sizes(epoch)
        self.model.correct_wires()

    def set_sizes(self, done: int) -> None:
        """Before the next epoch: sizes change in the first half, and are then whole and kept."""
        settled = (self.settings.epochs + 1) // 2
        if done <= settled:
            self.model.size_for_loads()
        if done == settled:
            self.model.require_carried()
        if done >= settled:
            self.model.settle_sizes()

    def loss(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        if self.under is None:
            return self._loss(images, labels, random, 0)
        parts = self.settings.conditions.per_minibatch
        shares = zip(images.chunk(parts), labels.chunk(parts), strict=True)
        losses = [len(x) * self._loss(x, y, random, self.under.draw(random)) for x, y in shares]
        return torch.stack(losses).sum() / len(images)

    def _loss(self, images: Tensor, labels: Tensor, random: torch.Generator, under: int) -> Tensor:
        """Under one of the model's circuits."""
        given = None
        if self.simulate is not None:
            began = time.perf_counter()
            given = self.simulate(self.model.network(self.identity.values), images.cpu().numpy())
            self.simulating_s += time.perf_counter() - began
        drawn = None if self.draws is None else (self.draws, random)
        prediction = self.model.voltages(images, given, drawn, under)
        self.trained = self.trained + prediction.convergence
        loss = self.goal.loss(prediction.outputs, labels)
        if self.settings.power_weight_per_W:
            loss = loss + self.settings.power_weight_per_W * self.model.rail_power(prediction.layers, under).mean()
        return loss

    def stepped(self, epoch: int) -> None:
        self.model.project_sizes()

    def shown(self) -> dict[str, object]:
        return {"residual": f"{self.trained.read().step_V:.1e} V"}

    @torch.no_grad()
    def accuracies(self) -> dict[str, float]:
        found = {
            f"{figure}_{name}": value
            for name, part in self.parts.items()
            for figure, value in self._score(*part).items()
        }
        if self.conditions is None:
            return found
        inputs, labels = self.parts.get("validation", self.parts["test"])
        few = inputs[:_JUDGED], labels[:_JUDGED]
        shares = [next(iter(self._score(*few, under).values())) for under in range(1, len(self.model.circuits))]
        return found | {"conditions_mean": sum(shares) / len(shares), "conditions_min": min(shares)}

    def _score(self, inputs: Tensor, labels: Tensor, under: int = 0) -> dict[str, float]:
        outputs = []
        for x in inputs.split(500):
            prediction = self.model.voltages(x, under=under)
            self.judged = self.judged + prediction.convergence
            outputs.append(prediction.outputs)
        return self.goal.score(torch.cat(outputs).cpu().numpy(), labels.cpu().numpy())

    def line(self) -> dict[str, Any]:
        trained = self.trained.read()
        return {
            "solver_step_V": trained.step_V,
            "solver_iterations": trained.iterations,
            "solver_unconverged": trained.unconverged,
            **({"inverters_overloaded": self.model.overloaded()} if self.settings.sizing == "erim" else {}),
            "extrapolated": dict(self.model.extrapolation().count),
            "seconds_simulation": self.simulating_s,
        }

    def finish(self, line: dict[str, Any]) -> None:
        line["solver_unconverged"] += self.judged.read().unconverged
        if not math.isfinite(line["loss"]):
            raise ConfigurationError(
                f"The loss is {line['loss']} after epoch {line['epoch']}. Likely: training.learning_rate is too high, "
                "or training.logit_V too low. The checkpoint of the epoch before is kept."
            )


def _identity(
    shape: NetworkSettings,
    settings: TrainingSettings,
    dataset: Dataset,
    circuit: FittedCircuit,
    initial: Network | None,
    fitted: Sequence[FittedCondition],
) -> Identity:
    """What must be the same for a checkpoint to go on; a longer training is another one, for the schedule's sake."""
    values = {
        "system": "inverter",
        "dataset": dataset.name,
        "technology": circuit.technology.name,
        "technology_fingerprint": circuit.technology.fingerprint,
        "surrogates": circuit.surrogates.fingerprint,
        **shape.model_dump(mode="json"),
        **settings.trained_as(),
        "initial": None if initial is None else initial.fingerprint,  # wherever it lies
    }
    if dataset.own or dataset.targets is not None:  # what is published stays as it is
        values["dataset_fingerprint"] = dataset.fingerprint
    if fitted:
        values["conditions_surrogates"] = {one.condition.name: one.surrogates.fingerprint for one in fitted}
    defaults = TrainingSettings(method=settings.method).trained_as() | {"bias_pairs": 1}
    return Identity(values, defaults, training_of_today)


def require_fit(shape: NetworkSettings, settings: TrainingSettings, dataset: Dataset) -> None:
    """ArchitectureMismatch or ConfigurationError when the dataset cannot be learnt with these settings."""
    require_dataset(shape.layers, settings.augmentation, settings.validation, dataset)
    device_of(settings.device)
    if METHODS[settings.method].ratios and (settings.sizing != "fixed" or settings.power_weight_per_W):
        able = ", ".join(name for name in METHODS if not METHODS[name].ratios)
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
