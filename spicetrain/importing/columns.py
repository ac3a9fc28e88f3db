"""The columns of measured data: a quantity and its unit in one name, such as voltage_mV."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spicetrain.errors import ConfigurationError, nearest

_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "k": 1e3}
_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _units(of: str) -> dict[str, float]:
    return {prefix + of: factor for prefix, factor in _PREFIXES.items()}


UNITS = {
    "voltage": _units("V"), "current": _units("A"), "target": _units("S"), "measured": _units("S"), "time": _TIMES,
}  # fmt: skip
LABELS = {"state": _units("S"), "device": {}}
"""Columns of names rather than of numbers: any text will do, and a unit may stand in the column's name."""

IV = ("voltage", "current")
PROGRAMMING = ("target", "measured")
_NAME = re.compile(r"([A-Za-z]+)[\s_]*[\[(]?\s*([^\s\])]*)\s*[\])]?")


@dataclass(frozen=True)
class Column:
    """A column that is known: its quantity, and what its numbers are to be multiplied with to be in SI units."""

    index: int
    quantity: str
    factor: float


def columns_of(names: Sequence[str], source: str) -> dict[str, Column]:
    """Of the columns' `names` those that are known, by quantity; others are left alone.

    Raises ConfigurationError: no unit, an unknown one, or two columns of one quantity.
    """
    found: dict[str, Column] = {}
    for index, name in enumerate(names):
        column = _column(index, name, source)
        if column is None:
            continue
        if column.quantity in found:
            other = names[found[column.quantity].index]
            raise ConfigurationError(
                f"{source}: the columns {other!r} and {name!r} are both the {column.quantity}. Remove one of them."
            )
        found[column.quantity] = column
    return found


def _column(index: int, name: str, source: str) -> Column | None:
    plain = name.strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    match = _NAME.fullmatch(plain)
    quantity = match[1].lower() if match else ""
    if match is None or quantity not in {**UNITS, **LABELS}:
        return None
    unit = match[2]
    if quantity in LABELS:
        return Column(index, quantity, LABELS[quantity].get(unit, 1.0))
    units = UNITS[quantity]
    if unit in units:
        return Column(index, quantity, units[unit])
    wanted = ", ".join(f"{quantity}_{known}" for known in units)
    problem = f"the unit {unit!r} of the column {name!r} is not known" if unit else f"the column {name!r} has no unit"
    raise ConfigurationError(f"{source}: {problem}. Write one of {wanted}.")


def require(found: Iterable[str], needed: Sequence[str], names: Sequence[str], source: str) -> None:
    """ConfigurationError when one of the quantities `needed` is missing among the columns `names`."""
    for quantity in needed:
        if quantity not in found:
            wanted = f"{quantity}_{next(iter(UNITS[quantity]))}"
            raise ConfigurationError(
                f"{source} has no column {wanted!r} (or in another unit).{nearest(wanted, names)} "
                "docs/devices.md says which columns there are."
            )
