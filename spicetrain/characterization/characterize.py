"""Plan -> sweeps in parallel ngspice processes -> tables in a folder."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from spicetrain.characterization.cache import CacheEntry
from spicetrain.characterization.check import check
from spicetrain.characterization.examined import Examined
from spicetrain.characterization.plan import Plan, PlanSection, TableKind
from spicetrain.characterization.sweep import Measurement, Subject, Sweep, measure
from spicetrain.errors import ConfigurationError
from spicetrain.keyed import Recipe
from spicetrain.progress import track
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import require_writable, write_json

RECORD = "characterization.json"
Source = Literal["cache", "folder", "measured"]


def characterize(
    subject: Subject, plan: Plan, simulator: Simulator, folder: Path, *, examined: Examined | None = None
) -> dict[str, Path]:
    """Measure the tables of `plan`, or read them from the cache, or from `folder`: {name: folder/<name>.parquet}.

    Every finished run is kept in the cache at once, so an interrupted call resumes with what is missing.
    Beside the tables characterization.json says where each came from and how long it took.
    What is to be measured is checked first, by `examined`, unless all of it is there already.

    Raises TechnologyError when it cannot be what is meant, SimulationError when ngspice fails, StorageError when folder
    or cache cannot be written.
    """
    import pandas  # noqa: F401  # not at the top: it costs every other command half a second
    import pyarrow.parquet  # noqa: F401

    start_s = time.time()
    tables = _tables(subject, plan, simulator, folder)
    pending = [table for table in tables if not table.stored]
    if pending:
        require_writable(pending[0].entry.folder.parent)
        if examined is not None:
            check(examined, simulator)
    runs = [(table, sweep) for table in pending for sweep in table.missing()]
    runs = runs[-1:] + runs[:-1]  # a small deck first, so that an ngspice works while the large ones are built
    sweeps = [sweep for _, sweep in runs]
    with (
        track("characterize", sum(len(table.sweeps) for table in pending), "runs") as bar,
        closing(simulator.map(partial(measure, simulator), sweeps)) as results,
    ):
        bar.advance(sum(len(table.frames) for table in pending))
        for index, result in results:
            runs[index][0].keep(sweeps[index], result)
            bar.advance(table=runs[index][0].entry.name)
    paths = {table.entry.name: folder / f"{table.entry.name}.parquet" for table in tables}
    for table in tables:
        table.finish()
        table.entry.copy_to(paths[table.entry.name])
    write_json(folder / RECORD, _origin(subject, simulator) | _took(tables, time.time() - start_s))
    return paths


@dataclass
class _Table:
    """A table on its way: its sweeps, and the frames of those that are done."""

    entry: CacheEntry
    about: dict[str, Any]
    sweeps: list[Sweep[Any]]
    source: Source
    stored: bool  # it is in the cache by now
    frames: dict[int, Any] = field(default_factory=dict)
    intervals: list[tuple[float, float]] = field(default_factory=list)

    def missing(self) -> list[Sweep[Any]]:
        """The sweeps without a finished part in the cache."""
        for sweep in self.sweeps:
            frame = self.entry.read_part(sweep.part, sweep.parts)
            if frame is not None:
                self.frames[sweep.part] = frame
        return [sweep for sweep in self.sweeps if sweep.part not in self.frames]

    def keep(self, sweep: Sweep[Any], result: Measurement) -> None:
        """Take in one run's answer; the last one makes the table whole."""
        import pandas as pd

        frame = pd.DataFrame(result.columns)
        self.entry.write_part(sweep.part, sweep.parts, frame)
        self.frames[sweep.part] = frame
        self.intervals.append((result.start_s, result.end_s))
        self.finish()

    def finish(self) -> None:
        """Write the whole table to the cache once all its parts are there."""
        import pandas as pd

        if not self.stored and len(self.frames) == len(self.sweeps):
            frames = [self.frames[part] for part in sorted(self.frames)]
            seconds = sum(end - start for start, end in self.intervals)
            self.entry.write_table(pd.concat(frames, ignore_index=True), self.about | {"seconds": seconds})
            self.stored = True


def _tables(subject: Subject, plan: Plan, simulator: Simulator, folder: Path) -> list[_Table]:
    """Those of the plan that the subject has, in the order of their kinds."""
    tables = []
    for name, kind in plan.kinds.items():
        section = plan.sections.get(name)
        if section is None:
            continue
        if kind.of_circuit and subject.circuit is None:
            raise ConfigurationError(f"The plan asks for {name}, a table of a spiking circuit, and there is none.")
        if not kind.applies(subject):
            continue
        entry = CacheEntry(name, table_key(name, kind, section, subject, simulator.version))
        source = _source(entry, folder)
        about = _origin(subject, simulator) | {"plan": section.facts()}
        sweeps = list(kind.sweeps(section, subject, simulator.cores))
        tables.append(_Table(entry, about, sweeps, source, source != "measured"))
    return tables


def table_key(name: str, kind: TableKind, section: PlanSection, subject: Subject, version: int) -> str:
    """Of all that a table's values depend on; `version` is ngspice's."""
    return Recipe(name, kind.version).key(
        plan=section.facts(), technology=subject.technology, circuit=subject.circuit, ngspice=version
    )


def _source(entry: CacheEntry, folder: Path) -> Source:
    """Where a table comes from; one that only `folder` has is in the cache afterwards."""
    if entry.has_table():
        return "cache"
    return "folder" if entry.adopt(folder / f"{entry.name}.parquet") else "measured"


def _origin(subject: Subject, simulator: Simulator) -> dict[str, Any]:
    technology, circuit = subject.technology, subject.circuit
    return {
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "ngspice_version": simulator.version,
    } | ({} if circuit is None else {"circuit": circuit.name})


def _took(tables: list[_Table], wall_s: float) -> dict[str, Any]:
    """`ngspice_s` is the time in which at least one ngspice was running."""
    ngspice_s = covered([interval for table in tables for interval in table.intervals])
    return {
        "tables": {table.entry.name: table.source for table in tables},
        "wall_s": wall_s,
        "ngspice_s": ngspice_s,
        "ngspice_share": ngspice_s / wall_s,
    }


def covered(intervals: list[tuple[float, float]]) -> float:
    """Length of the union of the intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
