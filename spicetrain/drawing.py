"""Figures as inline SVG that takes the page's own colours, so that one drawing serves light, dark and paper."""

from __future__ import annotations

import base64
import io
import itertools
import re
from typing import Any, Literal

import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

# Colours that stand for the page's: matplotlib draws with these, the SVG then names the page's variables.
INK, GRID, ACCENT, SECOND = "#0b0c0d", "#0b0c0e", "#0b0c0f", "#0b0c10"
_PAGE_COLOURS = {INK: "currentColor", GRID: "var(--rule)", ACCENT: "var(--accent)", SECOND: "var(--second)"}

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spicetrain",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "image.interpolation": "nearest",
    **dict.fromkeys(("figure.facecolor", "figure.edgecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "grid.color": GRID,
}

# Dots are drawn as pixels, which know nothing of the page: a colour that reads on white and on black.
DOTS = "#14919a"

_DPI = 130
_ALONE = (
    "<style>svg{color:#1c2326;background:#fff;--rule:#dde3e4;--accent:#0b7a82;--second:#c05f00}"
    "@media(prefers-color-scheme:dark){svg{color:#e3e8e9;background:#14191b;--rule:#344045;--accent:#3fb6bd;"
    "--second:#ef9a4a}}</style>"
)
_numbers = itertools.count(1)

# Positive teal, negative amber, nothing transparent: reads on white and on black.
DIVERGING = LinearSegmentedColormap.from_list(
    "diverging",
    [
        (0.0, (0.76, 0.36, 0.0, 1.0)),
        (0.5, (0.85, 0.5, 0.1, 0.0)),
        (0.5, (0.1, 0.6, 0.6, 0.0)),
        (1.0, (0.0, 0.46, 0.5, 1.0)),
    ],
)
ACCENT_SHADES = LinearSegmentedColormap.from_list("shades", [(0.05, 0.5, 0.53, 0.0), (0.05, 0.5, 0.53, 1.0)])


def axes(width: float = 4.6, height: float = 3.2) -> tuple[Figure, Axes]:
    """One plot; inches, of which only the ratio and the size of the letters matter."""
    figure = Figure((width, height), layout="constrained", dpi=_DPI)
    return figure, figure.subplots()


def logarithmic(axis: Axes, which: Literal["x", "y"], numbers: Formatter | None = None) -> None:
    """A logarithmic axis with plain numbers on it, also within one decade."""
    axis.set(**{f"{which}scale": "log"})
    one = axis.xaxis if which == "x" else axis.yaxis
    low, high = sorted(one.get_view_interval())
    narrow = high < 100 * low
    one.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=7))
    one.set_major_formatter(numbers or FuncFormatter(lambda value, _: f"{value:,g}"))
    one.set_minor_formatter(NullFormatter())


def ordered_colours(number: int) -> NDArray[np.float64]:
    """Colours for curves in an order, all of them visible on white and on black, [number, 4]."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.3, 0.8, number))


def svg(figure: Figure, alt: str) -> Markup:
    """The figure as an SVG element: no name spaces, ids of its own, the page's colours and font."""
    return svg_element(_svg_text(figure), alt)


def svg_file(figure: Figure) -> str:
    """The same as a file that stands alone, in a page's colours, light or dark as its reader has them."""
    text = _svg_text(figure)
    return text.replace(">", f">{_ALONE}", 1)


def svg_element(text: str, alt: str) -> Markup:
    """An element of what `svg_file` made, for a page."""
    prefix = f"f{next(_numbers)}-"
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", text.replace(_ALONE, ""))
    view_box = re.search(r'viewBox="[^"]*"', text)
    inside = text[text.index(">") + 1 :]
    opening = f'<svg {view_box.group() if view_box else ""} role="img" aria-label="{escape(alt)}">'
    return Markup(opening + inside)


def _svg_text(figure: Figure) -> str:
    """Of matplotlib, with the page's colours by name."""
    stream = io.StringIO()
    figure.dpi = _DPI
    FigureCanvasSVG(figure).print_svg(stream)  # savefig would draw everything for the layout, and then again
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for colour, name in _PAGE_COLOURS.items():
        text = text.replace(colour, name)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    return re.sub(r"\n\s*", "\n", text).strip()


def thumbnail(image: ArrayLike, alt: str) -> Markup:
    """A grey image [height, width] in 0..1, dark ink on light, as an element that carries it."""
    from matplotlib.image import imsave

    stream = io.BytesIO()
    imsave(stream, np.asarray(image), cmap="gray_r", vmin=0, vmax=1, format="png")
    coded = base64.b64encode(stream.getvalue()).decode()
    return Markup('<img class="thumbnail" alt="{}" src="data:image/png;base64,{}">').format(alt, coded)
