"""One deck, one ngspice process, one answer that can be trusted."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import NDArray

from spicetrain.errors import NgspiceError, SimulationError
from spicetrain.spice.deck import Deck, loads_osdi, setup_of
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.process import DECK, RAW, run_in
from spicetrain.spice.rawfile import RawTable, read_raw
from spicetrain.spice.verdict import judge, vector
from spicetrain.storage import storage_errors

RUNNING, FAILED = "spicetrain-run-", "spicetrain-failed-"


@dataclass(frozen=True)
class Simulation:
    """What ngspice answered.

    values    by the names in `deck.saves`, each [points] float64 (complex128 for .ac), volts and amperes;
              besides them "sweep" (.dc: the inner swept value), "time" (.tran, s) or "frequency" (.ac, Hz)
    seconds   wall time of the process
    messages  its log
    """

    values: dict[str, NDArray]
    seconds: float
    messages: str


def simulate(deck: Deck, ngspice: Ngspice, timeout_s: float = 600.0) -> Simulation:
    """Run `deck` in a temporary folder: deleted on success and on an interrupt, kept and named on failure.

    Raises SimulationError when ngspice fails, is killed, exceeds `timeout_s`, or answers what cannot be trusted;
    StorageError when the temporary folder cannot be written; NgspiceError when it does not start, or has no OSDI where
    the deck needs it.
    """
    text = deck.text(ngspice)
    temporary = Path(tempfile.gettempdir())
    with storage_errors(temporary):
        folder = Path(tempfile.mkdtemp(prefix=RUNNING, dir=temporary))
    try:
        return _run(deck, text, ngspice, folder, timeout_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a kept folder has another name by now


def _run(deck: Deck, text: str, ngspice: Ngspice, folder: Path, timeout_s: float) -> Simulation:
    with storage_errors(folder):
        (folder / DECK).write_text(text)
    setup = setup_of(text)
    if loads_osdi(setup):
        ngspice.require_osdi()
    try:
        outcome = run_in(folder, ngspice.executable, timeout_s=timeout_s, setup=setup)
    except OSError as error:
        raise NgspiceError(f"{ngspice.executable} does not start: {error}.") from error
    raw = read_raw(folder / RAW)
    finding = judge(deck, outcome, raw, timeout_s)
    if finding is not None or raw is None:
        kept = folder.rename(folder.with_name(folder.name.replace(RUNNING, FAILED)))
        raise SimulationError(finding.text(kept) if finding else f"No raw file. Deck kept in {kept}.", kept)
    return Simulation(_named(deck, raw), outcome.seconds, outcome.log)


def _named(deck: Deck, raw: RawTable) -> dict[str, NDArray]:
    values = {name: column for name in deck.saves if (column := vector(raw, name)) is not None}
    if deck.kind != "op":
        # .real: in an .ac ngspice leaves the imaginary part of the frequency unset.
        values["sweep" if deck.kind == "dc" else raw.names[0]] = raw.values[0].real
    return values
