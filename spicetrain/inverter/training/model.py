"""A network while it is trained, and a trained one asked for its node voltages: one class for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.erim import smallest_sizes
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.kcl import KCL
from spicetrain.inverter.training.parameters import CrossbarParameters, row_signal
from spicetrain.inverter.training.power import rail_power
from spicetrain.inverter.training.sizing import InverterSizes
from spicetrain.inverter.training.voltages import Convergence, LayerVoltages, Prediction, Predictor
from spicetrain.schema import Definition
from spicetrain.surrogates.extrapolation import NONE, Extrapolation
from spicetrain.training.common import require_unit_inputs
from spicetrain.training.settings import NoSettings


class TrainableNetwork(nn.Module):
    """Crossbars with trainable conductances and inverters of given sizes, seen through one method."""

    def __init__(self, settings: NetworkSettings, training: TrainingSettings, circuit: FittedCircuit):
        super().__init__()
        self.settings, self.circuit, self.method, self.sizing = settings, circuit, training.method, training.sizing
        method, sizing = METHODS[training.method], training.sizing
        generator = torch.Generator().manual_seed(training.seed)
        memristor, widths = circuit.technology.memristor, settings.layers
        self.crossbars = nn.ModuleList(
            CrossbarParameters(*shape, memristor, ratios=method.ratios, generator=generator, loads=index > 0)
            for index, shape in enumerate(zip(widths, widths[1:], strict=False))
        )
        *hidden, last = zip(widths[1:], settings.inverter_sizes, strict=True)
        self.inverters = nn.ModuleList(InverterSizes(columns, 2, size, sizing) for columns, size in hidden)
        self.inverters.append(InverterSizes(last[0], 1, last[1], "fixed"))
        self.to(device=circuit.device, dtype=circuit.dtype)
        self.predictor: Predictor = method.predictor(
            circuit, self.sizes, settings.ground_S, training.of(training.method)
        )
        self.solver = KCL.predictor(circuit, self.sizes, settings.ground_S, NoSettings())

    @property
    def sizes(self) -> list[Tensor]:
        return [inverters() for inverters in self.inverters]

    def forward(self, inputs: Tensor) -> Tensor:
        """Output voltages [samples, outputs] for inputs [samples, rows] in 0..1."""
        return self.voltages(inputs).outputs

    def voltages(self, inputs: Tensor, given: Sequence[LayerVoltages] | None = None) -> Prediction:
        """Of every layer, [samples, columns] each, for inputs [samples, rows] in 0..1.

        given  what a simulator of the circuit answers for them: then these, with kcl's gradient at them
        """
        signal = row_signal(inputs, self.settings.encoding, self.circuit.rails)
        crossbars = [crossbar() for crossbar in self.crossbars]
        if given is None:
            return self.predictor(crossbars, self.sizes, signal)
        given = [layer.to(self.circuit.dtype, self.circuit.device) for layer in given]
        solved: Prediction = self.solver(crossbars, self.sizes, signal, given)
        return solved

    def extrapolation(self) -> Extrapolation:
        """What the method now asks of the surrogates outside their domain."""
        crossbars = [crossbar() for crossbar in self.crossbars]
        return extrapolation(self.circuit, self.method, crossbars, self.sizes, self.settings.ground_S)

    def rail_power(self, layers: Sequence[LayerVoltages]) -> Tensor:
        """Static power drawn from the rails, [samples], watts."""
        loads = [crossbar() for crossbar in self.crossbars[1:]]
        return rail_power(layers, loads, self.sizes, self.circuit.rails, self.circuit.surface)

    @torch.no_grad()
    def size_for_loads(self) -> None:
        """With ERIM-style sizing: every hidden inverter as its row's conductances now demand."""
        if self.sizing != "erim":
            return
        for inverters, crossbar in zip(self.inverters[:-1], self.crossbars[1:], strict=True):
            loads_S = torch.stack(crossbar().row_sums(), 1)
            fingers = smallest_sizes(loads_S, self.circuit.exact_inverters)
            inverters.fingers.copy_(fingers)  # type: ignore[operator]

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
        return Network(crossbars, sizes, self.settings.encoding, about, self.settings.ground_S)


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
    batch: int = 500,
) -> Prediction:
    """Node voltages of a programmed network as `method` sees it, for inputs [samples, rows] in 0..1.

    settings  those that the method brings; None: by default

    The precision and the device are the circuit's; float64 with a tight tolerance is what SPICE is compared with.
    DomainError when an input is not in 0..1: it would drive a row beyond the rails, where nothing was measured.
    """
    require_unit_inputs(inputs, "it would drive its row beyond the rails, where the inverter was not measured")
    crossbars = [Conductances.of(crossbar, circuit.dtype, circuit.device) for crossbar in network.crossbars]
    sizes = [torch.as_tensor(size, dtype=circuit.dtype, device=circuit.device) for size in network.sizes]
    chosen = METHODS[method]
    predictor = chosen.predictor(circuit, sizes, network.ground_S, settings or chosen.settings())
    parts = []
    for start in range(0, len(inputs), batch):
        x = torch.as_tensor(np.asarray(inputs[start : start + batch]), dtype=circuit.dtype, device=circuit.device)
        parts.append(predictor(crossbars, sizes, row_signal(x, network.encoding, circuit.rails)))
    convergence = sum((part.convergence for part in parts), Convergence())
    layers = [_joined(layers) for layers in zip(*(part.layers for part in parts), strict=True)]
    return Prediction(layers, convergence, extrapolation(circuit, method, crossbars, sizes, network.ground_S))


def _joined(parts: Sequence[LayerVoltages]) -> LayerVoltages:
    v_p = None if parts[0].v_p is None else torch.cat([part.v_p for part in parts if part.v_p is not None]).cpu()
    return LayerVoltages(
        torch.cat([part.v_col for part in parts]).cpu(), torch.cat([part.v_n for part in parts]).cpu(), v_p
    )
