"""Calibration of one chip: its conductances programmed once more, for what its transistors and devices are.

errors known    forward and backward through the kcl model of that chip: its mismatch and its stuck devices as they are,
                programming errors of what is written drawn anew in every step, because the next writing has others
errors unknown  the chip in the loop: every minibatch is measured on the chip, programmed anew each time (here by
                ngspice with its draw), and the gradient is that of the nominal model at the voltages measured
                (physics-aware training: Wright et al., Nature 601, 549, 2022)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from spicetrain.array.built import built
from spicetrain.array.conductances import Conductances
from spicetrain.array.variation import ArrayStatistics
from spicetrain.draw import Draw
from spicetrain.inverter.calibration.writing import mixed, programmed_again, without_writing, written_again
from spicetrain.inverter.chip import Chip
from spicetrain.inverter.definition import CalibrationSettings
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.kcl import KCL
from spicetrain.inverter.training.model import as_laid_out, laid_out, mismatch_in
from spicetrain.inverter.training.parameters import CrossbarParameters, row_signal
from spicetrain.inverter.training.variation import TrainingDraws
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.inverter.verification.chips import Population
from spicetrain.training.common import half_cosine
from spicetrain.training.settings import NoSettings
from spicetrain.variation import Statistics

# (chip, inputs [samples, rows] in 0..1) -> the voltages of every layer, measured
Measure = Callable[[Chip, NDArray], list[LayerVoltages]]
RATES = {"all": 0.05, "last": 0.1, "biases": 0.5}
"""Adam's rate where none is given: through the logistic of a conductance a small one stalls near g_min."""


@dataclass(frozen=True)
class Calibration:
    """What is calibrated, and by which images. It can be sent to a worker.

    population      the network, what varies, and the test images by which chips are judged
    inputs, labels  training images [images, rows] in 0..1 and classes
    logit_V         output voltage that counts as one unit of the softmax, as in training
    """

    population: Population
    settings: CalibrationSettings
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    logit_V: float

    @property
    def network(self) -> Network:
        return self.population.network

    @property
    def statistics(self) -> Statistics:
        return self.population.statistics

    def written(self, first: Chip, wanted: Network, number: int, writing: int) -> Chip:
        """A chip once more programmed, see `written_again`."""
        return written_again(self.population, first, wanted, self.settings.trains, Draw(number, writing))


def calibrated(asked: Calibration, number: int, measure: Measure | None = None) -> Network:
    """What the chip `number` is to be programmed to, siemens.

    measure  measures the chip, where its errors are not known
    """
    return _Writing(asked, number).calibrated(measure)


class _Writing:
    """One chip on its way."""

    def __init__(self, asked: Calibration, number: int) -> None:
        self.asked, self.number, settings = asked, number, asked.settings
        self.circuit, self.network = asked.population.circuit, asked.network
        self.device = self.circuit.technology.memristor
        self.first = asked.population.chip(number)
        names = programmed_again(settings.trains, len(asked.network.crossbars))
        pairs = asked.network.bias_pairs
        self.parameters, self.kept, trained = [], [], []
        for layer, (box, as_built, again) in enumerate(
            zip(asked.network.crossbars, self.first.network.crossbars, names, strict=True)
        ):
            parameters = CrossbarParameters(
                box.rows, box.columns, self.device, ratios=False, generator=None, loads=layer > 0, bias_pairs=pairs
            )
            parameters.assign(box)
            for name, theta in parameters.named_parameters():
                theta.requires_grad_(name in again)
                trained += [theta] if name in again else []
            self.parameters.append(parameters)
            self.kept.append((Conductances.of(as_built, torch.float32), again))
        rate = settings.learning_rate or RATES[settings.trains]
        self.rate, self.optimizer = rate, torch.optim.Adam(trained, lr=rate)
        self.sizes = [torch.as_tensor(size, dtype=torch.float32) for size in asked.network.sizes]
        self.predictor = KCL.predictor(self.circuit, self.sizes, asked.network.ground_S, NoSettings())
        mismatch = self.first.mismatch
        self.mismatch = {} if mismatch is None else {"mismatch": [mismatch_in(self.circuit, of) for of in mismatch]}

    def calibrated(self, measure: Measure | None) -> Network:
        settings, asked = self.asked.settings, self.asked
        choice = np.random.default_rng([settings.seed, self.number])
        random = torch.Generator().manual_seed(settings.seed * 100_003 + self.number)
        mid_V = self.circuit.rails.mid_V
        for step in range(settings.steps):
            chosen = choice.integers(0, len(asked.inputs), settings.batch_size)
            images = np.ascontiguousarray(asked.inputs[chosen])
            outputs = self._outputs(images, step, random, measure)
            loss = cross_entropy((outputs - mid_V) / asked.logit_V, torch.from_numpy(asked.labels[chosen]))
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * half_cosine(step / settings.steps)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return self._wanted()

    def _outputs(self, images: NDArray, step: int, random: torch.Generator, measure: Measure | None) -> Tensor:
        order = self.network.row_order(self.circuit.technology.segments)
        signal = as_laid_out(row_signal(torch.from_numpy(images), self.network.encoding, self.circuit.rails), order)
        if measure is None:
            known = laid_out(self._as_known(random), order)
            return self.predictor(known, self.sizes, signal, **self.mismatch).outputs
        chip = self.asked.written(self.first, self._wanted(), self.number, step + 1)
        given = [layer.to(torch.float32, torch.device("cpu")) for layer in measure(chip, images)]
        wanted = laid_out([parameters() for parameters in self.parameters], order)
        return self.predictor(wanted, self.sizes, signal, given).outputs

    def _as_known(self, random: torch.Generator) -> list[Conductances]:
        """The crossbars as they will be: what is written with errors drawn for this step, all else as it is."""
        asked, wanted = self.asked, [parameters() for parameters in self.parameters]
        writing = Statistics(array=replace(asked.statistics.array, stuck=None, drift=None))
        drawn = TrainingDraws(self.circuit.technology, writing).crossbars(wanted, asked.network.bias_pairs, random)
        if asked.statistics.array.stuck is not None:
            drawn = [self._with_stuck(layer, box) for layer, box in enumerate(drawn)]
        return [
            Conductances(*(new if name in again else old for name, new, old in zip(_NAMES, box, kept, strict=True)))
            for box, (kept, again) in zip(drawn, self.kept, strict=True)
        ]

    def _with_stuck(self, layer: int, drawn: Conductances) -> Conductances:
        """The chip's stuck devices, which no writing moves; of biases, each the sum of several, only those."""
        crossbar, device, dtype = self.parameters[layer].crossbar(), self.device, drawn.pos.dtype
        as_is, free = (
            Conductances.of(built(crossbar, device, array, Draw(self.number), layer, self.network.bias_pairs), dtype)
            for array in (ArrayStatistics(stuck=self.asked.statistics.array.stuck), _NONE)
        )
        off = [a - b for a, b in zip(as_is, free, strict=True)]
        pos, neg = (torch.where(o != 0, a, g) for o, a, g in list(zip(off, as_is, drawn, strict=True))[:2])
        return Conductances(pos, neg, drawn.bias_pos + off[2], drawn.bias_neg + off[3])

    def _wanted(self) -> Network:
        crossbars = tuple(parameters.crossbar() for parameters in self.parameters)
        again = replace(self.network, crossbars=crossbars)
        return replace(again, crossbars=mixed(self.network, again, self.asked.settings.trains))


_NAMES: Sequence[str] = Conductances._fields
_NONE = ArrayStatistics()


def judged(asked: Calibration, number: int, wanted: Network) -> dict[str, float]:
    """Accuracies in the model: of a chip before; when it is what is wanted, but for its lasting errors; programmed once
    more, with programming errors drawn anew; and of the nominal network."""
    population = asked.population
    first, lasting = population.chip(number), replace(population, statistics=without_writing(asked.statistics))
    exact = written_again(lasting, first, wanted, asked.settings.trains, Draw(number))
    again = asked.written(first, wanted, number, asked.settings.steps + 1)
    found = {"before": first, "wanted": exact, "model": again, "nominal": Chip(asked.network)}
    return {f"accuracy_{name}": population.accuracy(chip) for name, chip in found.items()}
