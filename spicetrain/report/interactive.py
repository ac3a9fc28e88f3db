"""Drawings that answer: named columns as data of the page, which interactive.js draws with uPlot beside a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

MOST_POINTS = 2000  # of a curve
_MOST_IN_ALL = 12_000  # of a drawing's curves together: two hundred kilobytes of a page
_DIGITS = 6


@dataclass(frozen=True)
class Column:
    """What has a value at every x.

    values  [n], in `unit`, as they are said; a NaN is a gap
    drawn   as a line, dots, a dotted line, or ticks at the upper edge where it is not 0; None: it is only said
    colour  one of the page's: accent, second, ink
    """

    name: str
    values: ArrayLike
    unit: str = ""
    drawn: Literal["line", "dots", "dotted", "ticks"] | None = "line"
    colour: str = "accent"


@dataclass(frozen=True)
class Curves:
    """Columns over the same x [n], which rises."""

    x: ArrayLike
    columns: Sequence[Column]


@dataclass(frozen=True)
class Panel:
    """One pair of axes; `shaded` are stretches of x, (from, to) each."""

    curves: Sequence[Curves]
    y: str
    title: str = ""
    logarithmic: bool = False
    shaded: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Plot:
    """Panels above one another that share x, its zoom and its cursor; `about` is said where nobody sees it."""

    about: str
    x: str
    panels: Sequence[Panel]
    x_unit: str = ""


def embedded(plot: Plot) -> Markup:
    """The plot as an element that is data: JSON that no text can break out of, NaN as null.

    Of a line of more than MOST_POINTS points, fewer where there are many lines, the least and the largest of every
    stretch are kept.
    """
    lines = sum(len(panel.curves) for panel in plot.panels)
    most = min(MOST_POINTS, max(_MOST_IN_ALL // max(lines, 1), 16))
    content = {
        "about": plot.about,
        "x": {"name": plot.x, "unit": plot.x_unit},
        "panels": [
            {
                "title": panel.title,
                "y": panel.y,
                "logarithmic": panel.logarithmic,
                "shaded": [[_number(end, _DIGITS) for end in stretch] for stretch in panel.shaded],
                "curves": [_curves(curves, most) for curves in panel.curves],
            }
            for panel in plot.panels
        ],
    }
    return Markup('<script type="application/json" class="plot">{}</script>').format(htmlsafe_json_dumps(content))


def extremes(columns: Sequence[NDArray[np.float64]], most: int) -> NDArray[np.intp]:
    """Which of n points to keep, at most `most` where that is enough for the ends and a stretch.

    columns  [n] each. All points where they are few; else the first and the last one and, of every stretch of equally
             many points, where each column is least and largest.
    """
    number = len(columns[0])
    if number <= most:
        return np.arange(number)
    stretches = max((most - 2) // (2 * len(columns)), 1)
    kept = {0, number - 1}
    for part in np.array_split(np.arange(number), stretches):
        for column in columns:
            here = column[part]
            if not np.isnan(here).all():
                kept |= {int(part[np.nanargmin(here)]), int(part[np.nanargmax(here)])}
    return np.array(sorted(kept))


def _curves(curves: Curves, most: int) -> dict[str, Any]:
    x = np.asarray(curves.x, np.float64)
    columns = [np.asarray(column.values, np.float64) for column in curves.columns]
    kept = extremes(columns, most)
    return {
        "x": _apart(x[kept]),
        "columns": [
            {
                "name": column.name,
                "unit": column.unit,
                "drawn": column.drawn,
                "colour": column.colour,
                "values": [_number(value, _DIGITS) for value in values[kept]],
            }
            for column, values in zip(curves.columns, columns, strict=True)
        ],
    }


def _apart(x: NDArray[np.float64]) -> list[float | int | None]:
    """With as few digits as tell all of them apart."""
    short: list[float | int | None] = []
    for digits in (_DIGITS, 9, 17):
        short = [_number(value, digits) for value in x]
        if len(set(short)) == len(x):
            break
    return short


def _number(value: float, digits: int) -> float | int | None:
    if not np.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
