"""A run folder as one page."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context

from spicetrain.drawing import STYLE
from spicetrain.report.page import Page, render
from spicetrain.report.provenance import headline, provenance_section, result_section
from spicetrain.runfolder import FIT, MANIFEST, NETWORK, REPORT, RunFolder
from spicetrain.storage import write_atomic
from spicetrain.systems import load_experiment, read_summary, system_of


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html from whatever the run folder holds so far; its path.

    One file that needs nothing else: style, script, figures and images are inside. What is missing is named on the
    page with the command that makes it.

    Raises ConfigurationError when `folder` is no run folder, StorageError when an artefact is damaged or the page
    cannot be written.
    """
    page = read_page(folder)
    system = system_of(page.experiment)
    with rc_context(STYLE):
        provenance, result = provenance_section(page), result_section(page, system.result)
        sections = [result, *system.sections(page), provenance]
    html = render(headline(page, system.headline), page.experiment.technology, sections)
    path = page.files / REPORT
    with write_atomic(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


def read_page(folder: Path) -> Page:
    """What a run folder holds so far. Raises ConfigurationError, StorageError as `write_report`."""
    files = RunFolder(Path(folder))
    files.require()
    experiment = load_experiment(files.folder)
    system, network = system_of(experiment), files.path(NETWORK)
    return Page(
        files,
        experiment,
        summary=read_summary(files),
        network=None if network is None else system.load_network(network),
        metrics=files.metrics(system.metrics, experiment.training.last_epoch),
        surrogates=files.json(FIT, ("surrogates",), "fit-surrogates"),
        manifest=files.json(MANIFEST, ("rooms",), "run"),
    )
