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
    default_folder,
    load_experiment,
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
    "Run",
    "default_folder",
    "load_experiment",
    "presets",
]
