"""What a trained network is handed on as, by name. A format is one file here, or a user's own, registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicetrain.registry import Registry
from spicetrain.system import Bench, System

__all__ = ["EXPORTS", "Export", "Format"]


@dataclass(frozen=True)
class Export:
    """What is exported: the network, of which run, of which system, and one of its test images where the format shows
    one; in which dialect where there are several. `surrogates`: reads what was fitted; ConfigurationError when it is
    not of this run."""

    bench: Bench
    system: System
    network: Any
    surrogates: Callable[[], Any]
    image: int = 0
    dialect: str = "ngspice"


@dataclass(frozen=True)
class Format:
    """file   its name in a run folder, where no other is asked for
    write  writes it to the path; ConfigurationError when the system has no such thing
    dialects  it can be written in those of exporting.dialects
    """

    file: str
    write: Callable[[Export, Path], None]
    dialects: bool = False


EXPORTS: Registry[Format] = Registry(
    "export format",
    {
        "csv": "spicetrain.exporting.csv_map:FORMAT",
        "nir": "spicetrain.exporting.nir_graph:FORMAT",
        "npz": "spicetrain.exporting.npz_map:FORMAT",
        "onnx": "spicetrain.exporting.onnx_formula:FORMAT",
        "subckt": "spicetrain.exporting.subckt:FORMAT",
    },
)
