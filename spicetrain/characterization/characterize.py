"""Plan -> sweeps in parallel ngspice processes -> tables in a folder."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from spicetrain.characterization import memristor_iv
from spicetrain.characterization.cache import CacheEntry
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Measurement, Sweep, measure
from spicetrain.inverter.characterization import current_surface, effective_load, loaded_vtc
from spicetrain.progress import track
from spicetrain.schema import Definition
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.pool import available_cores, map_unordered
from spicetrain.spiking.characterization import tables as spiking
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.storage import content_hash, sha256_of_file, write_json
from spicetrain.technology import Technology

SUMMARY = "characterization.json"
Source = Literal["cache", "folder", "measured"]


def characterize(
    technology: Technology,
    plan: Plan,
    ngspice: Ngspice,
    folder: Path,
    *,
    circuit: SpikingCircuit | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
) -> dict[str, Path]:
    """Measure the tables of `plan`, or read them from the cache, or from `folder`: {name: folder/<name>.parquet}.

    circuit   the spiking circuit, for those tables that are of one
    workers   how many ngspice processes at a time; None: one a core
    executor  any concurrent.futures executor instead of processes of our own

    Every finished run is kept in the cache at once, so an interrupted call resumes with what is missing.
    Beside the tables characterization.json says where each came from and how long it took.
    Raises SimulationError when ngspice fails, StorageError when folder or cache cannot be written, ConfigurationError
    when the plan has tables of a spiking circuit and there is none.
    """
    import pandas  # noqa: F401  # not at the top: it costs every other command half a second
    import pyarrow.parquet  # noqa: F401

    start_s = time.time()
    tables = _tables(technology, plan, ngspice, workers or available_cores(), folder, circuit)
    pending = [table for table in tables if not table.stored]
    runs = [(table, sweep) for table in pending for sweep in table.missing()]
    runs = runs[-1:] + runs[:-1]  # a small deck first, so that an ngspice works while the large ones are built
    sweeps = [sweep for _, sweep in runs]
    function = partial(measure, ngspice=ngspice)
    with (
        track("characterize", sum(len(table.sweeps) for table in pending), "runs") as bar,
        closing(map_unordered(function, sweeps, workers=workers, executor=executor)) as results,
    ):
        bar.advance(sum(len(table.frames) for table in pending))
        for index, result in results:
            runs[index][0].keep(sweeps[index], result)
            bar.advance(table=runs[index][0].entry.name)
    paths = {table.entry.name: folder / f"{table.entry.name}.parquet" for table in tables}
    for table in tables:
        table.finish()
        table.entry.copy_to(paths[table.entry.name])
    write_json(folder / SUMMARY, _summary(technology, ngspice, tables, time.time() - start_s))
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


def _tables(
    technology: Technology, plan: Plan, ngspice: Ngspice, parts: int, folder: Path, circuit: SpikingCircuit | None
) -> list[_Table]:
    trained = plan.trained_networks()
    origin = _origin(technology, ngspice)
    checksums = [sha256_of_file(path) for path in trained]
    tables = []

    def add(
        name: str, version: int, section: Definition, sweeps: Iterable[Sweep[Any]], *inputs: str, **more: str
    ) -> None:
        plan_text = section.model_dump_json(exclude={"trained"})
        key = content_hash(name, version, plan_text, technology.fingerprint, ngspice.version, *inputs)
        entry = CacheEntry(name, key)
        source = _source(entry, folder)
        about = origin | more | {"plan": section.model_dump(mode="json")}
        tables.append(_Table(entry, about, list(sweeps), source, source != "measured"))

    if (loads := plan.effective_load) is not None:
        sweeps = effective_load.sweeps(loads, technology, parts, trained)
        add("effective_load", effective_load.VERSION, loads, sweeps, *checksums)
    if (surface := plan.current_surface) is not None:
        add("current_surface", current_surface.VERSION, surface, current_surface.sweeps(surface, technology, parts))
    if (iv := plan.memristor_iv) is not None:
        add("memristor_iv", memristor_iv.VERSION, iv, memristor_iv.sweeps(iv, technology, parts))
    if (vtc := plan.loaded_vtc) is not None:
        add("loaded_vtc", loaded_vtc.VERSION, vtc, loaded_vtc.sweeps(vtc, technology, parts))
    for name, section, version, build in spiking.tables(plan, circuit):
        assert circuit is not None  # else spiking.tables raises
        measured = build(section, technology, circuit)
        add(name, version, section, measured, circuit.fingerprint, circuit=circuit.name)
    return tables


def _source(entry: CacheEntry, folder: Path) -> Source:
    """Where a table comes from; one that only `folder` has is in the cache afterwards."""
    if entry.has_table():
        return "cache"
    return "folder" if entry.adopt(folder / f"{entry.name}.parquet") else "measured"


def _origin(technology: Technology, ngspice: Ngspice) -> dict[str, Any]:
    return {
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "ngspice_version": ngspice.version,
    }


def _summary(technology: Technology, ngspice: Ngspice, tables: list[_Table], wall_s: float) -> dict[str, Any]:
    """`ngspice_s` is the time in which at least one ngspice was running."""
    ngspice_s = covered([interval for table in tables for interval in table.intervals])
    return _origin(technology, ngspice) | {
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
