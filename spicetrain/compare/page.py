"""A comparison on one page that needs nothing else; it links to the cells' own reports beside it."""

from __future__ import annotations

from markupsafe import Markup
from matplotlib import rc_context

from spicetrain.compare import drawings, tables
from spicetrain.compare.frame import MISSING
from spicetrain.compare.results import Results
from spicetrain.drawing import STYLE
from spicetrain.report.blocks import Block, Gallery, Notice, Section, Table
from spicetrain.report.page import render
from spicetrain.report.units import count
from spicetrain.runfolder import REPORT


def comparison_page(results: Results) -> str:
    """The page as HTML."""
    with rc_context(STYLE):
        sections = [*(_dataset(results, dataset) for dataset in results.datasets), _cells(results)]
    comparison = results.cells[0].comparison
    title = f"Comparison: {', '.join(comparison.methods)} on {' and '.join(comparison.datasets)}"
    return render(title, results.cells[0].experiment().technology, sections)


def _dataset(results: Results, dataset: str) -> Section:
    ours = tables.of_dataset(results.frame, dataset)
    blocks: list[Block] = [*_notices(results, dataset), tables.results(results.frame, dataset)]
    if ours["accuracy_spice"].isna().all():
        return Section(dataset, dataset, blocks)
    searches = tables.searches(results.cells, dataset)
    blocks += [tables.costs(results.frame, dataset), *([] if searches is None else [searches])]
    cells = [cell for cell in results.cells if cell.dataset == dataset]
    drawn = [drawing for drawing in (drawings.front(ours), drawings.learning(cells)) if drawing is not None]
    return Section(dataset, dataset, [*blocks, *results.blocks(dataset), Gallery(drawn)])


def _notices(results: Results, dataset: str) -> list[Block]:
    ours = tables.of_dataset(results.frame, dataset)
    failed = [Notice(f"{row.cell}, seed {row.seed} failed: {row.message}") for row in ours.itertuples() if row.message]
    missing = int((ours["state"] == MISSING).sum())
    if missing:
        text = f"{count(missing, 'cell')} of {len(ours)} are missing: these figures are not the whole comparison."
        failed.insert(0, Notice(text, f"spicetrain compare {results.folder}"))
    return list(failed)


def _cells(results: Results) -> Section:
    rows = []
    for row, cell in zip(results.frame.itertuples(), results.cells, strict=True):
        there = (cell.folder / REPORT).exists()
        link = Markup('<a href="{}/{}">report</a>').format(row.folder, REPORT) if there else ""
        rows.append((str(cell), str(row.method), str(row.state), str(row.inverter_sizes or ""), link))
    table = Table(("cell", "method", "state", "fingers, by layer", "its own page"), rows)
    return Section("cells", "All cells", [table])
