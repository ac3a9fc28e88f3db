"""The voltage transfer curve of the unit inverter, loaded by a conductance to a voltage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spicetrain.characterization.plan import LoadedVtcPlan
from spicetrain.characterization.sweep import Columns, Sweep, rail_grid, swept
from spicetrain.inverter.netlists.cells import add_inverter, new_circuit
from spicetrain.netlists.cells import text_of
from spicetrain.spice.deck import Deck
from spicetrain.technology import Technology

VERSION = 1


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


def sweeps(plan: LoadedVtcPlan, technology: Technology, parts: int) -> list[LoadedVtcSweep]:
    """Shares of the load voltages."""
    parts = min(parts, plan.v_load_points)
    return [LoadedVtcSweep(plan, technology, part, parts) for part in range(parts)]
