"""An inverter-based network as a subcircuit with named ports, and a deck that shows it one image in plain ngspice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.layered import shape_text
from spicetrain.inverter.netlists.cells import INVERTER, MID, inverter
from spicetrain.inverter.netlists.parts import MOST_PORTS, NAME, Part, held_nodes
from spicetrain.inverter.network import Network, encode
from spicetrain.netlists.cells import VDD, VSS
from spicetrain.spice.deck import DEFAULT_OPTIONS
from spicetrain.technology import Technology

_WORDS_PER_LINE = 16


@dataclass(frozen=True)
class Shown:
    """A test image: its number, inputs [rows] (0..1), true label or targets in words, and what the model predicts of
    it, [outputs] volts."""

    number: int
    inputs: NDArray[Any]
    label: str
    expected_V: NDArray[np.float64]


def subcircuit(network: Network, technology: Technology, parts: Sequence[Part], reads: Sequence[str]) -> str:
    """The file of the network's parts; `reads`: the lines by which a deck reads the models and this file."""
    lines = [*_header(network, technology, parts, reads), str(inverter(technology)).rstrip()]
    for part in parts:
        lines += [*_folded([".subckt", part.name, *part.ports]), *part.lines, f".ends {part.name}"]
    return "\n".join([*lines, ""])


def shown_deck(
    network: Network, technology: Technology, parts: Sequence[Part], shown: Shown, reads: Sequence[str]
) -> str:
    """An operating point of the subcircuit at one image, whose outputs ngspice prints."""
    rails = technology.rails
    volts = {VDD: rails.vdd_V, VSS: rails.vss_V, MID: rails.mid_V}
    held = {node: volts[node] for node in held_nodes(network)}
    v_pos, v_neg = (v[0].tolist() for v in encode(shown.inputs[None], network.encoding, rails))
    for i, both in enumerate(zip(v_pos, v_neg, strict=True)):
        held |= {f"x{i}_{sign}": v for sign, v in zip("pn", both, strict=True)}
    options = {**DEFAULT_OPTIONS, "temp": technology.temperature_C}
    outputs = [f"v(o_{j})" for j in range(network.layers[-1])]
    return "\n".join([
        f"* {_title(network)}: test image {shown.number}, label {' '.join(shown.label.split())}",
        "* Run it in its folder: ngspice -b <this file>. It prints the outputs, volts; the model expects:",
        *(f"*   v(o_{j}) = {v:.9e}" for j, v in enumerate(shown.expected_V.tolist())),
        *reads,
        f".options {' '.join(f'{name}={value}' for name, value in options.items())}",
        *(f"V{node} {node} 0 {v!r}" for node, v in held.items()),
        *(line for part in parts for line in _folded([f"X{part.name}", *part.ports, part.name])),
        ".control", "set numdgt=12", "op", *(f"print {output}" for output in outputs), "quit", ".endc", ".end", "",
    ])  # fmt: skip


def _title(network: Network) -> str:
    named = (str(network.about.get(key, "")) for key in ("dataset", "method"))
    return " ".join(f"{' '.join(named)} {shape_text(network.layers)}".split())  # one line, whatever they are


def _header(network: Network, technology: Technology, parts: Sequence[Part], reads: Sequence[str]) -> Iterator[str]:
    rails, held = technology.rails, held_nodes(network)
    volts = {VDD: rails.vdd_V, VSS: rails.vss_V, MID: rails.mid_V}
    signal = "x" if network.encoding == "unipolar" else "(2 x - 1)"
    yield f"* {_title(network)}: an inverter-based memristive network as the subcircuit {NAME!r}, written by spicetrain"
    yield f"* {technology.name}, {technology.temperature_C:g} C, " + ", ".join(f"{v} = {volts[v]:g} V" for v in held)
    yield f"* Inputs x = 0 .. 1: x<i>_p at {rails.mid_V:g} V + {rails.half_swing_V:g} V {signal}, x<i>_n as far below"
    yield f"* Outputs o_<j>. Ports: x0_p x0_n x1_p ... o_0 ... {' '.join(held)}. It brings a cell {INVERTER!r}."
    if len(parts) > 1:
        yield f"* It is {len(parts)} subcircuits, {parts[0].name} .. {NAME}, of at most {MOST_PORTS} ports, for ngspice"
        yield "* takes no more: ports of the same name are to be joined, inputs are those of the parts of rows."
    yield "* A deck in this folder reads the models and then this file:"
    yield from (f"*   {line}" for line in reads)


def _folded(words: Sequence[str]) -> list[str]:
    """A card over several lines."""
    lines = [" ".join(words[at : at + _WORDS_PER_LINE]) for at in range(0, len(words), _WORDS_PER_LINE)]
    return [lines[0], *(f"+ {line}" for line in lines[1:])]
