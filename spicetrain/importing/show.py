"""What was found, as tables in a terminal, and as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from spicetrain.importing.device import Current, Imported, Statistics
from spicetrain.importing.forms import LARGEST_MISFIT, Fit
from spicetrain.importing.pulses import Pulses
from spicetrain.report.units import quantity


def show(imported: Imported) -> None:
    console = Console()
    for table in _tables(imported):
        console.print(table)
    for line in _lines(imported):
        console.print(line, markup=False, highlight=False)


def told(imported: Imported) -> Iterator[str]:
    """Without tables, for a comment."""
    if imported.current is not None:
        yield _of_scatter(imported.current)
        for fit in imported.current.fits:
            form, fitted, rms, largest, misfit = _row(fit)
            taken = " <-" if fit is imported.current.fit else ""
            yield f"{form}: {fitted or 'no bend'}; off by {rms}, {largest} at most, {misfit} of the scatter{taken}"
    if imported.statistics is not None:
        for law in imported.statistics.laws[:3]:
            yield f"programming: {law.name}, BIC {law.bic:.1f}{' <-' if law is imported.statistics.law else ''}"
    if imported.pulses is not None:
        for row in _rows_of_pulses(imported.pulses):
            yield f"{row[0]} pulses at {row[1]}: {row[2]}, sigma {row[3]} ({row[4]} pulses)"
    yield from _lines(imported)


def _lines(imported: Imported) -> Iterator[str]:
    low, high = imported.device.g_min_S, imported.device.g_max_S
    yield f"range {quantity(low, 'S')} .. {quantity(high, 'S')}, {imported.range_told}"
    yield from imported.notes


def _tables(imported: Imported) -> Iterator[Table]:
    if imported.current is not None:
        yield _table_of_forms(imported.current)
    if imported.statistics is not None:
        yield _table_of_laws(imported.statistics)
    if imported.pulses is not None:
        table = Table("pulse", "at", "moves by", "sigma", "pulses", title="Single pulses")
        for row in _rows_of_pulses(imported.pulses):
            table.add_row(*row)
        yield table


def _table_of_forms(current: Current) -> Table:
    title = f"{len(current.sweeps.v_V)} points of {len(current.sweeps.labels)} states; {_of_scatter(current)}"
    table = Table("", "form", "fitted", "off, rms", "largest", "over scatter", "BIC", title=title)
    for fit in current.fits:
        table.add_row("->" if fit is current.fit else "", *_row(fit), f"{fit.bic:.0f}")
    table.caption = (
        f"A law will do up to {LARGEST_MISFIT**0.5:.2f} times the scatter: then it misses less than what scatters. Of "
        "those the one of the least BIC; else the table."
    )
    return table


def _of_scatter(current: Current) -> str:
    scatter = current.scatter
    return f"scatter {scatter.share:.2%} of the current and {quantity(scatter.floor_A, 'A')}, {scatter.told}"


def _row(fit: Fit) -> tuple[str, ...]:
    fitted = ", ".join(f"{key} = {value:g}" for key, value in fit.settings.items() if isinstance(value, float))
    return fit.form, fitted, f"{fit.rms:.2%}", f"{fit.largest:.2%}", f"{fit.misfit**0.5:.3g}"


def _table_of_laws(statistics: Statistics) -> Table:
    programmed, taken = statistics.programmed, statistics.law
    least = statistics.laws[0].bic
    of = f" on {programmed.devices} devices" if programmed.devices else ""
    title = f"{len(programmed.target_S)} programmed conductances{of}"
    table = Table("", "programming", "fitted", "BIC over the least", title=title)
    for law in statistics.laws:
        table.add_row("->" if law is taken else "", law.name, _fitted(law.settings), f"{law.bic - least:.1f}")
    table.caption = "Taken is the law of the fewest parameters that the least BIC is no strong evidence against."
    return table


def _fitted(settings: dict[str, Any]) -> str:
    shown = []
    for key, value in settings.items():
        if key == "coefficients":
            shown.append(f"[{', '.join(f'{c:.3g}' for c in value)}] uS")
        elif isinstance(value, float):
            shown.append(f"{key} = {value:.3g}")
    if "later" in settings:
        shown.append(f"and at {len(settings['later'])} later times")
    return ", ".join(shown)


def _rows_of_pulses(pulses: Pulses) -> Iterator[tuple[str, ...]]:
    for updates in pulses.updates:
        for g, mean, sigma, count in updates.binned():
            yield updates.kind, quantity(g, "S"), quantity(mean, "S"), quantity(sigma, "S"), str(count)
