"""Whether an answer of ngspice can be used. Exit code and stderr alone do not tell."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicetrain.spice.deck import Deck
from spicetrain.spice.process import Outcome
from spicetrain.spice.rawfile import RawTable

_LINES_SHOWN = 8
_BY_HAND = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


@dataclass(frozen=True)
class FatalMessage:
    """A line of the log after which no number counts, and what is likely behind it."""

    pattern: str
    cause: str


_NODE = "a node has no DC path to ground (floating gate, capacitor in series), or voltage sources form a loop"
_CONVERGENCE = (
    "the circuit does not converge: look at the node named in the log, at ideal sources in conflict, "
    "at steps in a B source"
)

# ngspice takes "nan" and "inf" for names: of a model (R, C), of a parameter (all others).
_NO_NUMBER = r"[-+]?(nan|inf)"

# Gmin stepping, source stepping, "Note:" and "out of range" lines are not here: ngspice recovers from them.
FATAL_MESSAGES = (
    FatalMessage(
        rf"model '{_NO_NUMBER}'|parameter [(\[]{_NO_NUMBER}[)\]]",
        "a value in the deck is nan or inf, no number: it was computed from a conductance or size that is nan or 0",
    ),
    FatalMessage(r"resistance too? low", "a resistor has no value, or 0 (ngspice takes 1 mOhm)"),
    FatalMessage(r"is not a valid \w+ instance line, ignored", "an element has no value, and ngspice leaves it out"),
    FatalMessage(r"could not be set up properly, ignored", "an element is written wrongly, and ngspice leaves it out"),
    FatalMessage(r"no \.measure possible", "a .meas line came in with a library; ngspice does not evaluate it here"),
    FatalMessage(r"could not find include file|library file .* not found", "an included file is missing"),
    FatalMessage(r"section definition .* not found", "the .lib file has no section of that name"),
    FatalMessage(
        r"can't find model|could not find a valid modelname|unable to find definition of model"
        r"|no model (available|found) for",
        "a model name is misspelt, its .lib is not included, its OSDI file did not load, or it needs a code model this "
        "ngspice lacks",
    ),
    FatalMessage(r"unknown subckt", "a subcircuit name is misspelt, or its .lib is not included"),
    FatalMessage(r"unknown( instance)? parameter", "an element has a parameter its model does not know"),
    FatalMessage(r"device already exists", "two elements have the same name"),
    FatalMessage(r"is not in the circuit", "the swept source does not exist"),
    FatalMessage(r"no data saved for", "none of the saved vectors exists"),
    FatalMessage(r"transient op failed|timestep too small|no convergence in|node \S+ is nan", _CONVERGENCE),
    FatalMessage(
        r"out of memory|insufficient memory|not enough memory",
        "the machine has too little memory for the deck",
    ),
    FatalMessage(
        r"simulation\(s\) aborted|circuit not parsed|aren't any circuits loaded|interrupted due to error"
        r"|^fatal error|fatal error in ngspice",
        "the lines above it in the log say what ngspice did not accept",
    ),
)
_FATAL = [(re.compile(message.pattern, re.IGNORECASE), message.cause) for message in FATAL_MESSAGES]
_SINGULAR = re.compile(r"singular (matrix|node)|matrix is singular", re.IGNORECASE)
_RECOVERED = re.compile(r"stepping completed", re.IGNORECASE)
_GUESSED = re.compile(r"transient op finished", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """Why an answer is refused: what happened, likely causes in order, the log lines that say so."""

    what: str
    causes: tuple[str, ...]
    lines: tuple[str, ...]

    def text(self, folder: Path) -> str:
        """The error text; `folder` is where deck and log are kept."""
        likely = f" Likely: {'; or '.join(self.causes)}." if self.causes else ""
        says = "".join(f"\n    {line}" for line in self.lines[:_LINES_SHOWN])
        kept = f"{f' ngspice says:{says}' if says else ''}\nDeck kept in {folder}."
        return f"{self.what}.{likely}{kept}"


def judge(deck: Deck, outcome: Outcome, raw: RawTable | None, timeout_s: float) -> Finding | None:
    """None when the answer can be used, else the first thing that forbids it."""
    causes, lines = _read_log(outcome.log)
    what = _ended_badly(outcome, timeout_s) or _wrong_points(deck, outcome, raw) or _wrong_vectors(deck, raw)
    if what is None and outcome.exit_code != 0:
        what = f"ngspice ended with exit code {outcome.exit_code}", ()
    if what is None and lines:
        what = f"ngspice gave numbers that cannot be trusted ({lines[0]})", ()
    return None if what is None else Finding(what[0], (*causes, *what[1]), lines)


def vector(raw: RawTable, name: str) -> NDArray | None:
    """The values of a saved vector, or None if the table has none. `@m1[id]` is i(@m1[id]) there."""
    wanted = re.sub(r"\s+", "", name.lower())
    for candidate in (wanted, f"i({wanted})", f"v({wanted})"):
        if candidate in raw.column_of:
            column: NDArray = raw.values[raw.column_of[candidate]]
            return column
    return None


_Problem = tuple[str, tuple[str, ...]] | None  # what happened, further causes


def _read_log(log: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Likely causes and the lines that tell them, each once."""
    found = [(line, _NODE) for line in _unresolved_singular(log)]
    found += [(line.strip(), cause) for line in log.splitlines() for cause in [_cause(line)] if cause]
    return tuple(dict.fromkeys(cause for _, cause in found)), tuple(dict.fromkeys(line for line, _ in found))


def _cause(line: str) -> str | None:
    return next((cause for pattern, cause in _FATAL if pattern.search(line)), None)


def _unresolved_singular(log: str) -> list[str]:
    """ "singular matrix" lines that no gmin or source stepping repaired.

    Not each one is an error: at its first guess a sound circuit may have all transistors off. But when the
    stepping fails too, ngspice takes the end of a made-up transient and goes on, with exit code 0.
    """
    pending: list[str] = []
    fatal: list[str] = []
    for line in log.splitlines():
        if _SINGULAR.search(line):
            pending.append(line[line.lower().index("singular") :].strip())
        elif _RECOVERED.search(line):
            pending = []
        elif _GUESSED.search(line):
            fatal, pending = fatal + pending, []
    return fatal + pending


def _ended_badly(outcome: Outcome, timeout_s: float) -> _Problem:
    code = outcome.exit_code
    if code is None:
        what = f"ngspice was stopped after {outcome.seconds:.1f} s, the time limit being {timeout_s:g} s"
        return what, ("the deck is too large for it: split the sweep or raise the limit", _CONVERGENCE)
    if code >= 0:
        return None
    by_hand = "the machine ran out of memory and the kernel chose ngspice", "somebody killed it"
    crash = ("ngspice crashed: try another version, or a smaller deck",)
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    what = f"ngspice was killed by {name} after {outcome.seconds:.1f} s"
    return what, by_hand if name in _BY_HAND else crash


def _wrong_points(deck: Deck, outcome: Outcome, raw: RawTable | None) -> _Problem:
    got = 0 if raw is None else raw.values.shape[1]
    ended = f"(exit code {outcome.exit_code})"
    if raw is not None and got < raw.promised:
        what = f"ngspice's raw file holds {got} of the {raw.promised} points it announces {ended}"
        return what, ("the disk is full",)
    if deck.points is not None:
        return None if got == deck.points else (f"ngspice gave {got} of {deck.points} points {ended}", ())
    if raw is None or got < 2:
        return f"ngspice gave {got} points of a transient {ended}", ()
    last, stop = float(np.real(raw.values[0, -1])), deck.stop_time_s
    if abs(last - stop) > 1e-6 * stop:
        return f"ngspice's transient ends at {last:g} s instead of {stop:g} s {ended}", (_CONVERGENCE,)
    return None


def _wrong_vectors(deck: Deck, raw: RawTable | None) -> _Problem:
    columns = {name: vector(raw, name) for name in deck.saves} if raw else {}
    missing = [name for name, column in columns.items() if column is None]
    if missing:
        return f"ngspice did not give {_some(missing)}", ("no node or source of that name is in the circuit",)
    for name, column in columns.items():
        if column is not None and (bad := np.flatnonzero(~np.isfinite(column))).size:
            what = f"ngspice gave {bad.size} values of {name} that are not finite, from point {bad[0]} on"
            return what, ("an expression divides by zero or overflows", _CONVERGENCE)
    return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
