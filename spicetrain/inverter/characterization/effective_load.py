"""What the driver of a crossbar row sees: a conductance to a return voltage (a Thevenin load).

All rows are held by ideal sources. A sweep over an index gives the row currents I(v), and again with each
row moved in turn:
    g_load = (I(v + dv) - I(v)) / dv,   v_return = v - I(v) / g_load
which is exact for ohmic devices and a secant for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.array.netlist import add_crossbar
from spicetrain.characterization.sweep import Columns, Subject, Sweep
from spicetrain.inverter.characterization.crossbars import EffectiveLoadPlan, Specimen, specimens
from spicetrain.inverter.netlists.cells import new_circuit
from spicetrain.netlists.cells import VDD, VSS, text_of
from spicetrain.netlists.index_source import add_index, add_lookup, sweep
from spicetrain.spice.deck import Deck

_SECANT_OF_HALF_SWING = 0.04
_SIDES = ("pos", "neg")


@dataclass(frozen=True)
class EffectiveLoadSweep(Sweep[EffectiveLoadPlan]):
    """Some crossbars, side by side in one deck.

    crossbar, origin, distribution, sample, rows (pairs), columns, row, side, and for the row's driver
    g_sum_S        sum of the row's conductances
    g_square_S2    sum of their squares
    column_sum_S   total conductance of its columns, mean weighted with the row's conductances
    v_row_V        its own voltage
    v_columns_V    voltage of its columns, mean weighted with the row's conductances
    g_load_S, v_return_V as measured
    """

    specimens: tuple[Specimen, ...] = ()

    def deck(self) -> Deck:
        points = max(specimen.points for specimen in self.specimens)
        circuit = new_circuit(self.technology)
        add_index(circuit)
        for specimen in self.specimens:
            self._add(circuit, specimen, points)
        return Deck(
            text_of(circuit),
            sweep(points),
            tuple(name for specimen in self.specimens for name in (*_currents(specimen), *_columns(specimen))),
            points=points,
            temperature_C=self.technology.temperature_C,
        )

    def _add(self, circuit: Circuit, specimen: Specimen, points: int) -> None:
        number, pairs = specimen.number, range(specimen.crossbar.rows)
        names = [(f"x{number}_{i}p", f"x{number}_{i}n") for i in pairs]
        add_crossbar(circuit, number, specimen.crossbar, names, (VDD, VSS), self.technology.memristor)
        voltages = self._v_driven(specimen)
        idle = np.repeat(voltages[-1:], points - len(voltages), axis=0)
        for row, v in zip((name for pair in names for name in pair), np.vstack([voltages, idle]).T, strict=True):
            add_lookup(circuit, f"s{row}", v)
            circuit.V(row, f"s{row}", row, 0.0)  # an ammeter: what the driver delivers

    def _v_driven(self, specimen: Specimen) -> NDArray[np.float64]:
        """Row voltages over the sweep, [points, drivers]."""
        blocks = []
        for base, step in self._base_and_step(specimen):
            blocks += [base[np.newaxis], base + np.diag(step)]
        return np.vstack(blocks)

    def _base_and_step(self, specimen: Specimen) -> Iterator[tuple[NDArray, NDArray]]:
        """For each sample, the row voltages [drivers] and how far each is moved: towards the other rail."""
        rails = self.technology.rails
        size = rails.half_swing_V * (1.0 if self.technology.memristor.reduces else _SECANT_OF_HALF_SWING)
        for v in specimen.v_rows:
            base = v.ravel()
            yield base, np.where(base < rails.mid_V, size, -size)

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        parts = [
            self._columns_of_sample(specimen, sample, base, step, values)
            for specimen in self.specimens
            for sample, (base, step) in enumerate(self._base_and_step(specimen))
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _columns_of_sample(
        self, specimen: Specimen, sample: int, base: NDArray, step: NDArray, values: Mapping[str, NDArray]
    ) -> Columns:
        crossbar, drivers = specimen.crossbar, specimen.drivers
        start = sample * (1 + drivers)
        current = np.stack([values[name][start : start + 1 + drivers] for name in _currents(specimen)], axis=1)
        v_columns = np.array([values[name][start] for name in _columns(specimen)])
        g = np.stack([crossbar.pos, crossbar.neg], axis=1).reshape(drivers, crossbar.columns)
        g_sum = g.sum(1)
        g_load = (np.diag(current[1:]) - current[0]) / step
        return {
            **_labels(specimen, sample),
            "g_sum_S": g_sum,
            "g_square_S2": (g**2).sum(1),
            "column_sum_S": g @ crossbar.column_sum / g_sum,
            "v_row_V": base,
            "v_columns_V": g @ v_columns / g_sum,
            "g_load_S": g_load,
            "v_return_V": base - current[0] / g_load,
        }


def sweeps(plan: EffectiveLoadPlan, subject: Subject, parts: int) -> list[EffectiveLoadSweep]:
    """The crossbars dealt out so that every run has about as much to do."""
    hands: list[list[Specimen]] = [[] for _ in range(parts)]
    for specimen in sorted(specimens(plan, subject.technology), key=_work, reverse=True):
        min(hands, key=lambda hand: sum(map(_work, hand))).append(specimen)
    dealt = [tuple(hand) for hand in hands if hand]
    return [EffectiveLoadSweep(plan, subject.technology, part, len(dealt), hand) for part, hand in enumerate(dealt)]


def _work(specimen: Specimen) -> int:
    return specimen.points * specimen.drivers * specimen.crossbar.columns


def _currents(specimen: Specimen) -> list[str]:
    return [f"i(vx{specimen.number}_{i}{side})" for i in range(specimen.crossbar.rows) for side in "pn"]


def _columns(specimen: Specimen) -> list[str]:
    return [f"v(c{specimen.number}_{j})" for j in range(specimen.crossbar.columns)]


def _labels(specimen: Specimen, sample: int) -> Columns:
    crossbar, drivers = specimen.crossbar, specimen.drivers
    constant = {
        "crossbar": specimen.number,
        "origin": specimen.origin,
        "distribution": specimen.distribution,
        "sample": sample,
        "rows": crossbar.rows,
        "columns": crossbar.columns,
    }
    labels: Columns = {name: np.full(drivers, value) for name, value in constant.items()}
    return labels | {"row": np.arange(drivers) // 2, "side": np.tile(_SIDES, crossbar.rows)}
