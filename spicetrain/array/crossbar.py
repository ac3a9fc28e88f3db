"""A programmed crossbar in numpy: what its conductances do to voltages, currents and heat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spicetrain.rails import Rails

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crossbar:
    """Conductances of one crossbar in siemens, float64.

    pos, neg            [rows, columns]: from the positive and the negative row of each pair. In the first crossbar the
                        positive row carries the encoded input; from the second on it is the first inverter of a pair
                        (inverting), the negative row the second (PHAX, IEEE TCAD 2018, 10.1109/TCAD.2017.2764070).
    bias_pos, bias_neg  [columns]: to the upper and to the lower rail.
    """

    pos: Array
    neg: Array
    bias_pos: Array
    bias_neg: Array

    @property
    def rows(self) -> int:
        return int(self.pos.shape[0])

    @property
    def columns(self) -> int:
        return int(self.pos.shape[1])

    @property
    def devices(self) -> int:
        return 2 * self.columns * (self.rows + 1)

    @property
    def column_sum(self) -> Array:
        """All conductances of a column, [columns], siemens."""
        return self.pos.sum(0) + self.neg.sum(0) + self.bias_pos + self.bias_neg

    @property
    def row_sums(self) -> tuple[Array, Array]:
        """All conductances of every positive and of every negative row, [rows] each, siemens."""
        return self.pos.sum(1), self.neg.sum(1)

    def active_sums(self, active: NDArray) -> tuple[Array, Array]:
        """Conductances of the active row pairs and of the bias pair, summed by column: (positive, negative side)
        [samples, columns], siemens; active [samples, rows], 0 or 1."""
        return active @ self.pos + self.bias_pos, active @ self.neg + self.bias_neg

    def in_order(self, pairs: NDArray[np.int64]) -> Crossbar:
        """The row pairs in another order, [rows]."""
        return Crossbar(self.pos[pairs], self.neg[pairs], self.bias_pos, self.bias_neg)

    def bias_current(self, rails: Rails) -> Array:
        """Current of the two bias rows into a column held at 0 V, [columns], amperes."""
        return self.bias_pos * rails.vdd_V + self.bias_neg * rails.vss_V

    def open_column_voltage(self, v_pos: NDArray, v_neg: NDArray, rails: Rails) -> Array:
        """Column voltages [samples, columns] when ideal sources hold the rows at v_pos, v_neg [samples, rows], volts.

        A column drives only gates, so it floats at the mean of its rows weighted with the conductances.
        """
        return (v_pos @ self.pos + v_neg @ self.neg + self.bias_current(rails)) / self.column_sum

    def thevenin(self, v_pos: NDArray, v_neg: NDArray, rails: Rails) -> tuple[Array, Array]:
        """(voltages [samples, columns] in volts, conductances [columns] in siemens) of the sources that the columns are
        to whatever hangs on them, exactly, when ideal sources hold the rows and the devices are ohmic."""
        return self.open_column_voltage(v_pos, v_neg, rails), self.column_sum

    def source_power(self, v_pos: NDArray, v_neg: NDArray, rails: Rails) -> Array:
        """What the crossbar turns into heat, [samples], watts: all of it comes from the sources of its rows and of its
        bias rows, when ideal ones hold them as in `open_column_voltage`."""
        v_col = self.open_column_voltage(v_pos, v_neg, rails)
        bias = self.bias_pos.sum() * rails.vdd_V**2 + self.bias_neg.sum() * rails.vss_V**2
        rows = v_pos**2 @ self.pos.sum(1) + v_neg**2 @ self.neg.sum(1)
        heat: Array = rows + bias - v_col**2 @ self.column_sum
        return heat
