"""A network while it is trained, and a trained one asked for its node voltages: one class for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spicetrain.errors import ConfigurationError, DomainError
from spicetrain.network import Network
from spicetrain.surrogates.current_surface import CurrentSurface, inverter_current, require_inside
from spicetrain.technology import Technology
from spicetrain.training.crossbar import Conductances, CrossbarParameters, row_signal
from spicetrain.training.ideal import ideal_voltages, unloaded_gain
from spicetrain.training.inverters import inverters_of
from spicetrain.training.kcl import kcl_voltages
from spicetrain.training.settings import NetworkSettings
from spicetrain.training.stage import Effort, Tolerance
from spicetrain.training.voltages import LayerVoltages

# The solver takes a crossbar as ohmic: above this relative excess of a device's current it would be wrong silently.
LARGEST_NONLINEARITY = 1e-3

Voltages = Callable[[Sequence[Conductances], Sequence[Tensor], Tensor], list[LayerVoltages]]

METHODS = ("kcl", "ideal")
RATIOS = {"kcl": False, "ideal": True}


@dataclass
class Circuit:
    """What every method needs of the circuit, in one precision on one device.

    effort  what the stage solver noted since it was last replaced

    DomainError when the surface was not measured up to the technology's rails, between which every node stays;
    ConfigurationError when the memristors are not ohmic enough.
    """

    technology: Technology
    surface: CurrentSurface
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tolerance: Tolerance = field(default_factory=Tolerance)
    effort: Effort = field(default_factory=Effort)

    def __post_init__(self) -> None:
        rails, memristor = self.technology.rails, self.technology.memristor
        swing = rails.vdd_V - rails.vss_V
        if memristor.nonlinearity(swing) > LARGEST_NONLINEARITY:
            raise ConfigurationError(
                f"The memristor's current exceeds g V by {memristor.nonlinearity(swing):.1e} at {swing:g} V; "
                f"the solver takes devices that are ohmic to {LARGEST_NONLINEARITY:g}. Lower the rails or b_per_V."
            )
        corners = torch.tensor([rails.vss_V, rails.vdd_V], dtype=torch.float64)
        require_inside(self.surface, corners, corners)
        self.inverters = inverters_of(self.surface.to(self.dtype, self.device))

    def method(self, name: str) -> Voltages:
        """The named method as a function (crossbars, sizes, signal) -> voltages of every layer."""
        rails = self.technology.rails
        if name == "kcl":
            return lambda crossbars, sizes, signal: kcl_voltages(
                crossbars, sizes, signal, rails, self.inverters, self.tolerance, self.effort
            )
        gain = unloaded_gain(partial(inverter_current, self.surface.to(torch.float64)), rails)
        return lambda crossbars, sizes, signal: ideal_voltages(crossbars, signal, rails, gain)


class TrainableNetwork(nn.Module):
    """Crossbars with trainable conductances and inverters of given sizes, seen through one method."""

    def __init__(self, settings: NetworkSettings, method: str, circuit: Circuit, seed: int = 0):
        super().__init__()
        self.settings, self.circuit = settings, circuit
        self.voltages = circuit.method(method)
        generator = torch.Generator().manual_seed(seed)
        memristor, widths = circuit.technology.memristor, settings.layers
        self.crossbars = nn.ModuleList(
            CrossbarParameters(rows, columns, memristor, ratios=RATIOS[method], generator=generator)
            for rows, columns in zip(widths, widths[1:], strict=False)
        )
        last = len(widths) - 2
        for index, (columns, size) in enumerate(zip(widths[1:], settings.inverter_sizes, strict=True)):
            self.register_buffer(f"sizes_{index}", torch.full((columns, 1 if index == last else 2), size))
        self.to(device=circuit.device, dtype=circuit.dtype)

    @property
    def sizes(self) -> list[Tensor]:
        return [self.get_buffer(f"sizes_{index}") for index in range(len(self.crossbars))]

    def forward(self, inputs: Tensor) -> Tensor:
        """Output voltages [samples, outputs] for inputs [samples, rows] in 0..1."""
        signal = row_signal(inputs, self.settings.encoding, self.circuit.technology.rails)
        return self.voltages([crossbar() for crossbar in self.crossbars], self.sizes, signal)[-1].v_n

    def assign(self, network: Network, source: str) -> None:
        """Start from a trained network; ArchitectureMismatch when its shape is another."""
        network.require_layers(self.settings.layers, source)
        for parameters, crossbar in zip(self.crossbars, network.crossbars, strict=True):
            parameters.assign(crossbar)  # type: ignore[operator]

    def network(self, about: dict[str, object]) -> Network:
        """What is programmed into the chip."""
        crossbars = tuple(parameters.crossbar() for parameters in self.crossbars)  # type: ignore[operator]
        sizes = tuple(size.double().cpu().numpy() for size in self.sizes)
        return Network(crossbars, sizes, self.settings.encoding, about)


@torch.no_grad()
def predict(
    network: Network, inputs: NDArray, circuit: Circuit, method: str, *, batch: int = 500
) -> list[LayerVoltages]:
    """Node voltages of a programmed network as `method` sees it, for inputs [samples, rows] in 0..1.

    The precision and the device are the circuit's; float64 with a tight tolerance is what SPICE is compared with.
    DomainError when an input is not in 0..1: it would drive a row beyond the rails, where nothing was measured.
    """
    _require_unit_inputs(inputs)
    voltages = circuit.method(method)
    crossbars = [Conductances.of(crossbar, circuit.dtype, circuit.device) for crossbar in network.crossbars]
    sizes = [torch.as_tensor(size, dtype=circuit.dtype, device=circuit.device) for size in network.sizes]
    parts = []
    for start in range(0, len(inputs), batch):
        x = torch.as_tensor(np.asarray(inputs[start : start + batch]), dtype=circuit.dtype, device=circuit.device)
        parts.append(voltages(crossbars, sizes, row_signal(x, network.encoding, circuit.technology.rails)))
    return [_joined(layers) for layers in zip(*parts, strict=True)]


def _require_unit_inputs(inputs: NDArray) -> None:
    x = np.asarray(inputs)
    outside = ~((x >= 0) & (x <= 1))  # also what is not a number
    if outside.any():
        raise DomainError(
            f"An input is {x[outside][0]:.6g} ({int(outside.sum())} of {x.size} values), outside 0 .. 1: it would "
            "drive its row beyond the rails, where the inverter was not measured. Likely grey values 0 .. 255 (divide "
            "by 255) or standardized features: scale them to 0 .. 1 with the training samples' range."
        )


def _joined(parts: Sequence[LayerVoltages]) -> LayerVoltages:
    v_p = None if parts[0].v_p is None else torch.cat([part.v_p for part in parts if part.v_p is not None]).cpu()
    return LayerVoltages(
        torch.cat([part.v_col for part in parts]).cpu(), torch.cat([part.v_n for part in parts]).cpu(), v_p
    )
