"""The network under every condition of a grid, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spicetrain.drawing import ACCENT_SHADES, INK, axes, svg
from spicetrain.inverter.verification.grid import TABLE
from spicetrain.inverter.verification.summary import ConditionFigures, GridFigures
from spicetrain.report.blocks import Block, Drawing, Figures, Gallery, Notice, Paragraph, Section, Table
from spicetrain.report.page import Page
from spicetrain.report.units import count, percent, quantity

if TYPE_CHECKING:
    import pandas as pd

KEY, TITLE = "conditions", "Operating conditions"
_COLUMNS = ("condition", "corner", "temperature_C", "vdd_scale", "accuracy_spice", "static_power_W")
_SUGGESTED = "--temperatures 0 27 85 --vdd-scales 0.9 1 1.1"


def grid_section(page: Page) -> Section:
    """What a verification says of a grid of conditions, with conditions.parquet."""
    figures: GridFigures | None = page.summary and page.summary.grid
    if figures is None:
        text = (
            "All this is of one corner, one temperature, one supply. What is left of the accuracy where they are "
            "others has not been looked at; --corners takes those of a technology that names some."
        )
        return Section(KEY, TITLE, [Notice(text, f"{page.command('verify')} {_SUGGESTED}")])
    text = (
        f"The same network in ngspice under {count(figures.count, 'condition')}, "
        f"{count(figures.images, 'image')} each. Under every one the inverter was measured and fitted anew: agreement "
        "and errors are those of the model under that condition."
    )
    blocks: list[Block] = [Figures(_tiles(figures)), Paragraph(text)]
    frame = page.files.frame(TABLE, _COLUMNS)
    if frame is not None:
        blocks.append(Gallery([heat_map(frame)]))
    rows = [*_rows(figures.by_corner, ""), *_rows(figures.by_temperature_C, " °C")]
    rows += _rows(figures.by_vdd_scale, " of the supply")
    blocks.append(Table(("conditions", "how many", "mean", "worst"), rows, "Accuracy in SPICE, by what they share."))
    return Section(KEY, TITLE, blocks)


def heat_map(frame: pd.DataFrame) -> Drawing:
    """Accuracy in SPICE, a row a corner, a column a supply and a temperature."""
    table = 100 * frame.pivot_table(index="corner", columns=["vdd_scale", "temperature_C"], values="accuracy_spice")
    table = table.reindex(index=list(dict.fromkeys(frame["corner"])))
    values = table.to_numpy()
    figure, axis = axes(max(4.6, 0.62 * values.shape[1] + 1.2), 1.3 + 0.36 * values.shape[0])
    axis.imshow(100 - values, cmap=ACCENT_SHADES, aspect="auto", vmin=0, vmax=max(20.0, float((100 - values).max())))
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    axis.set_xticks(range(values.shape[1]), [f"{scale:g}\n{celsius:g} °C" for scale, celsius in table.columns])
    axis.set_yticks(range(values.shape[0]), list(table.index))
    axis.set(xlabel="supply and temperature", ylabel="corner")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            axis.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color=INK)
    caption = "Accuracy in SPICE (%) under every condition; darker is worse."
    return Drawing(svg(figure, "Accuracy by corner, supply and temperature"), caption, wide=values.shape[1] > 6)


def _tiles(figures: GridFigures) -> list[tuple[str, str, str]]:
    nominal = "" if figures.nominal is None else f"{percent(figures.nominal)} under the nominal one"
    least, most = (quantity(power, "W") for power in (figures.static_power_min_W, figures.static_power_max_W))
    return [
        (percent(figures.accuracy_mean), "mean accuracy", nominal),
        (percent(figures.accuracy_min), "worst condition", figures.worst.replace("_", " ")),
        (percent(figures.agreement_min), "agreement, least", "model and SPICE"),
        (quantity(figures.error_mean_V, "V"), "mean output error", f"largest {quantity(figures.error_max_V, 'V')}"),
        (quantity(figures.static_power_mean_W, "W"), "static power, mean", f"{least} to {most}"),
    ]


def _rows(by: dict[str, ConditionFigures], unit: str) -> list[tuple[str, str, str, str]]:
    return [
        (f"{name}{unit}", str(one.count), percent(one.accuracy_mean), percent(one.accuracy_min))
        for name, one in by.items()
    ]
