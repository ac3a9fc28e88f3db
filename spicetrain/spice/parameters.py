"""Which parameters of a subcircuit ngspice takes, and which it passes over in silence.

What an instance gives is evaluated only if the subcircuit has a parameter of that name (in its first line, or by a
.param inside); there, and only there, a name that is nowhere defined is an error.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spicetrain.errors import SimulationError
from spicetrain.spice.deck import Deck
from spicetrain.spice.process import LOG
from spicetrain.spice.simulator import Simulator

_UNDEFINED = "spicetrain_undefined_"
_TAKEN = re.compile(rf"undefined parameter \[{_UNDEFINED}\d+\]", re.IGNORECASE)
_LISTED = re.compile(rf"\|([^|]*{_UNDEFINED}[^|]*)\| :", re.IGNORECASE)  # "|l=1e-7; w=...;| :", all that there are
_HAS_NONE = re.compile(r"mismatch: *0 formal but", re.IGNORECASE)


@dataclass(frozen=True)
class Parameters:
    """ignored   (subcircuit, name) of those that are given and have no effect
    known        the names that a subcircuit has, as far as ngspice says it; `m` is one that every subcircuit has"""

    ignored: tuple[tuple[str, str], ...]
    known: Mapping[str, set[str]]


def parameters_of(
    models: str, ports: int, given: Mapping[str, Mapping[str, float]], simulator: Simulator
) -> Parameters:
    """What ngspice makes of the parameters `given` to subcircuits, by name; `models` defines these, with `ports` nodes.

    One run when all are taken, two when not. Nothing is called ignored without proof: where ngspice fails for another
    reason, the simulation that follows will say it. Raises StorageError and NgspiceError as a simulation does.
    """
    asked = tuple((subcircuit, name) for subcircuit, names in given.items() for name in names)
    known: dict[str, set[str]] = {subcircuit: set() for subcircuit in given}
    while asked:
        log, answered = _ask(models, ports, given, asked, simulator)
        for line in _LISTED.findall(log):
            known[asked[_numbers(line)[0]][0]] |= {word.partition("=")[0].strip() for word in line.split(";")} - {""}
        taken = {number for line in _TAKEN.findall(log) for number in _numbers(line)}
        if answered or (not taken and _HAS_NONE.search(log)):
            return Parameters(asked, known)
        asked = tuple(pair for k, pair in enumerate(asked) if k not in taken) if taken else ()
    return Parameters((), known)


def _numbers(line: str) -> list[int]:
    return [int(number) for number in re.findall(rf"{_UNDEFINED}(\d+)", line, re.IGNORECASE)]


def _ask(
    models: str,
    ports: int,
    given: Mapping[str, Mapping[str, float]],
    asked: Sequence[tuple[str, str]],
    simulator: Simulator,
) -> tuple[str, bool]:
    """The log of a deck with an instance for each pair in `asked`, where this one is undefined; whether all were
    ignored, so that ngspice answers."""
    nodes = [f"ask{port}" for port in range(ports)]
    lines = [models, *(f"r{node} {node} 0 1.0" for node in nodes)]
    for k, (subcircuit, name) in enumerate(asked):
        taken = [f"{key}={value}" for key, value in given[subcircuit].items() if (subcircuit, key) not in asked]
        lines.append(" ".join([f"xask{k}", *nodes, subcircuit, *taken, f"{name}={{{_UNDEFINED}{k}}}"]))
    try:
        deck = Deck("\n".join(lines), ".op", (f"v({nodes[0]})",), points=1)
        return simulator.simulate(deck).messages, True
    except SimulationError as error:
        if error.folder is None:
            return "", False
        log = (error.folder / LOG).read_text(errors="replace")
        shutil.rmtree(error.folder, ignore_errors=True)
        return log, False
