"""One TOML, all rooms in order, one run folder."""

from spicetrain.experiment.definition import (
    CHECKPOINT,
    DEFINITION,
    FIT,
    MANIFEST,
    NETWORK,
    REPORT,
    SUMMARY,
    SURROGATES,
    Experiment,
    InverterExperiment,
    SpikingExperiment,
    default_folder,
    load_experiment,
    parse_experiment,
    presets,
)
from spicetrain.experiment.run import Run

__all__ = [
    "CHECKPOINT",
    "DEFINITION",
    "FIT",
    "MANIFEST",
    "NETWORK",
    "REPORT",
    "SUMMARY",
    "SURROGATES",
    "Experiment",
    "InverterExperiment",
    "Run",
    "SpikingExperiment",
    "default_folder",
    "load_experiment",
    "parse_experiment",
    "presets",
]
