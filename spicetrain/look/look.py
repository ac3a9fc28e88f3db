"""Check, measure, judge, draw."""

from __future__ import annotations

from pathlib import Path

from spicetrain.characterization.check import check
from spicetrain.inverter.characterization.check import examined
from spicetrain.look.measure import look_at
from spicetrain.look.page import page_of
from spicetrain.look.verdict import Row, rows_of
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import require_writable, write_atomic
from spicetrain.technology import Technology


def look(technology: Technology, simulator: Simulator, folder: Path) -> tuple[list[Row], Path]:
    """(verdict, path of the page), the page written as `folder`/technology.html.

    Raises TechnologyError when it cannot be the circuit that is meant, SimulationError, StorageError.
    """
    require_writable(folder)
    figures = check(examined(technology), simulator)
    found = look_at(technology, simulator)
    rows, path = rows_of(technology, figures, found), folder / "technology.html"
    with write_atomic(path) as temporary:
        temporary.write_text(page_of(technology, rows, found), encoding="utf-8")
    return rows, path
