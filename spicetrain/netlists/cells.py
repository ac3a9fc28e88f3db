"""What every circuit begins with: the models, and a transistor's line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from PySpice.Spice.Netlist import Circuit

from spicetrain.spice.deck import osdi_line, setup_line
from spicetrain.technology import Technology

VDD, VSS = "vdd", "vss"
Kind = Literal["nmos", "pmos"]
Form = Literal["reduced", "mesh", "flat"]
"""Of a netlist. flat: every device, and every segment of wires that resist. reduced, without such wires: columns as
what they are to the rest of the circuit. mesh, with them: the first crossbar's columns where the exact mesh lets them
float, of all further crossbars every device and segment."""


def models_only(technology: Technology) -> Circuit:
    """A circuit with nothing but the transistor models of `technology`."""
    circuit = Circuit("spicetrain")
    # As text: the path may hold spaces, and PySpice writes it without quotes.
    circuit.raw_spice += "".join(f"{line}\n" for line in [*setup_lines(technology), *model_lines(technology)])
    return circuit


def setup_lines(technology: Technology) -> list[str]:
    """The comments of a deck that say what ngspice is told before it reads anything."""
    lines = [setup_line(name, value) for name, value in technology.transistors.setup.items()]
    return lines + [osdi_line(path) for path in technology.osdi]


def model_lines(technology: Technology, name_of: Callable[[Path], str] = str) -> list[str]:
    """The lines of a deck that read the models; `name_of`: how it names a file."""
    models, library = technology.transistors, name_of(technology.library)
    lines = [f'.include "{name_of(path)}"' for path in technology.includes]
    lines.append(f'.include "{library}"' if models.section is None else f'.lib "{library}" {models.section}')
    return lines + [f".param {name}={value!r}" for name, value in models.params.items()]  # the last one counts


def transistor(
    name: str,
    kind: Kind,
    nodes: tuple[str, str, str, str],
    geometry: Mapping[str, float],
    technology: Technology,
    fingers: float | str = 1.0,
) -> str:
    """A transistor's line; `nodes` are drain, gate, source, bulk, `geometry` the instance parameters of one finger.

    As text: PySpice's M knows only the parameters of SPICE 3, here any model's own are accepted.
    """
    models = technology.transistors
    words = " ".join(f"{key}={value}" for key, value in geometry.items())
    model = models.nmos if kind == "nmos" else models.pmos
    parallel = " ".join(f"{key}={fingers}" for key in models.multiplicities)
    return f"{models.element}{name} {' '.join(nodes)} {model} {words} {parallel}\n"


def text_of(circuit: Circuit) -> str:
    """The circuit without PySpice's title line: elements, models, subcircuits."""
    return str(circuit).split("\n", 1)[1]
