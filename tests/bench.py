"""What the tests of several rooms hand down: a simulator, a plan, a double of ngspice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spicetrain.characterization.plan import Plan, PlanSection, TableKind
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.spice.simulate import Simulation
from spicetrain.spice.simulator import Simulator


def simulator(ngspice: Ngspice | None = None, workers: int | None = 1, **values: Any) -> Simulator:
    """One process, unless told otherwise."""
    return Simulator(ngspice or find_ngspice(), workers, **values)


def plan_of(kinds: Mapping[str, TableKind] = TABLES, /, **sections: PlanSection) -> Plan:
    """A plan of these sections; by default of the inverter system."""
    return Plan(sections, kinds)


def double(answer: Callable[[Deck], Mapping[str, ArrayLike]], **values: Any) -> Simulator:
    """A simulator that starts no process: `answer` gives the vectors of a deck, by name."""

    def answered(deck: Deck, ngspice: Ngspice, timeout_s: float) -> Simulation:
        return Simulation({name: np.asarray(vector) for name, vector in answer(deck).items()}, 0.0, "")

    ngspice = Ngspice(Path("double"), version=99, klu=False, code_models=True)
    return Simulator(ngspice, 1, answer=answered, **values)


class Counted:
    """An `answer` of a simulator that is ngspice's, counting; raises KeyboardInterrupt instead of the given call."""

    def __init__(self, interrupt_at: int = 0) -> None:
        self.calls, self.interrupt_at = 0, interrupt_at

    def __call__(self, deck: Deck, ngspice: Ngspice, timeout_s: float) -> Simulation:
        from spicetrain.spice.simulate import simulate

        self.calls += 1
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        return simulate(deck, ngspice, timeout_s)
