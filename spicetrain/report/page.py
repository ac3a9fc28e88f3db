"""All sections in order, through the template, into report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context

from spicetrain import __version__
from spicetrain.datasets import Dataset
from spicetrain.errors import SpicetrainError
from spicetrain.experiment import REPORT
from spicetrain.inverter.report.circuit import circuit_section
from spicetrain.inverter.report.comparison import verification_section
from spicetrain.inverter.report.energy import energy_section
from spicetrain.inverter.report.fits import surrogates_section
from spicetrain.inverter.report.outputs import Outputs
from spicetrain.inverter.report.worst import Inputs, worst_section
from spicetrain.report.artefacts import RunFolder
from spicetrain.report.blocks import Section
from spicetrain.report.conductances import conductances_section
from spicetrain.report.drawing import STYLE
from spicetrain.report.learning import training_section
from spicetrain.report.provenance import headline, headline_section, provenance_section
from spicetrain.spiking.report.circuit import spiking_circuit_section
from spicetrain.spiking.report.comparison import spiking_verification_section
from spicetrain.spiking.report.laws import laws_section
from spicetrain.spiking.report.rasters import rasters_section
from spicetrain.spiking.report.waveforms import kept_spikes, waveforms_section
from spicetrain.storage import write_atomic


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html from whatever the run folder holds so far; its path.

    One file that needs nothing else: style, figures and images are inside, no script. What is missing is named on the
    page with the command that makes it.

    Raises ConfigurationError when `folder` is no run folder, StorageError when an artefact is damaged or the page
    cannot be written.
    """
    run = RunFolder(Path(folder))
    with rc_context(STYLE):
        sections = _sections(run)
    html = render(headline(run), run.experiment.technology, sections)
    path = run.folder / REPORT
    with write_atomic(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


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
    return template.render(title=title, technology=technology, sections=sections, version=__version__)


def _sections(run: RunFolder) -> list[Section]:
    return _spiking(run) if run.system == "spiking" else _inverter(run)


def _inverter(run: RunFolder) -> list[Section]:
    provenance, result, surrogates = provenance_section(run), headline_section(run), surrogates_section(run)
    run.metrics, run.network  # noqa: B018  # what is damaged shows before the drawing begins
    frame = run.verification
    outputs = None if frame is None else Outputs.of(frame)
    inputs, classes, why_not = _test_images(run, outputs)
    return [
        result,
        circuit_section(run),
        surrogates,
        training_section(run),
        verification_section(run, outputs, classes),
        energy_section(run),
        conductances_section(run),
        worst_section(run, outputs, inputs, classes, why_not),
        provenance,
    ]


def _spiking(run: RunFolder) -> list[Section]:
    provenance, result, laws = provenance_section(run), headline_section(run), laws_section(run)
    run.metrics, run.network  # noqa: B018  # as above
    kept, classes = kept_spikes(run), _classes(_dataset(run), run.experiment.network.layers[-1])
    return [
        result,
        spiking_circuit_section(run),
        laws,
        training_section(run),
        spiking_verification_section(run, kept, classes),
        waveforms_section(run, kept),
        rasters_section(run, kept, classes),
        conductances_section(run),
        provenance,
    ]


def _dataset(run: RunFolder) -> Dataset | str:
    """The run's dataset, or why it is not there."""
    from spicetrain.datasets import load_dataset

    settings = run.experiment.dataset
    try:
        return load_dataset(settings.name, settings.folder)
    except SpicetrainError as error:
        return str(error)


def _classes(dataset: Dataset | str, number: int) -> tuple[str, ...]:
    """By name where the dataset has so many, else numbered."""
    named = () if isinstance(dataset, str) else dataset.classes
    return named if len(named) == number else tuple(str(j) for j in range(number))


def _test_images(run: RunFolder, outputs: Outputs | None) -> tuple[Inputs | None, tuple[str, ...], str]:
    """(test images or None, names of the classes, why there are none)."""
    if outputs is None:
        return None, (), ""
    dataset, number = _dataset(run), outputs.spice_V.shape[1]
    if isinstance(dataset, str):
        return None, _classes(dataset, number), dataset
    known = outputs.image[-1] < len(dataset.test_labels) and len(dataset.classes) == number
    if not known or (dataset.test_labels[outputs.image] != outputs.label).any():
        foreign = f"the labels of {run.experiment.dataset.name} are not those of verification.parquet."
        return None, _classes(foreign, number), foreign
    return dataset.test_inputs, dataset.classes, ""
