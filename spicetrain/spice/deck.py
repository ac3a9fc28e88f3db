"""The text ngspice reads, and what is refused before it runs.

Refused, because ngspice answers it with a wrong number instead of an error:

- A number with letters behind it (`1M` is a thousandth, `1F` is 1e-15) in an element line, in `.param`, in
  the analysis. Write plain floats. Names, nodes, and expressions in braces or quotes are not looked at; nor
  are `.model` lines and included files, which are the technology's own.
- `.meas` (not evaluated beside a raw file), `.control`, and `.end`, analyses or `.save` inside the circuit.
- `nan` and `inf` as a value, also in an expression: ngspice takes them for the name of a model, or of nothing.
- Relative paths in `.include` and `.lib`: a deck runs in a folder of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spicetrain.errors import ConfigurationError
from spicetrain.spice.ngspice import Ngspice

Option = float | str | bool

# Relative, V and A: ngspice's own (1e-3, 1e-6, 1e-12) are too coarse for microvolts behind a gain of 60.
DEFAULT_OPTIONS: Mapping[str, Option] = {"reltol": 1e-5, "vntol": 1e-8, "abstol": 1e-14}

_ANALYSES = ("op", "dc", "ac", "tran")
_SAVES_PER_LINE = 100

# Where an element's value begins: behind its name and nodes. Of all other elements only `name=value` is read.
_VALUE_AT = {"r": 3, "c": 3, "l": 3, "v": 3, "i": 3, "b": 3, "k": 3, "f": 4, "h": 4, "e": 5, "g": 5}

_REFUSED = {
    **dict.fromkeys(("meas", "measure"), "ngspice ignores it beside a raw file; compute it from the values"),
    "control": "a deck is run in batch mode; keep only elements and models",
    **dict.fromkeys(("end", "save", *_ANALYSES), "the deck adds its own; give `analysis` and `saves`"),
}

_SUFFIXED = re.compile(r"(?<![\w.#])(?>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[a-z]\w*", re.IGNORECASE)
_NOT_FINITE = re.compile(r"(?<![\w./#])(?:nan|inf(?:inity)?)(?![\w./(])", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{[^}]*\}|'[^']*'|\"[^\"]*\"")
_OPENED = str.maketrans(dict.fromkeys("{}'\"", " "))  # what is in an expression counts
_PROBE = re.compile(r"\b[vi]\s*\([^)]*\)", re.IGNORECASE)
_COMMENT = re.compile(r"(;|\$[ \t]|//).*")
_INCLUDE = re.compile(r"\.(?:include|inc|lib)\s+(\"[^\"]+\"|'[^']+'|\S+)(\s+\S+)?", re.IGNORECASE)


_SETUP, _OSDI = "* .spiceinit: ", "osdi "


def setup_line(name: str, value: str | bool) -> str:
    """A comment of a circuit that has ngspice set a variable before it reads the deck."""
    return f"{_SETUP}{'set' if value else 'unset'} {name}{f'={value}' if isinstance(value, str) else ''}"


def osdi_line(path: Path) -> str:
    """A comment of a circuit that has ngspice load a compiled Verilog-A model before it reads the deck."""
    return f"{_SETUP}{_OSDI}'{path}'"


def loads_osdi(setup: str) -> bool:
    """Whether such a line is among those for .spiceinit."""
    return any(line.startswith(_OSDI) for line in setup.splitlines())


def setup_of(text: str) -> str:
    """The lines that belong into .spiceinit, of a deck."""
    if _SETUP not in text:  # a flat deck has 1e5 lines
        return ""
    return "".join(f"{line.removeprefix(_SETUP)}\n" for line in text.splitlines() if line.startswith(_SETUP))


@dataclass(frozen=True)
class Deck:
    """A circuit, one analysis, and what it must return.

    circuit        elements, models, .include and .lib (absolute paths); no analysis, no .end
    analysis       one line, such as ".dc vindex 0 9 1"
    saves          the vectors wanted, such as ("v(out)", "i(vdd)")
    points         how many points must come back; None for .tran, whose last time must be the stop time
    large          solve with KLU where the build has it: pays off from some thousand nodes on
    temperature_C  of all devices
    options        `.options` by name, over DEFAULT_OPTIONS; True is a bare flag, False leaves the option out
    """

    circuit: str
    analysis: str
    saves: tuple[str, ...]
    points: int | None
    large: bool = False
    temperature_C: float = 27.0
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_analysis(self)
        _require_finite(self._options_line(None), self._options_line(None))
        _check_circuit(self.circuit)

    @property
    def kind(self) -> str:
        """ "op", "dc", "ac" or "tran"."""
        return self.analysis.split()[0].lower().removeprefix(".")

    @property
    def stop_time_s(self) -> float:
        """The end of a .tran, in seconds."""
        return float(self.analysis.split()[2])

    def text(self, ngspice: Ngspice | None = None) -> str:
        """The whole deck; without an ngspice, one that any build can open (no KLU)."""
        lines = ["* spicetrain", self._options_line(ngspice), self.circuit.strip("\n"), self.analysis]
        lines += [f".save {' '.join(names)}" for names in _chunks(self.saves, _SAVES_PER_LINE)]
        return "\n".join([*lines, ".end", ""])

    def _options_line(self, ngspice: Ngspice | None) -> str:
        options = {**DEFAULT_OPTIONS, "temp": self.temperature_C, **self.options}
        if self.large and ngspice is not None and ngspice.klu:
            options["klu"] = True
        words = [name if value is True else f"{name}={value}" for name, value in options.items() if value is not False]
        return f".options {' '.join(words)}"


def _chunks(names: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _check_analysis(deck: Deck) -> None:
    line = deck.analysis
    if "\n" in line or not line.startswith(".") or deck.kind not in _ANALYSES:
        raise ConfigurationError(f"The analysis {line!r} is not one line beginning with .op, .dc, .ac or .tran.")
    if deck.points is None and deck.kind != "tran":
        raise ConfigurationError(
            f"The deck does not say how many points {line!r} must give; only .tran may leave it open."
        )
    if not deck.saves:
        raise ConfigurationError(f"The deck saves nothing from {line!r}: name the vectors wanted.")
    _check_numbers(line, line)
    if deck.kind == "tran" and len(line.split()) < 3:
        raise ConfigurationError(f"The analysis {line!r} has no stop time: .tran STEP STOP, in seconds.")


def _check_circuit(circuit: str) -> None:
    text = re.sub(r"\n[ \t]*\+", " ", "\n" + circuit)
    for match in re.finditer(r"\n[ \t]*\.([^\n]*)", text):
        _check_command("." + match[1])
    for line in _lines_with(("nan", "inf"), text):
        _check_finite(line)
    end = 0
    while (found := _SUFFIXED.search(text, end)) is not None:  # a line at a time: a flat deck has 1e5 of them
        start, end = text.rfind("\n", 0, found.start()), text.find("\n", found.end())
        end = len(text) if end < 0 else end
        _check_line(text[start:end].strip())


def _lines_with(words: tuple[str, ...], text: str) -> Iterator[str]:
    """The lines that hold one of the words, in any case. By str.find, for a flat deck has 1e5 lines."""
    lowered = text.lower() if text.isascii() else text  # other letters may change the length
    for word in words:
        at = lowered.find(word)
        while at >= 0:
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            end = len(text) if end < 0 else end
            yield text[start:end].strip()
            at = lowered.find(word, end)


def _check_command(line: str) -> None:
    """A line that begins with a dot."""
    word = line[1:].split(maxsplit=1)[0].lower() if len(line) > 1 else ""
    if word in _REFUSED:
        raise ConfigurationError(f"The circuit holds the line {line.strip()!r}: {_REFUSED[word]}.")
    path = _INCLUDE.match(line)
    if path is None or (word == "lib" and path[2] is None):  # `.lib name` opens a section
        return
    name = path[1].strip("\"'")
    if not Path(name).expanduser().is_absolute():
        raise ConfigurationError(
            f"The circuit holds the line {line.strip()!r}: a deck runs in a folder of its own, so the path "
            "must be absolute."
        )


def _check_line(line: str) -> None:
    """A line in which some word looks like a number with letters behind it."""
    if line.startswith("."):
        if line.lower().startswith(".param"):
            _check_numbers(_assigned(line), line)
    elif not line.startswith("*"):
        _check_numbers(_values(line), line)


def _check_finite(line: str) -> None:
    """A line in which `nan` or `inf` is at least a part of some word."""
    opened = line.translate(_OPENED)
    if line.lower().startswith((".param", ".model", ".ic", ".nodeset")):
        _require_finite(_assigned(opened), line)
    elif not line.startswith((".", "*")):
        _require_finite(_values(opened), line)


def _values(line: str) -> str:
    """The part of an element line that holds its values: not its name, nodes and model."""
    line = _PROBE.sub(" ", _EXPRESSION.sub(" 0 ", _COMMENT.sub("", line)))
    words = line.split()
    skip = _VALUE_AT.get(line[:1].lower())
    if skip is None or (skip == 5 and "=" in line):
        return _assigned(line)
    return " ".join(words[skip:])


def _assigned(line: str) -> str:
    """What stands right of the equal signs."""
    line = _EXPRESSION.sub(" 0 ", _COMMENT.sub("", line))
    return " ".join(re.findall(r"=\s*([^=]*?)(?=\s+\w+\s*=|$)", line))


def _check_numbers(values: str, line: str) -> None:
    found = _SUFFIXED.search(values)
    if found is not None:
        raise ConfigurationError(
            f"{found[0]!r} in the line {line[:200]!r} has letters behind its digits, which ngspice reads "
            "its own way (1M is 0.001, 1F is 1e-15). Write a plain number, such as 1e6."
        )
    _require_finite(values, line)


def _require_finite(values: str, line: str) -> None:
    found = _NOT_FINITE.search(values)
    if found is not None:
        raise ConfigurationError(
            f"{found[0]!r} in the line {line[:200]!r} is no value. Likely: a conductance, size, voltage or time that "
            "the netlist was given is not a finite number; look where it comes from."
        )
