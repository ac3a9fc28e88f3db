"""From files of measured data to a device: what they hold, the law, the statistics, the range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from spicetrain.array.device import Device
from spicetrain.array.devices import DEVICES
from spicetrain.errors import ConfigurationError, nearest
from spicetrain.importing.forms import Fit, chosen, device_of, fit_laws, rounded
from spicetrain.importing.measured import Programmed, Sweeps, measured
from spicetrain.importing.noise import Scatter, scatter_of
from spicetrain.importing.programming import Law, best, fit_programming, in_sigmas
from spicetrain.importing.pulses import CANNOT, Pulses, read_pulses
from spicetrain.importing.read import read_columns
from spicetrain.importing.tabulate import fit_table

_FAR = 6.0  # sigmas
_APART = 1.01  # conductances that are less apart are one state


@dataclass(frozen=True)
class Request:
    """What a user gave.

    target       a file of I-V, or of programming, or of CrossSim's set pulses when there is a `read_voltage`
    programming  another file, of the same device
    reset        CrossSim's other file
    range_S      where the device is programmed, if not where it was measured
    form         the one to take, whatever fits best
    """

    target: Path
    programming: Path | None = None
    reset: Path | None = None
    read_voltage: float | None = None
    range_S: Sequence[float] | None = None
    form: str | None = None

    @property
    def files(self) -> list[Path]:
        return [path for path in (self.target, self.reset, self.programming) if path is not None]


@dataclass(frozen=True)
class Current:
    """I-V as it was measured, how it scatters, every form fitted to it, and the one that was taken."""

    sweeps: Sweeps
    scatter: Scatter
    fits: list[Fit]
    fit: Fit


@dataclass(frozen=True)
class Statistics:
    """Programming as it was measured, and its laws."""

    programmed: Programmed
    laws: list[Law]

    @property
    def law(self) -> Law:
        return best(self.laws)


@dataclass(frozen=True)
class Imported:
    """A device, its [memristor] as a table, and what they come from; of what was not measured None."""

    request: Request
    memristor: dict[str, Any]
    device: Device
    range_told: str
    current: Current | None
    statistics: Statistics | None
    pulses: Pulses | None
    notes: list[str] = field(default_factory=list)


def import_device(request: Request) -> Imported:
    """Read and fit. Raises ConfigurationError: files that are none, data from which no device can be told."""
    sweeps, programmed, pulses = _read(request)
    if request.form is not None and sweeps is None:
        raise ConfigurationError(
            f"--form {request.form}, but no I-V was given: a file with voltage_V, current_A, state."
        )
    notes = [note for source in (sweeps, programmed, pulses) if source is not None for note in source.notes]
    current = None if sweeps is None else _current(sweeps, request.form, notes)
    statistics = None if programmed is None else Statistics(programmed, fit_programming(programmed))
    range_S, told = _range(request, current, programmed, pulses)
    form, settings = ("ohmic", {}) if current is None else (current.fit.form, current.fit.settings)
    if current is None:
        notes.append("no I-V: taken as ohmic, which nobody measured")
    if statistics is None:
        notes.append("no programming data: chips have no programming error of this device")
    if pulses is not None:
        notes.append(CANNOT)
    ends = {"g_min_S": rounded(range_S[0], 7), "g_max_S": rounded(range_S[1], 7)}
    try:
        device = device_of(form, settings, **ends)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{request.target}: {problem}. See --range and --form.") from None
    memristor = {"form": form, **ends, **settings}
    if statistics is not None:
        memristor["programming"] = statistics.law.settings
        notes += [*_bias(statistics.programmed), *_elsewhere(statistics.programmed, device), *_far(statistics)]
    return Imported(request, memristor, device, told, current, statistics, pulses, notes)


def _read(request: Request) -> tuple[Sweeps | None, Programmed | None, Pulses | None]:
    if request.reset is not None and request.read_voltage is None:
        raise ConfigurationError("--reset is of CrossSim's files, which hold currents: give --read-voltage too.")
    first: Sweeps | Programmed | None = None
    pulses = None
    if request.read_voltage is not None:
        pulses = read_pulses(request.target, request.reset, request.read_voltage)
    else:
        first = measured(read_columns(request.target))
    second = None if request.programming is None else measured(read_columns(request.programming))
    if isinstance(second, Sweeps):
        raise ConfigurationError(f"{request.programming} holds I-V, not programming: name it as the TARGET.")
    if isinstance(first, Programmed) and second is not None:
        raise ConfigurationError(
            f"Both {request.target} and {request.programming} hold programming data: one is enough."
        )
    if isinstance(first, Programmed):
        return None, first, pulses
    return first, second, pulses


def _current(sweeps: Sweeps, form: str | None, notes: list[str]) -> Current:
    if form is not None and form not in DEVICES:
        raise ConfigurationError(f"--form {form}: there is no such device.{nearest(form, DEVICES)}")
    scatter = scatter_of(sweeps)
    fits = fit_laws(sweeps, scatter)
    table, note = fit_table(sweeps, scatter)
    fits += [table] if table is not None else []
    notes += [note] if note else []
    if form is None:
        fit = chosen(fits)
    else:
        asked = [one for one in fits if one.form == form]
        if not asked:
            raise ConfigurationError(f"--form {form} cannot be fitted. {note}".rstrip())
        fit = asked[0]
    if fit.form != "table" and not fit.will_do:
        notes.append(f"{fit.form} is off by more than the data scatter ({fit.misfit**0.5:.3g} times): see device.png")
    return Current(sweeps, scatter, fits, fit)


def _range(
    request: Request, current: Current | None, programmed: Programmed | None, pulses: Pulses | None
) -> tuple[tuple[float, float], str]:
    """(siemens, where it is from)."""
    if request.range_S is not None:
        low, high = request.range_S
        if not (0 < low < high < np.inf):
            raise ConfigurationError(f"--range {low:g} {high:g}: two conductances, siemens, the lower one first.")
        return (low, high), "as given"
    found = []
    if current is not None:
        found.append((current.fit.states_S, "of the states measured"))
    if programmed is not None:
        found.append((programmed.target_S, "of the targets"))
    if pulses is not None:
        found.append((np.array(pulses.range_S), "of the pulses, common to all trains"))
    for g, told in found:
        low, high = float(g.min()), float(g.max())
        if 0 < _APART * low < high:
            return (low, high), told
    raise ConfigurationError(
        f"{request.target}: one state only, so the range in which the device is programmed is not in it. Measure the "
        "lowest and the highest state, add --programming, or give --range LOW HIGH in siemens."
    )


def _bias(programmed: Programmed) -> list[str]:
    """That the mean is not what was wanted, which no form of programming knows."""
    off = programmed.measured_S / programmed.target_S - 1
    error = float(off.std(ddof=1) / len(off) ** 0.5)
    mean = float(off.mean())
    if abs(mean) < 4 * error:
        return []
    return [f"devices end {mean:+.2%} (+-{error:.2%}) of what was wanted in the mean, which no form of programming has"]


def _elsewhere(programmed: Programmed, device: Device) -> list[str]:
    """That the error was measured in another range than the device's."""
    low, high = float(programmed.target_S.min()), float(programmed.target_S.max())
    if low <= device.g_min_S * 1.5 and high >= device.g_max_S / 1.5:
        return []
    return [f"programming was measured at {low:.3g} .. {high:.3g} S only: elsewhere its law is extrapolated"]


def _far(statistics: Statistics) -> list[str]:
    """That some devices are no part of the distribution."""
    far = int(np.sum(abs(in_sigmas(statistics.law, statistics.programmed)) > _FAR))
    told = f"{far} devices are more than {_FAR:g} sigma off, and widen the law: such as are stuck belong to"
    return [f"{told} [memristor.stuck], not here"] if far else []
