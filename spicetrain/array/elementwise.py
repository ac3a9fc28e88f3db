"""What numpy spells as a function and torch as a method; and what lies between two times."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np


def exp(x: Any) -> Any:
    return x.exp() if hasattr(x, "exp") else np.exp(x)


def log(x: Any) -> Any:
    return x.log() if hasattr(x, "log") else np.log(x)


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """sum_k coefficients[k] x^k, shaped like x."""
    total = 0 * x
    for c in reversed(coefficients):
        total = total * x + c
    return total


def uniform(n: Any) -> Any:
    """Uniform in -1 .. 1 of standard normal numbers."""
    if hasattr(n, "erf"):
        return (n / math.sqrt(2)).erf()
    from scipy.special import erf

    return erf(n / math.sqrt(2))


def chosen(mask: Any, value: float, other: Any) -> Any:
    """`value` where `mask`, else `other`; no gradient where `mask`."""
    return other.masked_fill(mask, value) if hasattr(other, "masked_fill") else np.where(mask, value, other)


def between(times: Sequence[float], time: float) -> tuple[int, int, float]:
    """(index before, index after, share of the latter) of `time` among ascending `times`; outside, the nearest end."""
    after = bisect_right(times, time)
    if after in (0, len(times)):
        end = min(after, len(times) - 1)
        return end, end, 0.0
    return after - 1, after, (time - times[after - 1]) / (times[after] - times[after - 1])
