"""How decks are simulated: one object, handed down once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.pool import Map, available_cores, map_unordered, persistent_workers
from spicetrain.spice.simulate import Simulation, simulate

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = Callable[[Deck, Ngspice, float], Simulation]


@dataclass(frozen=True)
class Simulator:
    """An ngspice and how it is used.

    workers    processes at a time; None: one a core
    executor   any concurrent.futures executor instead of processes of our own; it is the caller's
    timeout_s  of one deck
    scratch    folder where finished pieces of a long work are kept until it is done; None: nowhere
    answer     what answers a deck: ngspice, or a double of it

    It can be sent to a worker; what arrives there simulates in that process.
    """

    ngspice: Ngspice
    workers: int | None = None
    executor: Executor | None = None
    timeout_s: float = 3600.0
    scratch: Path | None = None
    answer: Answer = simulate

    @property
    def version(self) -> int:
        """Of ngspice."""
        return self.ngspice.version

    @property
    def cores(self) -> int:
        """How many decks are simulated at a time."""
        return self.workers or available_cores()

    def changed(self, **values: Any) -> Self:
        """The same with another timeout, scratch folder ..."""
        return replace(self, **values)

    def simulate(self, deck: Deck) -> Simulation:
        """One deck, in this process. Raises what `simulate` raises."""
        return self.answer(deck, self.ngspice, self.timeout_s)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """(index of the item, function(item)) as they finish, in parallel; see `map_unordered`."""
        return map_unordered(function, items, workers=self.workers, executor=self.executor)

    @contextmanager
    def persistent_workers(self) -> Iterator[Map]:
        """`map` for many small maps, by processes that stay until the context ends."""
        if self.executor is not None:
            yield self.map
            return
        with persistent_workers(self.workers) as run:
            yield run

    def __reduce__(self) -> Any:
        """Executors cannot be sent."""
        return type(self), (self.ngspice, 1, None, self.timeout_s, self.scratch, self.answer)
