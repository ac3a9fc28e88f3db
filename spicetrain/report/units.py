"""Numbers as people read them. Only the page does this: artefacts and axes' data stay in SI units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """`4.99e-07, "V"` -> "499 nV": `digits` significant ones and an SI prefix."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = math.floor(math.log10(float(f"{abs(value):.{digits - 1}e}")))
    step = min(max(3 * (exponent // 3), min(_PREFIXES)), max(_PREFIXES))
    decimals = max(digits - 1 - (exponent - step), 0)
    return f"{value / 10.0**step:.{decimals}f} {_PREFIXES[step]}{unit}"


def resistance(conductance_S: float) -> str:
    """`1.2e-7` -> "8.33 MΩ"."""
    return quantity(1 / conductance_S, "Ω") if conductance_S else "open"


def percent(share: float, digits: int = 2) -> str:
    """`0.9713` -> "97.13 %"."""
    return f"{100 * share:.{digits}f} %"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1, "epoch"` -> "1 epoch", `1000, "image"` -> "1,000 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """`153.2` -> "2 min 33 s"."""
    if value < 60:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def spread(values: Any, show: Callable[[float], str]) -> str:
    """Of a pandas series, mean, and the range of several: "97.10 % (96.90 % .. 97.30 %)"."""
    known = values.dropna()
    if known.empty:
        return ""
    if len(known) == 1:
        return show(float(known.iloc[0]))
    return f"{show(float(known.mean()))} ({show(float(known.min()))} .. {show(float(known.max()))})"
