"""The memristor's current over its voltage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from spicetrain.characterization.plan import PlanSection, TableKind
from spicetrain.characterization.sweep import Columns, Subject, Sweep, swept
from spicetrain.netlists.cells import models_only, text_of
from spicetrain.spice.deck import Deck


class MemristorIvPlan(PlanSection):
    """I-V of the memristor, g log-spaced over its range, v from -(VDD - VSS) to VDD - VSS."""

    g_points: int = Field(default=9, ge=2)
    v_points: int = Field(default=101, ge=2)


@dataclass(frozen=True)
class MemristorIvSweep(Sweep[MemristorIvPlan]):
    """form, g_S (small-signal), v_V, i_A; the devices stand side by side, each behind an ammeter."""

    @property
    def _v(self) -> NDArray:
        rails = self.technology.rails
        return np.linspace(-1, 1, self.plan.v_points) * (rails.vdd_V - rails.vss_V)

    @property
    def _g(self) -> NDArray:
        memristor = self.technology.memristor
        return np.geomspace(memristor.g_min_S, memristor.g_max_S, self.plan.g_points)

    def deck(self) -> Deck:
        circuit = models_only(self.technology)
        circuit.V("across", "across", circuit.gnd, 0.0)
        for k, g in enumerate(self._g):
            circuit.V(f"meter{k}", "across", f"top{k}", 0.0)
            self.technology.memristor.add(circuit, f"device{k}", f"top{k}", "0", float(g))
        return Deck(
            text_of(circuit),
            f".dc {swept('vacross', self._v)}",
            tuple(f"i(vmeter{k})" for k in range(len(self._g))),
            points=len(self._v),
            temperature_C=self.technology.temperature_C,
        )

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        count = len(self._g)
        return {
            "form": np.full(count * len(self._v), self.technology.memristor.form),
            "g_S": np.repeat(self._g, len(self._v)),
            "v_V": np.tile(self._v, count),
            "i_A": np.concatenate([values[f"i(vmeter{k})"] for k in range(count)]),
        }


def sweeps(plan: MemristorIvPlan, subject: Subject, parts: int) -> list[MemristorIvSweep]:
    """One run, whatever `parts`: it takes milliseconds."""
    return [MemristorIvSweep(plan, subject.technology, 0, 1)]


MEMRISTOR_IV = TableKind(MemristorIvPlan, sweeps)
