"""What a comparison's page and text say of inverter-based networks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spicetrain.inverter.comparison import drawings, tables
from spicetrain.inverter.comparison.conditions import conditions_drawing, conditions_table
from spicetrain.inverter.comparison.cross import cross_table
from spicetrain.inverter.comparison.published import CAVEAT
from spicetrain.report.blocks import Block, Gallery, Paragraph, Table


def comparison_tables(ours: pd.DataFrame, root: Path, dataset: str) -> list[Table]:
    """Ratios, energies, cross-scores: those that there are. `ours`: rows of a comparison's table below `root`."""
    cross = cross_table(ours, root)
    found = (
        tables.ratios(ours, cross, dataset),
        tables.energies(ours, dataset),
        tables.cross_scores(cross, dataset),
        tables.conditions(ours, root, dataset),
        conditions_table(ours, root, dataset),
    )
    return [table for table in found if table is not None]


def comparison_blocks(ours: pd.DataFrame, root: Path, dataset: str) -> list[Block]:
    """The same with what the papers say, and drawn."""
    of_it = ours[ours["dataset"] == dataset]
    if of_it["error_mean_V"].isna().all():
        return []
    cross = cross_table(of_it, root)
    ratios, energies = tables.ratios(ours, cross, dataset), tables.energies(ours, dataset)
    crossed = tables.cross_scores(cross, dataset)
    varied, under = tables.conditions(ours, root, dataset), conditions_table(ours, root, dataset)
    blocks: list[Block] = [table for table in (ratios, energies, varied, under) if table is not None]
    if blocks:
        blocks.append(Paragraph(CAVEAT))
    drawn = [drawings.errors(of_it)]
    if (over := conditions_drawing(ours, root, dataset)) is not None:
        drawn.append(over)
    if crossed is not None:
        drawn.append(drawings.cross_matrix(*tables.cross_matrix(cross, dataset)))
    return [*blocks, Gallery(drawn), *([] if crossed is None else [crossed])]
