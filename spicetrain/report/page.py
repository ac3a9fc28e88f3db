"""A page: what its sections are made from, and the template that draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spicetrain.datasets import Dataset
from spicetrain.errors import SpicetrainError
from spicetrain.report.blocks import Gallery, Section
from spicetrain.report.interactive import embedded
from spicetrain.runfolder import RunFolder
from spicetrain.version import __version__


@dataclass(frozen=True)
class Page:
    """A run folder's content for its page; None stands for what is not there yet.

    summary, network  the system's own
    metrics           a dictionary an epoch
    surrogates, manifest  surrogates.json, manifest.json
    """

    files: RunFolder
    experiment: Any
    summary: Any = None
    network: Any = None
    metrics: list[dict[str, Any]] | None = None
    surrogates: dict[str, Any] | None = None
    manifest: dict[str, Any] | None = None

    def command(self, verb: str) -> str:
        """What to type."""
        return self.files.command(verb)

    @cached_property
    def dataset(self) -> Dataset | str:
        """The run's dataset, or why it is not there."""
        try:
            loaded: Dataset = self.experiment.dataset.load()
            return loaded
        except SpicetrainError as error:
            return str(error)

    def classes(self, number: int) -> tuple[str, ...]:
        """By name where the dataset has so many, else numbered."""
        named = () if isinstance(self.dataset, str) else self.dataset.classes
        return named if len(named) == number else tuple(str(j) for j in range(number))


def render(title: str, technology: str, sections: Sequence[Section]) -> str:
    """The page; text is escaped, Markup is not."""
    environment = Environment(
        loader=PackageLoader("spicetrain.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    galleries = [block for section in sections for block in section.blocks if isinstance(block, Gallery)]
    answers = any(drawing.plot is not None for gallery in galleries for drawing in gallery.drawings)
    script = "\n".join(map(_own, ["report.js", *(["uplot.min.js", "interactive.js"] if answers else [])]))
    return template.render(
        title=title,
        technology=technology,
        sections=sections,
        version=__version__,
        embedded=embedded,
        style=Markup(_own("uplot.min.css") if answers else ""),
        script=Markup(script),
    )


def _own(name: str) -> str:
    """A file of this folder, to stand in the page."""
    return files("spicetrain.report").joinpath(name).read_text("utf-8").strip()
