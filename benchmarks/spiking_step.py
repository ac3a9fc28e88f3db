"""A training step of the spiking system against one of the same network in plain snntorch, on the CPU. Targets: method
`circuit` at most 3 times, an epoch of 60,000 images at most 12 s on a 1r array and 20 s on a 1t1r.

snntorch's network is written as its tutorials do: nn.Linear and snn.Leaky, step by step. All see the same encoded
spikes of the same minibatches and do what a training loop does with them: forward, cross entropy of the outputs' spike
counts, backward, fused Adam, the loss read back. `circuit` learns by its simple laws; by the measured ones it is timed
by itself. An epoch is reckoned as 60,000 / batch of these steps and of augmentation and encoding, timed beside them,
without the scoring of the test images that ends it.

Also says how near the simple laws come to the measured ones, on one minibatch of the networks as the warm-up leaves
them: the share of spikes that are the same, and the cosine between both gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import snntorch
import torch
from common import alternate, finish, parser
from snntorch import surrogate
from spiking_circuits import SHAPE, Measured, data, measured
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from spicetrain.datasets.dataset import Dataset
from spicetrain.spiking.definition import SpikingNetworkSettings, SpikingTrainingSettings
from spicetrain.spiking.training.encoding import training_spikes
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.loop import SpikingTask
from spicetrain.spiking.training.model import TrainableSpikingNetwork
from spicetrain.spiking.training.regular_method import RegularSettings
from spicetrain.training.augmentation import augmented
from spicetrain.training.checkpoint import Identity

TARGET, EPOCH_TARGETS_S = 3.0, {"1r": 12.0, "1t1r": 20.0}
EPOCH_IMAGES = 60_000
PLAIN, PREPARE = "snntorch", "augmentation and encoding"
Minibatch = tuple[Tensor, Tensor]
"""Spikes [steps, samples, rows], labels [samples]."""


class SnntorchNetwork(nn.Module):
    """As its tutorials have it; spikes [steps, samples, outputs] of spikes [steps, samples, rows]."""

    def __init__(self, layers: tuple[int, ...], beta: float, slope: float) -> None:
        super().__init__()
        fire = surrogate.fast_sigmoid(slope)
        self.synapses = nn.ModuleList(nn.Linear(*widths) for widths in pairwise(layers))
        self.neurons = [snntorch.Leaky(beta, spike_grad=fire, reset_mechanism="zero") for _ in layers[1:]]

    def forward(self, spikes: Tensor) -> Tensor:
        membranes, outputs = [neuron.init_leaky() for neuron in self.neurons], []
        for spike in spikes:
            for layer, synapses in enumerate(self.synapses):
                spike, membranes[layer] = self.neurons[layer](synapses(spike), membranes[layer])
            outputs.append(spike)
        return torch.stack(outputs)


def main() -> None:
    arguments = parser("spiking_step", __doc__)
    arguments.add_argument("--run", type=Path, nargs="+", default=[], help="run folders whose circuits are taken")
    arguments.add_argument("--arrays", nargs="+", choices=("1r", "1t1r"), default=["1r", "1t1r"])
    arguments.add_argument("--layers", type=int, nargs="+", default=SHAPE, help="default: %(default)s")
    arguments.add_argument("--steps", type=int, default=10, help="clock steps of an image (default: %(default)s)")
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--warm-up", type=int, default=60, help="steps before the clock starts")
    arguments.add_argument("--rounds", type=int, default=30, help="timed steps of each, in turn (default: %(default)s)")
    arguments.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves it to torch")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    shape = SpikingNetworkSettings(layers=tuple(options.layers), steps=options.steps)
    circuits = {array: measured(array, options.run) for array in options.arrays}
    benchmark = Benchmark(shape, data(shape.layers, 4 * options.batch), options.batch)
    result = benchmark.measure(circuits, options.warm_up, options.rounds)
    met = all(result["ratios"][array] <= TARGET for array in circuits)
    met = met and all(result["epoch_s"][array] <= EPOCH_TARGETS_S[array] for array in circuits)
    result |= {"layers": list(shape.layers), "batch": options.batch, "steps": shape.steps}
    result |= {"threads": torch.get_num_threads()}
    title = f"spiking training step {list(shape.layers)}, batch {options.batch}, {shape.steps} steps"
    finish(options.out, title, described(result), result, met)


def described(result: dict[str, Any]) -> dict[str, str]:
    rows = {f"{name}, a minibatch": f"{value * 1e3:.1f} ms" for name, value in result["step_s"].items()}
    for name, ratio in result["ratios"].items():
        rows[f"{name} / {PLAIN}"] = f"{ratio:.2f}" + (f" (target {TARGET:g})" if name in EPOCH_TARGETS_S else "")
    for name, value in result["epoch_s"].items():
        target = f" (target {EPOCH_TARGETS_S[name]:g} s)" if name in EPOCH_TARGETS_S else ""
        rows[f"{name}, an epoch of {EPOCH_IMAGES:,} images"] = f"{value:.1f} s{target}"
    for array, near in result["near_measured"].items():
        rows[f"{array}, measured / simple laws, a step"] = f"{near['step_ratio']:.2f}"
        rows[f"{array}, spikes as by measured laws"] = f"{near['simple_spikes']:.3%}"
        rows[f"{array}, cosine with their gradient"] = f"{near['simple_cosine']:.4f}"
    return rows


class Benchmark:
    """A shape, and the minibatches that its networks are trained on."""

    def __init__(self, shape: SpikingNetworkSettings, dataset: Dataset, batch: int) -> None:
        self.shape, self.dataset, self.batch = shape, dataset, batch
        self.inputs, self.labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
        self.random = torch.Generator().manual_seed(0)
        self.augmentation = SpikingTrainingSettings().augmentation

    def chosen(self) -> Iterator[Minibatch]:
        """Images and labels, in random order, without end."""
        while True:
            for chosen in torch.randperm(len(self.inputs), generator=self.random).split(self.batch):
                yield self.inputs[chosen], self.labels[chosen]

    def prepared(self, images: Tensor) -> Tensor:
        """As the training loop prepares them."""
        moved = augmented(images, self.dataset.image_shape, self.augmentation, self.random)
        return training_spikes(moved, self.shape, self.random)

    def measure(self, circuits: dict[str, Measured], warm_up: int, rounds: int) -> dict[str, Any]:
        images = self.chosen()
        minibatches = [(self.prepared(x), labels) for (x, labels), _ in zip(images, range(20), strict=False)]
        tasks = {array: self.task(one, method="circuit") for array, one in circuits.items()}
        tasks["regular"] = self.task(next(iter(circuits.values())), method="regular")
        steps = {name: self.step_of_task(task, minibatches) for name, task in tasks.items()}
        steps[PLAIN] = self.step_of_snntorch(minibatches)
        for step in steps.values():
            for _ in range(warm_up):
                step()
        times = alternate(steps | {PREPARE: lambda: self.prepared(next(images)[0])}, rounds)
        near = {}
        for array, one in circuits.items():
            near[array] = self.near_measured(tasks[array])
            slow = self.task(one, method="circuit", laws="measured")
            slow.model.load_state_dict(tasks[array].model.state_dict())
            pair = {"simple": steps[array], "measured": self.step_of_task(slow, minibatches)}
            taken = {name: median(values[1:]) for name, values in alternate(pair, 2 + rounds // 4).items()}
            near[array] |= {"measured_step_s": taken["measured"], "step_ratio": taken["measured"] / taken["simple"]}
        step_s = {name: median(values) for name, values in times.items()}
        minibatches_an_epoch = EPOCH_IMAGES / self.batch
        return {
            "step_s": step_s,
            "ratios": {name: step_s[name] / step_s[PLAIN] for name in tasks},
            "epoch_s": {name: minibatches_an_epoch * (step_s[name] + step_s[PREPARE]) for name in steps},
            "near_measured": near,
        }

    def task(self, one: Measured, **training: Any) -> SpikingTask:
        """A network to be trained, as spicetrain trains it."""
        settings = SpikingTrainingSettings(**training)
        fitted = FittedSpikingCircuit(
            one.circuit, one.laws, torch.float32, settings.surrogate_slope, technology=one.technology
        )
        model = TrainableSpikingNetwork(self.shape, settings, one.technology.memristor, fitted)
        task = SpikingTask(model, self.shape, settings, {}, Identity({}), None, lambda images: None)
        task.begin(0)
        return task

    def near_measured(self, task: SpikingTask) -> dict[str, float]:
        """As metrics.jsonl says it after every epoch, here of one minibatch."""
        images, labels = next(self.chosen())
        task.loss(images, labels, self.random)
        said = task.line()
        return {name: said[name] for name in ("simple_spikes", "simple_cosine")}

    def step_of_task(self, task: SpikingTask, minibatches: list[Minibatch]) -> Callable[[], object]:
        def spikes(inputs: Tensor) -> Tensor:
            return task.model(inputs)[-1].spikes

        return self.step_of(task.model, spikes, minibatches, lambda: task.stepped(0))

    def step_of_snntorch(self, minibatches: list[Minibatch]) -> Callable[[], object]:
        plain = SnntorchNetwork(self.shape.layers, RegularSettings().beta, SpikingTrainingSettings().surrogate_slope)
        return self.step_of(plain, plain, minibatches, lambda: None)

    def step_of(
        self,
        model: nn.Module,
        spikes: Callable[[Tensor], Tensor],
        minibatches: list[Minibatch],
        stepped: Callable[[], object],
    ) -> Callable[[], object]:
        """A step of the optimizer, on the next minibatch; spikes: of the outputs, [steps, samples, columns]."""
        settings, turn = SpikingTrainingSettings(), 0
        rate = settings.learning_rate / (1 if isinstance(model, TrainableSpikingNetwork) else 10)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)

        def step() -> float:
            nonlocal turn
            inputs, labels = minibatches[turn % len(minibatches)]
            turn += 1
            loss = cross_entropy(settings.rate_logit * spikes(inputs).mean(0), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            stepped()
            return loss.item()

        return step


if __name__ == "__main__":
    main()
