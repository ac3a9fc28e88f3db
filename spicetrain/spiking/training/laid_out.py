"""An array between its rows and its columns, its rows side by side: excitatory ones and their bias row, then inhibitory
ones and theirs."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.wired_ports import Ports


class LaidOut(NamedTuple):
    """Siemens. g [rows, columns] between them; rows_S [rows], columns_S [columns]: all that hangs on one, the others
    held. With wires, else None: between_rows [rows, rows], between_columns [columns, columns], and reach, the segments
    of a column's wire whose capacitance stands at its membrane."""

    g: Tensor
    rows_S: Tensor
    columns_S: Tensor
    between_rows: Tensor | None = None
    between_columns: Tensor | None = None
    reach: float | None = None

    @classmethod
    def of(cls, g: Conductances, ports: Ports | None) -> Self:
        """ports: of the array with its wires; None: ideal ones."""
        if ports is None:
            cells = torch.cat([g.pos, g.bias_pos[None], g.neg, g.bias_neg[None]])
            return cls(cells, cells.sum(1), cells.sum(0))
        between = None if ports.between is None else -_by_side(_by_side(ports.between).T).T
        own = ports.Y.diagonal()
        return cls(_by_side(ports.B), _by_side(ports.own), own, between, torch.diag(own) - ports.Y, ports.reach)


def _by_side(wires: Tensor) -> Tensor:
    """From the order of the wires, p0, n0, p1, n1 ..., bias rows last."""
    return torch.cat([wires[::2], wires[1::2]])
