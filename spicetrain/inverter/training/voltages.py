"""What every method predicts: the node voltages of a network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.inverter.network import Network


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


# (network, inputs [samples, rows] in 0..1) -> voltages of every layer, from a simulator of the circuit
Simulate = Callable[[Network, NDArray], list[LayerVoltages]]
