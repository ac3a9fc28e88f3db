"""A neuron of a user's own: a SPICE subcircuit with named ports, in place of leak, reset and threshold inverter.

    membrane            the column and its capacitor: what flows into it is a function of its own voltage
    spike or spike_b    output: rises, or falls, through the middle of its supply when the membrane passes the threshold
    reset               vdd in the rest phase of a neuron that fired, vss otherwise: pulls the membrane to rest
    bias                neuron.leak_gate_V
    vdd vss rest        the supplies
    threshold           a source at threshold_V
    high low            supplies at threshold_V + half_supply_V and - half_supply_V; the output swings between these

The first three are needed, the others for those that want them. ngspice does not distinguish capitals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spicetrain import include_tree
from spicetrain.errors import ConfigurationError, nearest

RISING, FALLING = "spike", "spike_b"
RESET_FINGERS = "reset_fingers"
_SUPPLIES = ("bias", "vdd", "vss", "rest", "threshold", "high", "low")
_PORTS = ("membrane", RISING, FALLING, "reset", *_SUPPLIES)
_OUTSIDE = (".subckt", ".ends", ".model", ".param", ".func", ".inc", ".lib", ".endl", ".global", ".end")


@dataclass(frozen=True)
class ForeignNeuron:
    """name, ports  of the subcircuit, as its line has them, in small letters
    parameters      that its line declares
    models          that the file and what it includes define, and other subcircuits
    checksums       of the file and of all that it includes
    """

    path: Path
    name: str
    ports: tuple[str, ...]
    parameters: tuple[str, ...]
    models: tuple[str, ...]
    checksums: tuple[str, ...]

    @property
    def rises(self) -> bool:
        """Whether its output does when it fires."""
        return RISING in self.ports

    @property
    def output(self) -> str:
        """The port of its output."""
        return RISING if self.rises else FALLING

    @property
    def split_supply(self) -> bool:
        """Whether its output swings around threshold_V, not around the middle of the rails."""
        return "high" in self.ports

    @property
    def follows_threshold(self) -> bool:
        """Whether it trips elsewhere when threshold_V is another."""
        return self.split_supply or "threshold" in self.ports

    @property
    def takes_fingers(self) -> bool:
        """Whether it wants to know the layer's."""
        return RESET_FINGERS in self.parameters


def read_neuron(path: Path) -> ForeignNeuron:
    """The subcircuit in the file: its only one, or of several the one that is called like the file.

    ConfigurationError: no such file, none or several subcircuits, ports missing or unknown, elements outside;
    TechnologyError: a file that it includes is missing, or one of them runs commands.
    """
    if not path.is_file():
        raise ConfigurationError(f"There is no neuron {path}: a file with a SPICE subcircuit is wanted.")
    if any(letter in str(path) for letter in "\"'\n"):
        raise ConfigurationError(f"ngspice cannot include a file with quotes in its path ({path}). Rename it.")
    checksums, definitions = include_tree.checksums(path, None), include_tree.definitions(path, None)
    heads = dict(_heads(path))
    name = path.stem.lower() if len(heads) > 1 else next(iter(heads), None)
    if name is None or name not in heads:
        found = f"subcircuits {', '.join(heads)}, none called {name!r} like the file" if heads else "no .subckt"
        raise ConfigurationError(f"{path} has {found}: which is the neuron? Name that one like the file.")
    defined = {one.lower(): found for one, found in definitions.items()}
    ports, models = tuple(port.lower() for port in defined.pop(name) or ()), tuple(defined)
    neuron = ForeignNeuron(path, name, ports, heads[name], models, checksums)
    _require_ports(neuron)
    return neuron


def _require_ports(neuron: ForeignNeuron) -> None:
    ports, where = neuron.ports, f"{neuron.path}: subcircuit {neuron.name} "
    unknown = [port for port in ports if port not in _PORTS]
    if unknown:
        raise ConfigurationError(
            f"{where}has a port {unknown[0]!r} that nothing is known to be tied to.{nearest(unknown[0], _PORTS)} "
            f"Ports are {', '.join(_PORTS)}."
        )
    missing = [port for port in ("membrane", "reset") if port not in ports]
    missing += [f"{RISING} (or {FALLING}, where it falls when the neuron fires)"] * (not {RISING, FALLING} & {*ports})
    if missing:
        raise ConfigurationError(
            f"{where}has no port {', no port '.join(missing)}. It has {', '.join(ports) or 'none'}."
        )
    twice = sorted({port for port in ports if ports.count(port) > 1})
    if twice:
        raise ConfigurationError(f"{where}has the port {twice[0]} twice.")
    if {RISING, FALLING} <= {*ports} or len({"high", "low"} & {*ports}) == 1:
        raise ConfigurationError(
            f"{where}has the ports {', '.join(ports)}: of {RISING} and {FALLING} one is wanted, the one that the latch "
            "takes, and high and low only together."
        )


def _heads(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, parameters) of the subcircuits that the file itself defines. ConfigurationError when something stands
    outside of them that would be part of every deck."""
    depth = 0
    for line in _lines(path):
        word = line.split()[0].lower()
        if word == ".subckt":
            if depth == 0 and len(line.split()) > 1:
                yield line.split()[1].lower(), tuple(name.lower() for name in re.findall(r"(\w+)\s*=", line))
            depth += 1
        elif word == ".ends":
            depth -= 1
        elif depth <= 0 and not word.startswith(_OUTSIDE):
            raise ConfigurationError(
                f"{path}: {line[:60]!r} stands outside the subcircuit, and would be in every deck. Leave only "
                "subcircuits, models, parameters and files that are included; a comment begins with *."
            )


def _lines(path: Path) -> Iterator[str]:
    """Without comments, continued ones joined."""
    joined = ""
    for raw in path.read_text(encoding="utf-8", errors="replace").splitlines():
        line = re.sub(r";.*|(?<=\s)\$.*", "", raw).strip()
        if line.startswith("+"):
            joined += f" {line[1:]}"
        elif line and not line.startswith("*"):
            if joined:
                yield joined
            joined = line
    if joined:
        yield joined
