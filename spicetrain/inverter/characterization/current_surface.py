"""The unit inverter's currents, with ideal sources at its input and its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from spicetrain.characterization.plan import PlanSection
from spicetrain.characterization.sweep import Columns, Subject, Sweep, rail_grid, swept
from spicetrain.inverter.netlists.cells import add_inverter, new_circuit
from spicetrain.netlists.cells import VDD, VSS, text_of
from spicetrain.rails import Rails
from spicetrain.spice.deck import Deck


class CurrentSurfacePlan(PlanSection):
    """Currents of the unit inverter over `points` x `points` of (v_in, v_out), exactly the rails."""

    points: int = Field(default=201, ge=2)


class ShiftedSurfacePlan(CurrentSurfacePlan):
    """The same with the input up to `beyond_V` outside the rails, where mismatch of V_T shifts the gates; the step of
    the input is about that of the output."""

    points: int = Field(default=201, ge=2)
    beyond_V: float = Field(default=0.125, gt=0)


@dataclass(frozen=True)
class CurrentSurfaceSweep(Sweep[CurrentSurfacePlan]):
    """v_in_V, v_out_V, i_out_A (out of the inverter), i_vdd_A (from the upper rail), i_vss_A (into the lower
    one).

    The domain of v_out is exactly the rails: BSIM4 is not smooth across v_ds = 0, and no node can leave the rails.
    """

    @property
    def _v_out(self) -> NDArray:
        return rail_grid(self.technology.rails, self.plan.points)

    @property
    def _v_in(self) -> NDArray:
        every = inputs(self.plan, self.technology.rails)
        return every[slice(*self.share(len(every)))]

    def deck(self) -> Deck:
        circuit = new_circuit(self.technology)
        circuit.V("in", "v_in", circuit.gnd, 0.0)
        circuit.V("out", "v_out", circuit.gnd, 0.0)
        add_inverter(circuit, "unit", "v_in", "v_out", 1)
        return Deck(
            text_of(circuit),
            f".dc {swept('vout', self._v_out)} {swept('vin', self._v_in)}",
            ("i(vout)", f"i(v{VDD})", f"i(v{VSS})"),
            points=len(self._v_in) * len(self._v_out),
            temperature_C=self.technology.temperature_C,
        )

    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        # A source's current flows into its positive terminal.
        return {
            "v_in_V": np.repeat(self._v_in, len(self._v_out)),
            "v_out_V": np.tile(self._v_out, len(self._v_in)),
            "i_out_A": values["i(vout)"],
            "i_vdd_A": -values[f"i(v{VDD})"],
            "i_vss_A": values[f"i(v{VSS})"],
        }


def inputs(plan: CurrentSurfacePlan, rails: Rails) -> NDArray:
    """All v_in values."""
    if not isinstance(plan, ShiftedSurfacePlan):
        return rail_grid(rails, plan.points)
    low, high = rails.vss_V - plan.beyond_V, rails.vdd_V + plan.beyond_V
    return np.linspace(low, high, 1 + round((plan.points - 1) * (high - low) / (rails.vdd_V - rails.vss_V)))


def sweeps(plan: CurrentSurfacePlan, subject: Subject, parts: int) -> list[CurrentSurfaceSweep]:
    """Shares of the v_in values."""
    parts = min(parts, plan.points)
    return [CurrentSurfaceSweep(plan, subject.technology, part, parts) for part in range(parts)]
