"""A spiking network, trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn.functional import cosine_similarity, cross_entropy

from spicetrain.array.layered import shape_text
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.spiking.chip import COMMON_SHIFT, NOMINAL, ChipLaw, access_sigmas, neuron_sigmas
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingNetworkSettings, SpikingTrainingSettings, training_of_today
from spicetrain.spiking.methods import METHODS
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.drawn import TrainingChips
from spicetrain.spiking.training.encoding import encode, require_encoder, training_spikes
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.model import TrainableSpikingNetwork
from spicetrain.spiking.training.readout import scores
from spicetrain.surrogates.extrapolation import NONE
from spicetrain.technology import Technology
from spicetrain.training.checkpoint import Identity
from spicetrain.training.common import Part, device_of, parts_of, require_dataset
from spicetrain.training.loop import Task, train_epochs
from spicetrain.variation import TrainingVariation, statistics_of


def train(
    shape: SpikingNetworkSettings,
    settings: SpikingTrainingSettings,
    dataset: Dataset,
    technology: Technology,
    circuit: SpikingCircuit,
    laws: SpikingLaws,
    folder: Path,
    *,
    law: ChipLaw | None = None,
) -> SpikingNetwork:
    """Train a spiking network on `dataset`; the network as it is programmed, siemens and threshold supplies.

    folder  gets metrics.jsonl and checkpoint.safetensors, see `train_epochs`
    law     what shifts of its transistors do to a chip; wanted where settings.variation has mismatch

    Raises ArchitectureMismatch (dataset, checkpoint or `initial` of another shape), ConfigurationError (see
    require_spiking_fit; no CUDA; no `law`), StorageError (folder, `initial`).
    """
    require_spiking_fit(shape, settings, dataset, circuit, technology)
    device = device_of(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    fitted = FittedSpikingCircuit(
        circuit, laws, torch.float32, settings.surrogate_slope, device, technology, integrator=shape.integrator
    )
    model = TrainableSpikingNetwork(shape, settings, technology.memristor, fitted)
    initial = None if settings.initial is None else SpikingNetwork.load(settings.initial)
    if initial is not None:
        require_initial(initial, settings)
        model.assign(initial, str(settings.initial))
    parts = parts_of(dataset, settings.validation, device)
    data = parts.pop("train")
    identity = _identity(shape, settings, dataset, technology, fitted, initial)

    def spikes(images: int) -> Any:
        return encode(data[0][:images].cpu().numpy(), shape, shape.encoder_seed + 1)

    chips = training_chips(settings, circuit, technology, len(shape.layers) - 1, law)
    task = SpikingTask(model, shape, settings, parts, identity, chips, spikes)
    train_epochs(task, settings, data, dataset.image_shape, folder)
    return model.method.finished(model.network(identity.values), spikes)


class SpikingTask(Task):
    """Cross entropy of the outputs' scores: how often they spike, and what else is read of them."""

    def __init__(
        self,
        model: TrainableSpikingNetwork,
        shape: SpikingNetworkSettings,
        settings: SpikingTrainingSettings,
        parts: dict[str, Part],
        identity: Identity,
        chips: TrainingChips | None,
        spikes: Callable[[int], Any],
    ) -> None:
        self.model: TrainableSpikingNetwork = model
        self.shape, self.settings, self.identity = shape, settings, identity
        self.chips, self.spikes = chips, spikes
        self.title = f"train {shape_text(shape.layers)} {settings.method}"
        self.parts = {
            name: (torch.from_numpy(encode(x.cpu().numpy(), shape, shape.encoder_seed)), y)
            for name, (x, y) in parts.items()
        }

    def begin(self, epoch: int) -> None:
        self.epoch = epoch
        self.asked, self.spiked, self.seen = NONE, torch.zeros(len(self.model.layers)), 0
        self.model.correct_wires()
        if self.chips is not None and self.chips.sigmas:
            self.model.method.begin(lambda: self.model.network(self.identity.values), self.spikes)

    def loss(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        inputs = training_spikes(images, self.shape, random)
        self.last = inputs, labels
        if self.epoch < self.settings.static_epochs:
            return self._static_loss(inputs, labels)
        answers = self.model(inputs, None if self.chips is None else self.chips.drawn(random))
        self._count(answers, len(images))
        for answer in answers:
            self.asked = self.asked + answer.extrapolation
        return self._cross_entropy(answers[-1], labels)

    def _count(self, answers: list[LayerResponse], samples: int) -> None:
        rates = torch.stack([answer.spikes.detach().mean() for answer in answers])
        self.spiked, self.seen = self.spiked.to(rates) + rates * samples, self.seen + samples

    def _static_loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        steps = self.shape.steps
        answers = self.model.static(inputs[0] if inputs.stride(0) == 0 else inputs.mean(0), steps)
        self._count(answers, len(labels))
        outputs = answers[-1]
        every = LayerResponse(outputs.spikes.expand(steps, -1, -1), outputs.membranes.expand(steps, -1, -1))
        return self._cross_entropy(every, labels)

    def _cross_entropy(self, outputs: LayerResponse, labels: Tensor) -> Tensor:
        rates = self._scores(outputs) / self.shape.steps
        return cross_entropy(self.settings.rate_logit * rates, labels)

    def _scores(self, outputs: LayerResponse) -> Tensor:
        return scores(outputs, self.shape.readout, self.model.method.swing(len(self.model.layers) - 1))

    def stepped(self, epoch: int) -> None:
        # The loss does not tell: a neuron whose membrane is no number does not spike.
        if not all(bool(synapses.isfinite().all()) for synapses in self.model.parameters()):
            raise ConfigurationError(
                f"A weight is not a number in epoch {epoch + 1}. Likely: training.learning_rate is too high. The "
                "checkpoint of the epoch before is kept."
            )
        self.model.project()

    @torch.no_grad()
    def accuracies(self) -> dict[str, float]:
        """And of how many images the read-out leaves several outputs equal."""
        found: dict[str, float] = {}
        self.model.eval()
        for name, part in self.parts.items():
            found[f"accuracy_{name}"], found[f"tie_rate_{name}"] = self._accuracy(*part)
        self.model.train()
        return found

    def _accuracy(self, spikes: Tensor, labels: Tensor) -> tuple[float, float]:
        """(accuracy, tie rate) on spikes [images, steps, rows], or levels."""
        right, tied = 0, 0
        for part, classes in zip(spikes.split(500), labels.split(500), strict=True):
            outputs = self.model(part.to(labels.device).transpose(0, 1).float())[-1]
            found = self._scores(outputs)
            right += int((found.argmax(1) == classes).sum())
            tied += int(((found == found.amax(1, keepdim=True)).sum(1) > 1).sum())
        return right / len(spikes), tied / len(spikes)

    def line(self) -> dict[str, Any]:
        told = {"spike_rates": (self.spiked / self.seen).tolist(), "extrapolated": dict(self.asked.count)}
        return told | (self._against_measured() if self.model.method.simplified else {})

    def _against_measured(self) -> dict[str, float]:
        """How near training's laws come to the measured ones, on the last minibatch: the share of spikes that are the
        same, the cosine between both gradients."""
        inputs, labels = self.last
        spikes, gradients = [], []
        for learning in (False, True):
            self.model.train(learning)
            answers = self.model(inputs)
            spikes.append(torch.cat([answer.spikes.detach().flatten() for answer in answers]))
            loss = self._cross_entropy(answers[-1], labels)
            gradients.append(torch.cat([g.flatten() for g in grad(loss, list(self.model.parameters()))]))
        return {
            "simple_spikes": float((spikes[0] == spikes[1]).float().mean()),
            "simple_cosine": float(cosine_similarity(gradients[0], gradients[1], dim=0)),
        }


def _identity(
    shape: SpikingNetworkSettings,
    settings: SpikingTrainingSettings,
    dataset: Dataset,
    technology: Technology,
    fitted: FittedSpikingCircuit,
    initial: SpikingNetwork | None,
) -> Identity:
    """What must be the same for a checkpoint to go on; a longer training is another one, for the schedule's sake."""
    values = {
        "system": "spiking",
        "dataset": dataset.name,
        **({"dataset_fingerprint": dataset.fingerprint} if dataset.own else {}),
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "circuit": fitted.circuit.name,
        "circuit_fingerprint": fitted.circuit.fingerprint,
        "surrogates": fitted.laws.fingerprint,
        **shape.trained_as(),
        **settings.trained_as(),
    }
    if initial is not None:
        values["initial"] = initial.fingerprint  # wherever it lies
    if settings.variation != TrainingVariation():
        values["varied"] = statistics_of(technology, settings.variation).facts()
    defaults = SpikingTrainingSettings(method=settings.method).trained_as()
    if "laws" in defaults:
        defaults["laws"] = "measured"  # before there was a choice
    return Identity(values, defaults, training_of_today)


def training_chips(
    settings: SpikingTrainingSettings,
    circuit: SpikingCircuit,
    technology: Technology,
    layers: int,
    law: ChipLaw | None,
) -> TrainingChips | None:
    """What varies while a network of so many layers is trained; None when nothing does. ConfigurationError when its
    transistors vary and there is no law of what that does."""
    if settings.variation == TrainingVariation():
        return None
    statistics = statistics_of(technology, settings.variation)
    if not statistics.neurons:
        return TrainingChips(statistics.array, technology.memristor)
    law = law if statistics.transistors else COMMON_SHIFT
    if law is None:
        raise ConfigurationError(
            "training.variation has mismatch, but train() was not told what it does to a chip: it starts no process "
            "itself. Give it law=, as characterization.chip_law.chip_law measures it, or call Run.train, which does."
        )
    sigmas = (neuron_sigmas(circuit, technology, statistics, layer) or NOMINAL for layer in range(layers))
    return TrainingChips(
        statistics.array, technology.memristor, tuple(sigmas), access_sigmas(circuit, technology, statistics), law,
        statistics.threshold_sigma_V,
    )  # fmt: skip


def require_initial(initial: SpikingNetwork, settings: SpikingTrainingSettings) -> None:
    """ConfigurationError when another method trained it, to which the same conductances mean something else."""
    trained_by = initial.about.get("method", settings.method)
    if trained_by != settings.method:
        raise ConfigurationError(
            f"training.initial = {str(settings.initial)!r} was trained by the method {trained_by!r}, and "
            f"{settings.method!r} is to go on from it: the same conductances mean other weights to it. Name a network "
            f"that {settings.method!r} trained, or leave it out."
        )


def require_spiking_fit(
    shape: SpikingNetworkSettings,
    settings: SpikingTrainingSettings,
    dataset: Dataset,
    circuit: SpikingCircuit,
    technology: Technology,
) -> None:
    """ArchitectureMismatch or ConfigurationError when the dataset cannot be learnt with these settings, or the circuit
    cannot spike within the time steps of an image."""
    if dataset.targets is not None:
        raise ConfigurationError(
            f"{dataset.name} is a regression (targets {', '.join(dataset.outputs)}): a spiking network answers with a "
            "class, the output that spikes most. Take system = 'inverter', whose outputs are voltages."
        )
    require_encoder(shape, circuit)
    settings.require_epochs()
    require_dataset(shape.layers, settings.augmentation, settings.validation, dataset)
    device_of(settings.device)
    statistics_of(technology, settings.variation)
    left, wanted = (
        len(dataset.train_inputs) - settings.validation,
        METHODS[settings.method].images(settings.of(settings.method)),
    )
    if wanted > left:
        raise ConfigurationError(
            f"The method {settings.method!r} wants {wanted} training images when it has trained, but only {left} are "
            f"there. Lower what [training.{settings.method}] asks for, or training.validation."
        )
    firing = shape.layers if shape.integrator is None else shape.layers[:-1]
    circuit.require_chargeable(firing, shape.steps, technology.memristor)
