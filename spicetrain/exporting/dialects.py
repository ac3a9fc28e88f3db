"""A subcircuit and its deck, as ngspice reads them, in the words of another simulator.

What they hold is resistors, transistors, subcircuits with a parameter, currents of memristors that bend (B), sources,
and in the deck options and a control section. Numbers have no suffixes and comments begin a line with `*`: all read
those alike, and .include and .lib with a section.

    hspice  Synopsys, HSPICE Reference Manual: Commands and Elements and Device Models: expressions in single quotes;
            no B, a current is G cur='...'; x**y, for pow(x,y) takes the whole part of y; .temp; .option, whose tnom is
            25 degrees where none is given and 27 in ngspice. Spectre reads it after `simulator lang=spice`.
    xyce    Sandia, Xyce Reference Guide: PARAMS: before parameters of .subckt and X; B and braces are the same;
            x**y; TABLE(x, x_1, y_1, ...) for ngspice's pwl; .options is by package, temperatures are the devices'.

Neither has a .control section: the operating point is a .dc of one point, which is printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spicetrain.errors import ConfigurationError
from spicetrain.registry import Registry

_CURRENT = re.compile(r"(?i)^B(\S+) (\S+ \S+) i=\{?(.*?)\}?$")
_POWER = re.compile(r"pow\((.*),([^,()]*)\)")
_BRACES = re.compile(r"\{([^{}]*)\}")
_ASSIGNED = re.compile(r" (?=\S+=)")
_TNOM_C = 27.0  # ngspice's own


@dataclass(frozen=True)
class Dialect:
    """command  that runs a deck
    element  a line of a circuit; settings  lines of {option: value}; printing  the line of these outputs
    """

    name: str
    command: str
    element: Callable[[str], str]
    settings: Callable[[dict[str, str]], list[str]]
    printing: Callable[[list[str]], str]

    def of_subcircuit(self, text: str) -> str:
        """ConfigurationError when a current of a device has no such form in it."""
        if self.name == "ngspice":
            return text
        title, *lines = text.splitlines()
        said = [
            f"* In the words of {self.name}, which has not read it: spicetrain runs ngspice. The models beside it are",
            "* ngspice's, too: a foundry has others for each simulator.",
        ]
        return "\n".join([title, *said, *(line if line[:1] in "*" else self.element(line) for line in lines), ""])

    def of_deck(self, text: str) -> str:
        """Likewise."""
        if self.name == "ngspice":
            return text
        head, _, control = text.partition(".control\n")
        outputs = re.findall(r"^print (\S+)$", control, re.MULTILINE)
        return "\n".join([*self._of_deck(head), self.printing(outputs), ".end", ""])

    def _of_deck(self, head: str) -> Iterator[str]:
        supply = ""
        for line in head.splitlines():
            if line.startswith(".options "):
                yield from self.settings(dict(word.split("=") for word in line.split()[1:]))
            elif line.startswith("*"):
                yield line.replace("ngspice -b", self.command)
            else:
                yield self.element(line)
                if not supply and line.startswith("V"):
                    supply = line
        name, *_, volts = supply.split()
        yield f".dc {name} {volts} {volts} 1"


def _hspice_element(line: str) -> str:
    current = _CURRENT.match(line)
    if current is None:
        return _BRACES.sub(r"'\1'", line)
    name, nodes, law = current.groups()
    if law.startswith("pwl("):
        raise ConfigurationError(
            "Devices of memristor.form = 'table' are straight lines between points, whose corners HSPICE rounds: they "
            "are not written for it. Take --dialect ngspice or xyce, or fit another form (`spicetrain import-device`)."
        )
    return f"GB{name} {nodes} cur='{_powers(law)}'"


def _xyce_element(line: str) -> str:
    current = _CURRENT.match(line)
    if current is not None:
        name, nodes, law = current.groups()
        return f"B{name} {nodes} I={{{_powers(law.replace('pwl(', 'table('))}}}"
    if re.match(r"(?i)(x|\.subckt )", line) and "=" in line:
        return _ASSIGNED.sub(" PARAMS: ", line, count=1)
    return line


def _powers(law: str) -> str:
    return _POWER.sub(r"(\1)**(\2)", law)


def _hspice_settings(options: dict[str, str]) -> list[str]:
    tolerances = " ".join(f"{name}={value}" for name, value in options.items() if name != "temp")
    return [f".option {tolerances} tnom={_TNOM_C} ingold=2 numdgt=10", f".temp {options['temp']}"]


def _xyce_settings(options: dict[str, str]) -> list[str]:
    # rhstol: amperes, and a network's currents are nanoamperes.
    return [
        f".options device temp={options['temp']} tnom={_TNOM_C}",
        f".options nonlin reltol={options['reltol']} abstol={options['abstol']} rhstol=1e-12",
    ]


DIALECTS: Registry[Dialect] = Registry(
    "dialect",
    {
        "ngspice": Dialect("ngspice", "ngspice -b", lambda line: line, lambda options: [], lambda outputs: ""),
        "hspice": Dialect(
            "hspice", "hspice", _hspice_element, _hspice_settings, lambda outputs: f".print dc {' '.join(outputs)}"
        ),
        "xyce": Dialect(
            "xyce", "Xyce", _xyce_element, _xyce_settings,
            lambda outputs: f".print dc precision=12 {' '.join(outputs)}",
        ),
    },
)  # fmt: skip
