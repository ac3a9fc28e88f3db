"""The laws of a spiking circuit, fitted: their errors, and what they look like."""

from __future__ import annotations

from typing import Any

from spicetrain.errors import StorageError
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section, Table
from spicetrain.report.fits import fit_drawing
from spicetrain.report.page import Page
from spicetrain.report.units import percent, quantity

_UNITS = ("A", "V", "C", "S", "F", "s")


def laws_section(page: Page) -> Section:
    """How well closed forms stand for the measured tables."""
    key, title = "surrogates", "The laws, fitted"
    content = page.surrogates
    if content is None:
        missing = Notice("No laws have been fitted in this folder.", page.command("fit-surrogates"))
        return Section(key, title, [missing])
    text = (
        "What the model knows of the circuit: closed forms fitted to what ngspice measured of drivers or cells, leak, "
        "reset and threshold."
    )
    try:
        rows = [(name.replace("_", " "), _text(law["errors"])) for name, law in content["surrogates"].items()]
        blocks: list[Block] = [Paragraph(text), Table(("law", "errors"), rows)]
    except (KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{page.files.folder / 'surrogates.json'} is not what the fit writes ({error!r}). Remove it and run "
            f"`{page.command('fit-surrogates')}` again."
        ) from error
    return Section(key, title, [*blocks, Gallery(_plots(page))])


def _text(errors: dict[str, Any]) -> str:
    """rms_A = 3e-9, points = 7 -> "rms 3.00 nA, points 7": the unit is the end of the name."""
    text = []
    for name, value in errors.items():
        if isinstance(value, int | float):
            what, _, unit = name.rpartition("_")
            known = unit in (*_UNITS, "relative")
            text.append(f"{(what if known else name).replace('_', ' ')} {_figure(value, unit)}")
    return ", ".join(text)


def _figure(value: float, unit: str) -> str:
    if unit == "relative":
        return percent(value, 3)
    return quantity(value, unit) if unit in _UNITS else f"{value:,.6g}"


def _plots(page: Page) -> list[Drawing]:
    paths = sorted(page.files.folder.glob("surrogates-*.svg"))
    names = [path.stem.removeprefix("surrogates-").replace("_", " ").capitalize() for path in paths]
    return [
        fit_drawing(path, f"{name}: measured, fitted, and what is left.")
        for path, name in zip(paths, names, strict=True)
    ]
