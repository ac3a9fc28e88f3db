"""A network while it is trained, and a trained one asked for its node voltages: one class for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spicetrain.array.conductances import Conductances
from spicetrain.array.placement import Order, row_order, variance_ranking
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.erim import largest_load_per_finger, needed_fingers
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.kcl import KCL
from spicetrain.inverter.training.parameters import CrossbarParameters, row_signal
from spicetrain.inverter.training.power import rail_power
from spicetrain.inverter.training.sizing import InverterSizes
from spicetrain.inverter.training.variation import TrainingDraws
from spicetrain.inverter.training.voltages import Convergence, LayerVoltages, Prediction, Predictor
from spicetrain.inverter.training.wired_stage import Held, beyond_fast
from spicetrain.schema import Definition
from spicetrain.surrogates.extrapolation import NONE, Extrapolation
from spicetrain.training.common import require_unit_inputs
from spicetrain.training.settings import NoSettings


class TrainableNetwork(nn.Module):
    """Crossbars with trainable conductances and inverters of given sizes, seen through one method.

    further  the same circuit under other operating conditions, in the circuit's precision and on its device
    """

    def __init__(
        self,
        settings: NetworkSettings,
        training: TrainingSettings,
        circuit: FittedCircuit,
        further: Sequence[FittedCircuit] = (),
    ):
        super().__init__()
        self.settings, self.circuit, self.method, self.sizing = settings, circuit, training.method, training.sizing
        self.erim = training.erim
        method, sizing = METHODS[training.method], training.sizing
        generator = torch.Generator().manual_seed(training.seed)
        memristor, widths = circuit.technology.memristor, settings.layers
        self.crossbars = nn.ModuleList(
            CrossbarParameters(
                *shape,
                memristor,
                ratios=method.ratios,
                generator=generator,
                loads=index > 0,
                bias_pairs=settings.bias_pairs,
            )
            for index, shape in enumerate(zip(widths, widths[1:], strict=False))
        )
        *hidden, last = zip(widths[1:], settings.inverter_sizes, strict=True)
        self.inverters = nn.ModuleList(InverterSizes(columns, 2, size, sizing) for columns, size in hidden)
        self.inverters.append(InverterSizes(last[0], 1, last[1], "fixed"))
        self.to(device=circuit.device, dtype=circuit.dtype)
        self.circuits, own = (circuit, *further), training.of(training.method)
        self.predictors: list[Predictor] = [
            method.predictor(one, self.sizes, settings.ground_S, own) for one in self.circuits
        ]
        self.corrections: list[list[Held]] | None = None  # of every circuit's wires
        self.row_ranking: Order | None = None
        self.solver = KCL.predictor(circuit, self.sizes, settings.ground_S, NoSettings())

    @property
    def sizes(self) -> list[Tensor]:
        return [inverters() for inverters in self.inverters]

    def forward(self, inputs: Tensor) -> Tensor:
        """Output voltages [samples, outputs] for inputs [samples, rows] in 0..1."""
        return self.voltages(inputs).outputs

    def voltages(
        self,
        inputs: Tensor,
        given: Sequence[LayerVoltages] | None = None,
        drawn: tuple[TrainingDraws, torch.Generator] | None = None,
        under: int = 0,
    ) -> Prediction:
        """Of every layer, [samples, columns] each, for inputs [samples, rows] in 0..1.

        given  what a simulator of the circuit answers for them: then these, with kcl's gradient at them
        drawn  chips to be drawn for them, and from which random numbers
        under  which of `circuits` it is
        """
        signal = row_signal(inputs, self.settings.encoding, self.circuits[under].rails)
        crossbars, sizes = [crossbar() for crossbar in self.crossbars], self.sizes
        crossbars, signal = laid_out(crossbars, self._row_order), as_laid_out(signal, self._row_order)
        further: dict[str, Any] = {} if self.corrections is None else {"corrections": self.corrections[under]}
        if drawn is not None:
            chips, random = drawn
            mismatch = chips.mismatch(sizes, len(inputs), random)
            further |= {} if mismatch is None else {"mismatch": mismatch}
            drawn_crossbars = chips.crossbars(crossbars, self.settings.bias_pairs, random)
            return self.predictors[under](drawn_crossbars, sizes, signal, **further)
        if given is None:
            return self.predictors[under](crossbars, sizes, signal, **further)
        given = [layer.to(self.circuit.dtype, self.circuit.device) for layer in given]
        solved: Prediction = self.solver(crossbars, sizes, signal, given, **further)
        return solved

    @torch.no_grad()
    def correct_wires(self) -> None:
        """Measure what the mesh of the wires has beyond the fast form, at the conductances as they are now, of every
        circuit: wires resist more where it is hot."""
        segments = [circuit.technology.segments for circuit in self.circuits]
        if not METHODS[self.method].takes_wires:
            return
        crossbars = laid_out([crossbar() for crossbar in self.crossbars], self._row_order)
        device, rails = self.circuit.technology.memristor, self.circuit.rails
        measured = {
            of: beyond_fast(crossbars, of, device, rails, exactly=False) for of in set(segments) if of is not None
        }
        self.corrections = [measured[of] for of in segments if of is not None] or None

    def rank_rows(self, inputs: NDArray) -> None:
        """By training images [samples, rows]: in which order inputs drive rows, where the wires ask for one."""
        self.row_ranking = variance_ranking(inputs)

    @cached_property
    def _row_order(self) -> Order | None:
        return row_order(self.row_ranking, self.circuit.technology.segments)

    def extrapolation(self) -> Extrapolation:
        """What the method now asks of the surrogates outside their domain."""
        crossbars = [crossbar() for crossbar in self.crossbars]
        return extrapolation(self.circuit, self.method, crossbars, self.sizes, self.settings.ground_S)

    def rail_power(self, layers: Sequence[LayerVoltages], under: int = 0) -> Tensor:
        """Static power drawn from the rails of one of `circuits`, [samples], watts."""
        loads, circuit = [crossbar() for crossbar in self.crossbars[1:]], self.circuits[under]
        held = None if self.corrections is None else self.corrections[under][1:]
        return rail_power(layers, loads, self.sizes, circuit.technology, circuit.surface, held)

    @torch.no_grad()
    def size_for_loads(self) -> None:
        """With ERIM-style sizing: every hidden inverter as its row's conductances now demand, up to the largest one."""
        if self.sizing != "erim":
            return
        for inverters, needed in zip(self.inverters[:-1], self._needed_fingers(), strict=True):
            inverters.fingers.copy_(needed.clamp(max=self.erim.largest_fingers))  # type: ignore[operator]

    def overloaded(self) -> int:
        """Hidden inverters that have fewer fingers than ERIM's rule now gives their loads."""
        sizes_and_needs = zip(self.sizes[:-1], self._needed_fingers(), strict=True)
        return sum(int((needed > size.to(needed)).sum()) for size, needed in sizes_and_needs)

    def require_carried(self) -> None:
        """ConfigurationError when ERIM's largest inverter does not carry a load."""
        largest = self.erim.largest_fingers
        for layer, needed in enumerate(self._needed_fingers() if self.sizing == "erim" else [], 1):
            if too_many := int((needed > largest).sum()):
                raise ConfigurationError(
                    f"training.sizing = 'erim': {too_many} of the {needed.numel()} inverters of hidden layer {layer} "
                    f"need more than training.erim.largest_fingers = {largest}, up to {needed.max():.0f}. One finger "
                    f"carries {self._largest_load_S:.3g} S; a load is the sum of a row of the next crossbar. Raise "
                    "largest_fingers, or ask for less: a lower training.erim.slope_share, a higher "
                    "training.erim.threshold_V. Or give the layer that they drive fewer neurons."
                )

    @torch.no_grad()
    def _needed_fingers(self) -> list[Tensor]:
        """Per hidden layer [columns, 2], float64, without an upper bound."""
        per_finger = self._largest_load_S
        loads = [torch.stack(crossbar().row_sums(), 1) for crossbar in self.crossbars[1:]]
        return [needed_fingers(load, per_finger) for load in loads]

    @cached_property
    def _largest_load_S(self) -> float:
        """Of one finger, siemens."""
        return largest_load_per_finger(self.circuit.exact_inverters, self.erim.slope_share, self.erim.threshold_V)

    def project_sizes(self) -> None:
        """After a step; see InverterSizes."""
        for inverters in self.inverters:
            inverters.project()  # type: ignore[operator]

    def settle_sizes(self) -> None:
        """Whole fingers, no longer trained; see InverterSizes."""
        for inverters in self.inverters:
            inverters.settle()  # type: ignore[operator]

    def assign(self, network: Network, source: str) -> None:
        """Start from a trained network; ArchitectureMismatch when its shape is another."""
        network.require_layers(self.settings.layers, source)
        for parameters, crossbar in zip(self.crossbars, network.crossbars, strict=True):
            parameters.assign(crossbar)  # type: ignore[operator]

    def network(self, about: dict[str, object]) -> Network:
        """What is programmed into the chip."""
        crossbars = tuple(parameters.crossbar() for parameters in self.crossbars)  # type: ignore[operator]
        sizes = tuple(size.detach().double().cpu().numpy() for size in self.sizes)
        settings = self.settings
        return Network(
            crossbars, sizes, settings.encoding, about, settings.ground_S, settings.bias_pairs, self.row_ranking
        )


def laid_out(crossbars: Sequence[Conductances], order: Order | None) -> list[Conductances]:
    """With the row pairs of the first crossbar as they lie: the columns are the same."""
    first, *others = crossbars
    return [first if order is None else first.in_order(torch.from_numpy(order)), *others]


def as_laid_out(signal: Tensor, order: Order | None) -> Tensor:
    """The signal [samples, rows] of these pairs."""
    return signal if order is None else signal[:, torch.from_numpy(order)]


@torch.no_grad()
def extrapolation(
    circuit: FittedCircuit, method: str, crossbars: Sequence[Conductances], sizes: Sequence[Tensor], ground_S: float
) -> Extrapolation:
    """What `method` asks of the surrogates outside the domain they were measured in, whatever the inputs."""
    found = METHODS[method].extrapolation
    return NONE if found is None else found(circuit, crossbars, sizes, ground_S)


@torch.no_grad()
def predict(
    network: Network,
    inputs: NDArray,
    circuit: FittedCircuit,
    method: str,
    settings: Definition | None = None,
    *,
    mismatch: Sequence[InverterMismatch] | None = None,
    batch: int = 500,
) -> Prediction:
    """Node voltages of a programmed network as `method` sees it, for inputs [samples, rows] in 0..1.

    settings  those that the method brings; None: by default
    mismatch  of the inverters behind every crossbar, where the network is a chip's

    The precision and the device are the circuit's; float64 with a tight tolerance is what SPICE is compared with. Wires
    are exact in float64; in float32, for many chips, as in training.
    DomainError when an input is not in 0..1: it would drive a row beyond the rails, where nothing was measured.
    """
    require_unit_inputs(inputs, "it would drive its row beyond the rails, where the inverter was not measured")
    crossbars = [Conductances.of(crossbar, circuit.dtype, circuit.device) for crossbar in network.crossbars]
    sizes = [torch.as_tensor(size, dtype=circuit.dtype, device=circuit.device) for size in network.sizes]
    chosen = METHODS[method]
    predictor = chosen.predictor(circuit, sizes, network.ground_S, settings or chosen.settings())
    further: dict[str, Any] = {} if mismatch is None else {"mismatch": [mismatch_in(circuit, of) for of in mismatch]}
    segments, parts = circuit.technology.segments, []
    order = network.row_order(segments)
    crossbars = laid_out(crossbars, order)
    if segments is not None and chosen.takes_wires:
        memristor = circuit.technology.memristor
        further["corrections"] = beyond_fast(
            crossbars, segments, memristor, circuit.rails, exactly=circuit.dtype == torch.float64
        )
    for start in range(0, len(inputs), batch):
        x = torch.as_tensor(np.asarray(inputs[start : start + batch]), dtype=circuit.dtype, device=circuit.device)
        signal = as_laid_out(row_signal(x, network.encoding, circuit.rails), order)
        parts.append(predictor(crossbars, sizes, signal, **further))
    convergence = sum((part.convergence for part in parts), Convergence()).read()
    layers = [_joined(layers) for layers in zip(*(part.layers for part in parts), strict=True)]
    return Prediction(layers, convergence, extrapolation(circuit, method, crossbars, sizes, network.ground_S))


def mismatch_in(circuit: FittedCircuit, mismatch: InverterMismatch) -> Mismatch:
    """For all samples alike, in the circuit's precision; factors that are all 1 cost nothing."""
    shift, factor = (
        torch.as_tensor(array, dtype=circuit.dtype, device=circuit.device)[:, :, None]
        for array in (mismatch.shift, mismatch.factor)
    )
    return Mismatch(shift, None if bool((factor == 1).all()) else factor)


def _joined(parts: Sequence[LayerVoltages]) -> LayerVoltages:
    v_p = None if parts[0].v_p is None else torch.cat([part.v_p for part in parts if part.v_p is not None]).cpu()
    return LayerVoltages(
        torch.cat([part.v_col for part in parts]).cpu(), torch.cat([part.v_n for part in parts]).cpu(), v_p
    )
