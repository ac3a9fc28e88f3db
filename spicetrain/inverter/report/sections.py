"""The inverter system's page, section by section."""

from __future__ import annotations

from spicetrain.inverter.report.circuit import circuit_section
from spicetrain.inverter.report.comparison import verification_section
from spicetrain.inverter.report.energy import energy_section
from spicetrain.inverter.report.fits import surrogates_section
from spicetrain.inverter.report.grid import grid_section
from spicetrain.inverter.report.learning import solver_blocks
from spicetrain.inverter.report.regression import regression_section
from spicetrain.inverter.report.worst import Inputs, worst_chip_blocks, worst_section
from spicetrain.inverter.verification.chips import WORST
from spicetrain.inverter.verification.outputs import Outputs
from spicetrain.report.blocks import Section
from spicetrain.report.chips import chips_section
from spicetrain.report.conductances import conductances_section
from spicetrain.report.learning import training_section
from spicetrain.report.page import Page
from spicetrain.runfolder import VERIFICATION


def inverter_sections(page: Page) -> list[Section]:
    """Behind the result and before the provenance."""
    surrogates = surrogates_section(page)
    if page.summary is not None and page.summary.regression is not None:
        return [
            circuit_section(page),
            surrogates,
            training_section(page, solver_blocks),
            *_regression(page),
            energy_section(page),
            conductances_section(page),
        ]
    frame = page.files.frame(VERIFICATION, ("image", "label"))
    outputs = None if frame is None else Outputs.of(frame)
    inputs, classes, why_not = _test_images(page, outputs)
    figures = page.summary and page.summary.chips
    chip = None if figures is None else page.files.frame(WORST, ("chip", "image", "label", "model_o_0_V"))
    return [
        circuit_section(page),
        surrogates,
        training_section(page, solver_blocks),
        verification_section(page, outputs, classes),
        chips_section(page, figures, worst_chip_blocks(chip, outputs, inputs, classes)),
        grid_section(page),
        energy_section(page),
        conductances_section(page),
        worst_section(page, outputs, inputs, classes, why_not),
    ]


def _regression(page: Page) -> list[Section]:
    frame = page.files.frame(VERIFICATION, ("image",))
    return [] if frame is None else [regression_section(frame, page.summary.regression)]


def _test_images(page: Page, outputs: Outputs | None) -> tuple[Inputs | None, tuple[str, ...], str]:
    """(test images or None, names of the classes, why there are none)."""
    if outputs is None:
        return None, (), ""
    dataset, number = page.dataset, outputs.spice_V.shape[1]
    if isinstance(dataset, str):
        return None, page.classes(number), dataset
    known = outputs.image[-1] < len(dataset.test_labels) and len(dataset.classes) == number
    if not known or (dataset.test_labels[outputs.image] != outputs.label).any():
        foreign = f"the labels of {page.experiment.dataset.name} are not those of verification.parquet."
        return None, tuple(str(j) for j in range(number)), foreign
    pixels = dataset.image_shape or dataset.test_inputs.shape[1:]
    return dataset.test_inputs.reshape(-1, *pixels), dataset.classes, ""
