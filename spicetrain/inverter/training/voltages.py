"""What every method predicts: the node voltages of a network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.inverter.network import Network
from spicetrain.surrogates.extrapolation import NONE, Extrapolation


@dataclass(frozen=True)
class LayerVoltages:
    """Columns of a crossbar and the inverters behind them, [samples, columns] volts each.

    v_n is the first inverter's output; v_p the second's, None in the last layer, where v_n is the network's output.
    """

    v_col: Tensor
    v_n: Tensor
    v_p: Tensor | None = None

    def to(self, dtype: torch.dtype, device: torch.device) -> LayerVoltages:
        """The same voltages in another precision or on another device."""
        v_p = None if self.v_p is None else self.v_p.to(device, dtype)
        return LayerVoltages(self.v_col.to(device, dtype), self.v_n.to(device, dtype), v_p)


def named_voltages(layers: list[LayerVoltages]) -> dict[str, NDArray]:
    """Voltages by the netlist's node names (c0_3, n0_3, p0_3, o_2), each [images]."""
    named: dict[str, NDArray] = {}
    for index, layer in enumerate(layers):
        kinds = {"c": layer.v_col} | ({"o": layer.v_n} if layer.v_p is None else {"n": layer.v_n, "p": layer.v_p})
        for kind, voltages in kinds.items():
            prefix = "o" if kind == "o" else f"{kind}{index}"
            named |= {f"{prefix}_{j}": column for j, column in enumerate(voltages.numpy().T)}
    return named


@dataclass(frozen=True)
class Convergence:
    """How near a solver came: the largest last Newton step of a sample (V), Newton steps taken, samples that did not
    come within the tolerance. What solves nothing has none of it. Where nothing is to wait for a device, numbers are
    tensors on it until they are read."""

    step_V: float | Tensor = 0.0
    iterations: int = 0
    unconverged: int | Tensor = 0

    def __add__(self, other: Convergence) -> Convergence:
        """Of both together."""
        return Convergence(
            _larger(self.step_V, other.step_V),
            max(self.iterations, other.iterations),
            self.unconverged + other.unconverged,
        )

    def read(self) -> Convergence:
        """In numbers; this waits for the device."""
        return Convergence(float(self.step_V), self.iterations, int(self.unconverged))


def _larger(one: float | Tensor, other: float | Tensor) -> float | Tensor:
    if isinstance(one, Tensor):
        return torch.maximum(one, other) if isinstance(other, Tensor) else one.clamp(min=other)
    return other.clamp(min=one) if isinstance(other, Tensor) else max(one, other)


@dataclass(frozen=True)
class Prediction:
    """The voltages of every layer, how well they are solved, and what was asked of surrogates outside their domain."""

    layers: list[LayerVoltages]
    convergence: Convergence = Convergence()
    extrapolation: Extrapolation = NONE

    @property
    def outputs(self) -> Tensor:
        """Of the network, [samples, outputs], volts."""
        return self.layers[-1].v_n


# (crossbars, sizes, signal[, mismatch]) -> the voltages of every layer
Predictor = Callable[..., Prediction]
# (network, inputs [samples, rows] in 0..1) -> voltages of every layer, from a simulator of the circuit
Simulate = Callable[[Network, NDArray], list[LayerVoltages]]
