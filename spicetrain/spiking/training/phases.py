"""How long each phase of a clock step counts, its linear edges taken as steps in their middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.surrogates.laws import SpikingLaws


@dataclass(frozen=True)
class Phases:
    """Seconds.

    driven_s  rows driven before the latch
    after_s   and after it; below 0 where they cease to conduct before the middle of the falling edge
    rest_s    rows at rest, up to the middle of the next rising edge
    reset_s   of these, reset on
    """

    driven_s: float
    after_s: float
    rest_s: float
    reset_s: float

    @classmethod
    def of(cls, circuit: SpikingCircuit, laws: SpikingLaws) -> Self:
        clock, ceases = circuit.clock, laws.cell_ceases_s
        return cls(
            driven_s=clock.integrate_s - clock.edge_s / 2 - laws.cell_late_s,
            after_s=clock.edge_s / 2 - ceases,
            rest_s=clock.rest_s + laws.cell_late_s + ceases,
            reset_s=clock.rest_s - laws.reset_lost_s,
        )
