"""A network as a subcircuit, or as several where one would have more ports than ngspice takes: row pairs of the first
crossbar in subcircuits of their own, some in each, and what is left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import SubCircuit

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.netlists.cells import MID
from spicetrain.inverter.netlists.network import add_network
from spicetrain.inverter.network import Network
from spicetrain.netlists.cells import VDD, VSS
from spicetrain.technology import Technology

NAME = "network"
MOST_PORTS = 1000
"""Of a subcircuit: ngspice 39 gives up beyond 1,004, `N_GLOBAL_NODES overflow`."""

_OF_PAIR = re.compile(r"\w[mfwu]0_(\d+)")  # a device, feed or segment of a row pair of the first crossbar

_CORE = -1


@dataclass(frozen=True)
class Part:
    """A subcircuit: its ports, which go by the same names in all parts, and the lines of its elements."""

    name: str
    ports: tuple[str, ...]
    lines: tuple[str, ...]


def held_nodes(network: Network) -> list[str]:
    """The rails, and mid-rail where the network has resistors to it."""
    return [VDD, VSS, *([MID] if network.ground_S else [])]


def ports(network: Network) -> list[str]:
    """x<i>_p, x<i>_n of every input, o_<j> of every output, then what holds it."""
    inputs = [f"x{i}_{sign}" for i in range(network.layers[0]) for sign in "pn"]
    return [*inputs, *(f"o_{j}" for j in range(network.layers[-1])), *held_nodes(network)]


def parts(network: Network, technology: Technology, most: int = MOST_PORTS) -> list[Part]:
    """Every device, and every segment of wires, in subcircuits of `most` ports at most. ConfigurationError when the
    columns alone are more."""
    circuit, blank = SubCircuit(NAME, *ports(network)), np.zeros((1, network.layers[0]))
    add_network(circuit, network, technology, blank, "flat", lambda *source: None, held=True)
    lines = str(circuit).splitlines()[1:-1]  # without .subckt and .ends
    if len(ports(network)) <= most:
        return [Part(NAME, tuple(ports(network)), tuple(lines))]
    rows, columns = network.layers[:2]
    joined = columns if technology.segments is None else 3 * columns  # at both ends, and where they are sensed
    pairs = (most - joined) // 2
    if pairs < 1 or columns + len(ports(network)) - 2 * rows > most:
        raise ConfigurationError(
            f"Subcircuits of a crossbar of {columns} columns would have more than {most} ports, and ngspice takes no "
            "more: `spicetrain netlist` writes the whole deck of one image, --to csv what is programmed."
        )
    return _split(lines, ports(network), pairs)


def _split(lines: Sequence[str], outside: Sequence[str], pairs: int) -> list[Part]:
    """Lines by the row pair of the first crossbar that they belong to, so many in a part; the rest is the last one."""
    found: dict[int, list[str]] = {}
    for line in lines:
        of = _OF_PAIR.match(line)
        found.setdefault(int(of[1]) // pairs if of else _CORE, []).append(line)
    core = found.pop(_CORE)
    nodes = [*(dict.fromkeys(_ends(of_part)) for of_part in found.values())]
    inner = {word: None for line in core for word in line.split()[1:]}
    nodes.append({node: None for node in inner if any(node in one for one in nodes) or node in outside})
    named = [*((f"{NAME}_rows_{k}", of_part) for k, of_part in found.items()), (NAME, core)]
    seen = [node for one in nodes for node in one] + list(outside)
    shared = {node for node, times in zip(*np.unique(seen, return_counts=True), strict=True) if times > 1}
    rank = {node: at for at, node in enumerate(outside)}
    order = sorted(shared, key=lambda node: (rank.get(node, len(rank)), _numbers(node), node))
    return [
        Part(name, tuple(node for node in order if node in one), tuple(of_part))
        for (name, of_part), one in zip(named, nodes, strict=True)
    ]


def _numbers(node: str) -> tuple[int, ...]:
    """By which nodes of one kind are in order."""
    return tuple(int(digits) for digits in re.findall(r"\d+", node))


def _ends(lines: Iterable[str]) -> Iterable[str]:
    """The nodes of devices and resistors."""
    return (node for line in lines for node in line.split(None, 3)[1:3])
