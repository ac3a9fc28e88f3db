"""What the benchmarks share: alternating runs, medians, a table on the screen and a JSON file."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from spicetrain import __version__
from spicetrain.storage import write_json

RESULTS = Path(__file__).parent / "results"


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with --out, the JSON file the result goes to."""
    made = argparse.ArgumentParser(prog=name, description=description)
    made.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="JSON file (default: %(default)s)")
    return made


def seconds(job: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def alternate(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each job, A B A B: what else the machine does falls on all of them."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            taken[name].append(seconds(job))
    return taken


@contextmanager
def empty_cache() -> Iterator[Path]:
    """A temporary folder with an empty cache in it, for the time of a benchmark."""
    before = os.environ.get("SPICETRAIN_CACHE")
    with tempfile.TemporaryDirectory(prefix="spicetrain-benchmark-") as name:
        os.environ["SPICETRAIN_CACHE"] = str(Path(name) / "cache")
        try:
            yield Path(name)
        finally:
            if before is None:
                del os.environ["SPICETRAIN_CACHE"]
            else:
                os.environ["SPICETRAIN_CACHE"] = before


def finish(out: Path, title: str, rows: Mapping[str, str], result: dict[str, Any], met: bool | None) -> None:
    """Print the table and write the result with the machine it was measured on. A missed target is said, not raised;
    None: what it needs is not on this machine."""
    table = Table("figure", "value", title=title)
    for name, value in rows.items():
        table.add_row(name, value)
    table.add_row("target", {True: "met", False: "MISSED", None: "not measured"}[met])
    console = Console()
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, result | {"target_met": met, "machine": _machine()})
    console.print(f"in {out}")


def save(figure: Figure, path: Path) -> None:
    """A drawing, its axes with a grid and a legend."""
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),  # far above 0 at the start: somebody else was measured as well
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "spicetrain": __version__,
    }
