"""Tables of a spiking circuit, measured by ngspice -> its laws, their errors and plots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context

from spicetrain.drawing import STYLE
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.keyed import Recipe
from spicetrain.progress import track
from spicetrain.runfolder import FIT, SURROGATES
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.surrogates.array_fits import fit_capacitance, fit_cells, fit_drivers, fit_pulse
from spicetrain.spiking.surrogates.laws import SpikingLaws, load_laws
from spicetrain.spiking.surrogates.measured import Fitted
from spicetrain.spiking.surrogates.neuron_fits import fit_charge, fit_leak, fit_reset, fit_residue, fit_threshold
from spicetrain.storage import copy_into, sha256_of_file, write_json
from spicetrain.surrogates.fitted_file import kept_folder, plot_of, save_plot
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.tables import read_measured
from spicetrain.technology import Technology

FITS: dict[str, Callable[[pd.DataFrame, SpikingLaws, SpikingCircuit, SurrogateSettings], Fitted]] = {
    "driver_current": fit_drivers,
    "cell_current": fit_cells,
    "cell_capacitance": fit_capacitance,
    "cell_pulse": fit_pulse,
    "leak_current": fit_leak,
    "reset_current": fit_reset,
    "neuron_capacitance": fit_charge,
    "threshold": fit_threshold,
    "reset_residue": fit_residue,
}

_FIT = Recipe("laws", 8)

_NEURON = ("leak_current", "reset_current", "neuron_capacitance", "threshold", "reset_residue")
_TABLES = {
    "1r": ("driver_current", *_NEURON),
    "1t1r": ("cell_current", "cell_capacitance", "cell_pulse", *_NEURON),
}


def fit_spiking_surrogates(
    characterization_folder: Path,
    technology: Technology,
    circuit: SpikingCircuit,
    settings: SurrogateSettings,
    folder: Path,
) -> dict[str, Any]:
    """Fit the laws of `circuit` to its tables; what is returned is written as surrogates.json, the laws as
    surrogates.safetensors, all of them drawn in surrogates-<table>.svg.

    Laws that were made of the same tables, circuit, technology and settings are kept, or copied from the cache.
    ConfigurationError: a table is absent, of another technology, or cannot be fitted. StorageError: one is damaged, or
    `folder` cannot be written.
    """
    start = time.perf_counter()
    paths = {name: characterization_folder / f"{name}.parquet" for name in _TABLES[circuit.array]}
    _require_tables(paths)
    checksums = {name: sha256_of_file(path) for name, path in paths.items()}
    key = _FIT.key(tables=checksums, technology=technology, circuit=circuit, settings=settings)
    reports = _finished(folder, key) or _taken(folder, key)
    fitted_now = [] if reports else list(paths)
    if not reports:
        tables = {name: read_measured(path, technology) for name, path in paths.items()}
        reports = _fit_all(tables, circuit, settings, folder, key)
        with suppress(StorageError):  # costs the next one its time, nothing else
            copy_into(kept_folder(key), _files(folder, paths))
    summary = {
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "circuit": circuit.name,
        "circuit_fingerprint": circuit.fingerprint,
        "settings": settings.model_dump(mode="json"),
        "surrogates": {
            name: {**report, "table": paths[name].name, "table_sha256": checksums[name]}
            for name, report in reports.items()
        },
        "skipped": {},
        "fitted_now": fitted_now,
        "seconds": time.perf_counter() - start,
    }
    write_json(folder / FIT, summary)
    return summary


def _require_tables(paths: dict[str, Path]) -> None:
    for name, path in paths.items():
        if not path.is_file():
            raise ConfigurationError(
                f"The laws of a spiking circuit need the table {name}, and there is no {path}. Measure it first: "
                f"spicetrain characterize with a plan that has [{name}], or name the folder it was measured into."
            )


def _finished(folder: Path, key: str) -> dict[str, Any]:
    """Reports on the laws in the folder when they were made of the same; a missing or damaged file means none."""
    try:
        reports = load_laws(folder / SURROGATES)[1]
    except StorageError:
        return {}
    return reports if all(report.get("key") == key for report in reports.values()) else {}


def _taken(folder: Path, key: str) -> dict[str, Any]:
    """Reports on the laws in the cache that were made of the same, after they are copied to the folder."""
    reports = _finished(kept_folder(key), key)
    files = _files(kept_folder(key), reports)
    if not all(file.is_file() for file in files):
        return {}
    copy_into(folder, files)
    return reports


def _files(folder: Path, names: Iterable[str]) -> list[Path]:
    """What a fit of these tables writes, the laws last."""
    return [*(folder / plot_of(name) for name in names), folder / SURROGATES]


def _fit_all(
    tables: dict[str, pd.DataFrame], circuit: SpikingCircuit, settings: SurrogateSettings, folder: Path, key: str
) -> dict[str, Any]:
    laws, reports = SpikingLaws(circuit.rest_V, (), ()), {}
    with track("fit-surrogates", len(tables), "laws") as bar:
        for name, table in tables.items():
            begun = time.perf_counter()
            bar.update(fit=name)
            with rc_context(STYLE):
                laws, reports[name], figure = FITS[name](table, laws, circuit, settings)
                save_plot(folder, name, figure)
            reports[name] |= {
                "key": key, "seed": settings.seed, "table_points": len(table),
                "seconds": time.perf_counter() - begun,
            }  # fmt: skip
            bar.advance()
    laws.save(folder / SURROGATES, reports)
    return reports
