"""What a designer asks of a spiking network: accuracy, ties, energy and threshold, nominally and under everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter, PercentFormatter

from spicetrain.drawing import axes, ordered_colours, svg
from spicetrain.report.blocks import Drawing, Table
from spicetrain.report.units import percent, quantity
from spicetrain.spiking.comparison.outcomes import NOMINAL, Outcome

_LINES = {"1r": "-o", "1t1r": "--s"}


def robustness(found: Sequence[Outcome], dataset: str) -> list[Table]:
    """Two tables, a row a circumstance and a column a cell: accuracies, and what ngspice says of ties and energy. None
    where nothing was looked at but the nominal chip."""
    if not any(one.varied for one in found):
        return []
    cells = list(dict.fromkeys(one.cell for one in found))
    circumstances = list(dict.fromkeys(one.circumstance for one in found))

    def rows(show: Callable[[Sequence[Outcome]], str]) -> list[tuple[str, ...]]:
        every = [(what, *(show(_of(found, cell, what)) for cell in cells)) for what in circumstances]
        return [row for row in every if any(row[1:])]

    thresholds = ("threshold", *(_shown(_of(found, cell, NOMINAL), "threshold_V", _volts) for cell in cells))
    ties = f"{dataset}, in ngspice: images of which the read-out leaves several outputs equal; energy of an inference."
    return [
        Table(("", *cells), [thresholds, *rows(_accuracy)], f"{dataset}: accuracy under everything. {_images(found)}"),
        Table(("", *cells), rows(_cost), ties),
    ]


def sigma_drawing(found: Sequence[Outcome]) -> Drawing | None:
    """Accuracy over the standard deviation of the thresholds, a line a cell; None below two of them."""
    some = [one for one in found if one.model_mean is not None and (one.sigma_V or not one.varied)]
    if len({one.sigma_V for one in some if one.sigma_V}) < 2:
        return None
    cells = list(dict.fromkeys(one.cell for one in some if one.sigma_V))
    figure, axis = axes(5.4, 3.6)
    for cell, colour in zip(cells, ordered_colours(len(cells)), strict=True):
        ours = [one for one in some if one.cell == cell]
        by_sigma = {x: [one for one in ours if (one.sigma_V or 0.0) == x] for x in sorted({_x(one) for one in ours})}
        means, worst = ([_mean(ones, key) for ones in by_sigma.values()] for key in ("model_mean", "model_worst"))
        axis.plot(list(by_sigma), means, _LINES[ours[0].array], color=colour, label=cell)
        axis.fill_between(list(by_sigma), worst, means, color=colour, alpha=0.08)
    axis.set(xlabel="standard deviation of the thresholds (mV)", ylabel="accuracy of the model")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{1e3 * value:g}"))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend()
    caption = "Mean over chips, shaded down to the worst one. At 0 the nominal chip. Dashed: 1t1r."
    return Drawing(svg(figure, "Accuracy over the standard deviation of the thresholds"), caption)


def _x(one: Outcome) -> float:
    return one.sigma_V or 0.0


def _of(found: Sequence[Outcome], cell: str, circumstance: str) -> list[Outcome]:
    """Of all seeds."""
    return [one for one in found if (one.cell, one.circumstance) == (cell, circumstance)]


def _accuracy(ours: Sequence[Outcome]) -> str:
    """Means over the seeds: "95.10 % / 93.00 %; SPICE 94.50 %"."""
    mean, worst, spice = (_shown(ours, key, percent) for key in ("model_mean", "model_worst", "spice"))
    model = mean if worst == mean else f"{mean} / {worst}"
    return "; ".join(part for part in (model, f"SPICE {spice}" if spice else "") if part)


def _cost(ours: Sequence[Outcome]) -> str:
    parts = _shown(ours, "ties", percent), _shown(ours, "energy_J", lambda joule: quantity(joule, "J"))
    return "; ".join(part for part in parts if part)


def _volts(value: float) -> str:
    return quantity(value, "V")


def _shown(ours: Sequence[Outcome], key: str, show: Callable[[float], str]) -> str:
    """The mean of what is known; empty where nothing is."""
    value = _mean(ours, key)
    return "" if value is None else show(value)


def _mean(ours: Sequence[Outcome], key: str) -> Any:
    known = [value for one in ours if (value := getattr(one, key)) is not None]
    return sum(known) / len(known) if known else None


def _images(found: Sequence[Outcome]) -> str:
    """How many stand behind the figures."""
    nominal = next(one for one in found if not one.varied)
    text = (
        f"Nominal: the circuit's model on {nominal.model_images:,} test images, ngspice on {nominal.spice_images:,}. "
        "Chips: the model, mean / worst, and the mean of those in ngspice. Operating conditions: the model by laws "
        "measured under them. Threshold: of the first layer, from rest."
    )
    chips = next((one for one in found if one.varied and one.spice_chips), None)
    return text if chips is None else f"{text} Beside the nominal one ngspice saw {chips.spice_images:,} images."
