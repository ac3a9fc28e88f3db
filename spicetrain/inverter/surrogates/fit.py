"""Tables measured by ngspice -> surrogates.safetensors, surrogates.json and plots."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from spicetrain.drawing import STYLE
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.inverter.surrogates.current_fit import fit_current_surface, fit_shifted_surface, surface_steps
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.effective_load import FEATURES, effective_load_steps, fit_effective_load
from spicetrain.inverter.surrogates.loaded_vtc import fit_loaded_vtc, loaded_vtc_steps
from spicetrain.inverter.surrogates.monotonicity import certify
from spicetrain.inverter.surrogates.plots import plot_current_surface, plot_effective_load, plot_loaded_vtc
from spicetrain.inverter.surrogates.store import Surrogate, load_surrogates, save_surrogates
from spicetrain.keyed import Recipe
from spicetrain.progress import Track, track
from spicetrain.runfolder import FIT, SURROGATES
from spicetrain.storage import sha256_of_file, write_json
from spicetrain.surrogates.errors_of_fit import Errors
from spicetrain.surrogates.fitted_file import kept_folder, save_plot
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.tables import read_measured
from spicetrain.technology import Technology

_FIT = Recipe("surrogate", 3)


@dataclass(frozen=True)
class _Fit:
    run: Callable[..., tuple[Any, Errors]]
    steps: Callable[[SurrogateSettings], int]
    plot: Callable[..., Figure]
    inputs: tuple[str, ...]
    required: bool = False
    on_request: bool = False  # its absence is nothing to be told of


_FITS = {
    "current_surface": _Fit(fit_current_surface, surface_steps, plot_current_surface, ("v_in_V", "v_out_V"), True),
    "shifted_surface": _Fit(
        fit_shifted_surface, surface_steps, plot_current_surface, ("v_in_V", "v_out_V"), on_request=True
    ),
    "loaded_vtc": _Fit(fit_loaded_vtc, loaded_vtc_steps, plot_loaded_vtc, ("v_in_V", "g_load_S", "v_load_V")),
    "effective_load": _Fit(fit_effective_load, effective_load_steps, plot_effective_load, FEATURES),
}


def fit_surrogates(
    characterization_folder: Path,
    technology: Technology,
    settings: SurrogateSettings,
    folder: Path,
    *,
    plots: bool = True,
) -> dict[str, Any]:
    """Fit every surrogate whose table is in `characterization_folder`; what is returned is written as surrogates.json.

    Each finished fit is written to `folder` and to the cache at once and is recognised by the content of its table, the
    technology and the settings, so an interrupted call resumes with what is missing, and another folder takes it over.
    A table that is absent is skipped and named; the current surface is required. ConfigurationError: it is absent, a
    table is of another technology or cannot be fitted. StorageError: a table is damaged, or `folder` cannot be written.
    """
    start = time.perf_counter()
    tables = {name: characterization_folder / f"{name}.parquet" for name in _FITS}
    skipped = {name: f"no table {path}" for name, path in tables.items() if not path.is_file()}
    _require_tables(skipped)
    keys = {
        name: _FIT.key(table=name, content=sha256_of_file(path), technology=technology, settings=settings)
        for name, path in tables.items()
        if name not in skipped
    }
    surrogates, reports = _finished(folder, keys)
    pending, fitted_now = [name for name in keys if name not in reports], []
    with track("fit-surrogates", sum(_FITS[name].steps(settings) for name in pending), "steps") as bar:
        for name in pending:
            table, kept = read_measured(tables[name], technology), kept_folder(keys[name])
            found, told = _finished(kept, {name: keys[name]})
            if told:
                bar.advance(_FITS[name].steps(settings))
            else:
                found[name], told[name] = _fit(name, table, tables[name], technology, settings, bar)
                told[name]["key"] = keys[name]
                fitted_now.append(name)
                with suppress(StorageError):  # costs the next one its time, nothing else
                    save_surrogates(kept / SURROGATES, found, told)
            surrogates, reports = surrogates | found, reports | told
            if plots:
                with rc_context(STYLE):
                    save_plot(folder, name, _FITS[name].plot(table, surrogates[name]))
            save_surrogates(folder / SURROGATES, surrogates, reports)
    summary = {
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "settings": settings.model_dump(mode="json"),
        "surrogates": {name: reports[name] for name in keys},
        "skipped": {name: why for name, why in skipped.items() if not _FITS[name].on_request},
        "fitted_now": fitted_now,
        "seconds": time.perf_counter() - start,
    }
    write_json(folder / FIT, summary)
    return summary


def _fit(
    name: str, table: pd.DataFrame, path: Path, technology: Technology, settings: SurrogateSettings, bar: Track
) -> tuple[Surrogate, dict[str, Any]]:
    start = time.perf_counter()
    fit = _FITS[name]
    bar.update(fit=name)
    surrogate, errors = fit.run(table, technology, settings, lambda cost: bar.advance(cost=cost))
    report: dict[str, Any] = {"errors": errors, "domain": _domain(surrogate, fit.inputs)}
    if isinstance(surrogate, CurrentSurface) and fit.required:
        report["monotonicity"] = certify(surrogate).to_json()
    report |= {
        "table": path.name,
        "table_sha256": sha256_of_file(path),
        "table_points": len(table),
        "seed": settings.seed,
        "seconds": time.perf_counter() - start,
    }
    return surrogate, report


def _domain(surrogate: Surrogate, inputs: tuple[str, ...]) -> dict[str, list[float]]:
    """Lowest and highest of each input, as measured."""
    ranges = surrogate.domain_V if isinstance(surrogate, CurrentSurface) else surrogate.domain
    return {name: list(pair) for name, pair in zip(inputs, ranges, strict=True)}


def _finished(folder: Path, keys: dict[str, str]) -> tuple[dict[str, Surrogate], dict[str, Any]]:
    """Fits in the folder that were made of the same inputs; a missing or damaged file means none."""
    try:
        surrogates, reports = load_surrogates(folder / SURROGATES)
    except StorageError:
        return {}, {}
    same = [name for name, report in reports.items() if report.get("key") == keys.get(name)]
    return {name: surrogates[name] for name in same}, {name: reports[name] for name in same}


def _require_tables(skipped: dict[str, str]) -> None:
    for name, fit in _FITS.items():
        if fit.required and name in skipped:
            raise ConfigurationError(
                f"The {name} surrogate is required, and there is {skipped[name]}. Measure it first: spicetrain "
                f"characterize with a plan that has [{name}], or name the folder it was measured into."
            )
