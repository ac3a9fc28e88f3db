"""What every sweep is: a few decks, and how their answers become the columns of a table."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from spicetrain.rails import Rails
from spicetrain.schema import Definition
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

Columns = dict[str, NDArray]
Asked = TypeVar("Asked", bound=Definition)


@dataclass(frozen=True)
class Subject:
    """What is measured: a technology, and the circuit of a system that has one (with a name and a fingerprint)."""

    technology: Technology
    circuit: Any = None


@dataclass(frozen=True)
class Sweep(ABC, Generic[Asked]):
    """One ngspice run: part number `part` of the `parts` in which a table is measured. Picklable."""

    plan: Asked
    technology: Technology
    part: int
    parts: int

    @abstractmethod
    def deck(self) -> Deck:
        """What ngspice is to do."""

    @abstractmethod
    def columns(self, values: Mapping[str, NDArray]) -> Columns:
        """The table's columns from the vectors that the deck saved."""

    def share(self, total: int) -> tuple[int, int]:
        """First and one past last of this part's share of `total` steps."""
        return total * self.part // self.parts, total * (self.part + 1) // self.parts


@dataclass(frozen=True)
class Measurement:
    """The answer of one run; start_s and end_s of ngspice on the machine's clock."""

    columns: Columns
    start_s: float
    end_s: float


def measure(simulator: Simulator, sweep: Sweep) -> Measurement:
    """Run one sweep. Raises SimulationError."""
    deck = sweep.deck()
    start_s = time.time()
    simulation = simulator.simulate(deck)
    return Measurement(sweep.columns(simulation.values), start_s, start_s + simulation.seconds)


def rail_grid(rails: Rails, points: int) -> NDArray[np.float64]:
    """`points` voltages from the lower to the upper rail."""
    return np.linspace(rails.vss_V, rails.vdd_V, points)


def swept(source: str, grid: NDArray) -> str:
    """The part of a .dc line that takes `source` through the evenly spaced `grid`."""
    # ngspice adds the step up and stops above the last value: a lone point needs a step all the same.
    step = (grid[-1] - grid[0]) / (len(grid) - 1) if len(grid) > 1 else 1.0
    return f"{source} {float(grid[0])!r} {float(grid[-1])!r} {float(step)!r}"
