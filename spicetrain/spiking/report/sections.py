"""The spiking system's page, section by section."""

from __future__ import annotations

from spicetrain.report.blocks import Section
from spicetrain.report.chips import chips_section
from spicetrain.report.conductances import conductances_section
from spicetrain.report.learning import training_section
from spicetrain.report.page import Page
from spicetrain.spiking.report.circuit import spiking_circuit_section
from spicetrain.spiking.report.comparison import spiking_verification_section
from spicetrain.spiking.report.laws import laws_section
from spicetrain.spiking.report.learning import spike_blocks
from spicetrain.spiking.report.rasters import rasters_section
from spicetrain.spiking.report.waveforms import latched_spikes, waveforms_section


def spiking_sections(page: Page) -> list[Section]:
    """Behind the result and before the provenance."""
    laws, kept = laws_section(page), latched_spikes(page)
    classes = page.classes(page.experiment.network.layers[-1])
    return [
        spiking_circuit_section(page),
        laws,
        training_section(page, spike_blocks),
        spiking_verification_section(page, kept, classes),
        chips_section(page, page.summary and page.summary.chips),
        waveforms_section(page, kept),
        rasters_section(page, kept, classes),
        conductances_section(page),
    ]
