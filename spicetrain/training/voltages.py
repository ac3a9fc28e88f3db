"""What every method predicts: the node voltages of a network, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LayerVoltages:
    """Columns of a crossbar and the inverters behind them, [samples, columns] volts each.

    v_n is the first inverter's output; v_p the second's, None in the last layer, where v_n is the network's output.
    """

    v_col: Tensor
    v_n: Tensor
    v_p: Tensor | None = None
