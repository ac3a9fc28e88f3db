"""The voltage transfer curve of the unit inverter, loaded by a conductance to a voltage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spicetrain.characterization.plan import PlanSection
from spicetrain.characterization.sweep import Columns, Subject, Sweep, rail_grid, swept
from spicetrain.inverter.netlists.cells import add_inverter, new_circuit
from spicetrain.netlists.cells import text_of
from spicetrain.spice.deck import Deck


class LoadedVtcPlan(PlanSection):
    """v_out of the unit inverter over v_in, the load's voltage and its conductance (0, then log-spaced)."""

    v_in_points: int = Field(default=201, ge=2)
    v_load_points: int = Field(default=41, ge=2)
    g_load_points: int = Field(default=24, ge=2)
    g_load_min_S: float = Field(default=1e-7, gt=0)
    g_load_max_S: float = Field(default=3e-4, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.g_load_min_S >= self.g_load_max_S:
            raise ValueError(f"g_load_min_S = {self.g_load_min_S} is not below g_load_max_S = {self.g_load_max_S}")
        return self


@dataclass(frozen=True)
class LoadedVtcSweep(Sweep[LoadedVtcPlan]):
    """v_in_V, g_load_S (per finger), v_load_V, v_out_V; all conductances stand side by side in one deck."""

    @property
    def _v_in(self) -> NDArray:
        return rail_grid(self.technology.rails, self.plan.v_in_points)

    @property
    def _v_load(self) -> NDArray:
        grid = rail_grid(self.technology.rails, self.plan.v_load_points)
        return grid[slice(*self.share(len(grid)))]

    @property
    def _g_load(self) -> NDArray:
        plan = self.plan
        return np.concatenate([[0.0], np.geomspace(plan.g_load_min_S, plan.g_load_max_S, plan.g_load_points)])

    def deck(self) -> Deck:
        circuit = new_circuit(self.technology)
        circuit.V("in", "v_in", circuit.gnd, 0.0)
        circuit.V("load", "load", circuit.gnd, 0.0)
        for k, g in enumerate(self._g_load):
            add_inverter(circuit, str(k), "v_in", f"out{k}", 1)
            if g > 0:
                circuit.R(f"load{k}", f"out{k}", "load", float(1 / g))
        return Deck(
            text_of(circuit),
            f".dc {swept('vin', self._v_in)} {swept('vload', self._v_load)}",
            tuple(f"v(out{k})" for k in range(len(self._g_load))),
            points=len(self._v_in) * len(self._v_load),
            temperature_C=self.technology.temperature_C,
        )

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        v_load, g_load, v_in = np.meshgrid(self._v_load, self._g_load, self._v_in, indexing="ij")
        shape = (len(self._v_load), len(self._v_in))
        v_out = np.stack([values[f"v(out{k})"].reshape(shape) for k in range(len(self._g_load))], axis=1)
        named = {"v_in_V": v_in, "g_load_S": g_load, "v_load_V": v_load, "v_out_V": v_out}
        return {name: column.ravel() for name, column in named.items()}


def sweeps(plan: LoadedVtcPlan, subject: Subject, parts: int) -> list[LoadedVtcSweep]:
    """Shares of the load voltages."""
    parts = min(parts, plan.v_load_points)
    return [LoadedVtcSweep(plan, subject.technology, part, parts) for part in range(parts)]
