"""What this machine has, what it lacks, and what to do about each lack."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import runpy
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spicetrain.assets import data_folder, dataset_sources, names_in, netlists_folder
from spicetrain.datasets.sources import read_sources
from spicetrain.errors import ConfigurationError, NgspiceError, SpicetrainError, StorageError, TechnologyError
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import NEEDS_OSDI, Ngspice, find_ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spice.sparse import KLU_ADVICE, largest_square, sparse_seconds, time_text
from spicetrain.storage import cache_folder, require_writable
from spicetrain.technology import load_technology

State = Literal["ok", "warn", "lack"]

_ENOUGH_MEMORY_GIB = 4.0
_PATIENCE_S = 120.0
_LARGEST = largest_square(_PATIENCE_S)
_TAU_S, _RISE_S = 1e-9, 2e-10
_RC = Deck(
    f"r in out 1e3\nc out 0 {_TAU_S / 1e3}\nvin in 0 pwl(0 0 {_RISE_S} 1)\n",
    f".tran {_TAU_S / 100} {5 * _TAU_S} 0 {_TAU_S / 100}",
    ("v(out)",),
    points=None,
    options={"reltol": 1e-5},
)
_RC_OFF_V = 1e-3
"""ngspice 39 is off by 7 uV; a wrong element, or a time in another unit, by a tenth of a volt."""
_CUDA_DRIVER = "libcuda.so.1"
_LEAST_CACHE_GIB, _LEAST_RUNS_GIB = 1.0, 2.0
_KLU_ADVICE = (
    "Only large flat arrays need it, crossbars with wires above all: without it an image of "
    f"{_LARGEST} x {_LARGEST} cells with wires takes {time_text(_PATIENCE_S)}, of twice as many rows and columns "
    f"{sparse_seconds(2, 2) / sparse_seconds(1, 1):.0f} times as long. {KLU_ADVICE}"
)
_CODE_MODELS_ADVICE = (
    "Sweeps over an image index need the XSPICE code models. Install the distribution's ngspice whole: its "
    "spinit loads them (an ngspice copied elsewhere needs SPICE_LIB_DIR)."
)


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `advice` is empty when there is nothing to do."""

    what: str
    state: State
    value: str
    advice: str = ""


def examine(executable: str | Path | None = None) -> list[Finding]:
    """Look at Python, ngspice (`executable`, or as `find_ngspice`), packages, machine, folders, technologies, devices,
    datasets.

    Nothing is downloaded and nothing raises: what is missing is a finding.
    """
    parts: Sequence[Callable[[], list[Finding]]] = (
        _python,
        lambda: _ngspice(executable),
        _pyspice,
        _torch,
        _cluster,
        _machine,
        _cache,
        _runs,
        _technologies,
        _devices,
        _datasets,
    )
    return [finding for part in parts for finding in part()]


def print_findings(findings: Sequence[Finding]) -> int:
    """Print a table; return the exit code."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "warn": "yellow", "lack": "red"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        advice = f"\n{finding.advice}" if finding.advice else ""
        state = Text(finding.state, style=colours[finding.state])
        table.add_row(state, Text(finding.what), Text(finding.value + advice, overflow="fold"))
    Console().print(table)
    return exit_code_of(findings)


def exit_code_of(findings: Sequence[Finding]) -> int:
    """3 when ngspice is missing or unusable, 2 for another lack, else 0."""
    lacks = [finding.what for finding in findings if finding.state == "lack"]
    if any(what.startswith("ngspice") for what in lacks):
        return NgspiceError.exit_code
    return ConfigurationError.exit_code if lacks else 0


def _python() -> list[Finding]:
    return [Finding("Python", "ok", f"{platform.python_version()} ({sys.executable})")]


def _ngspice(executable: str | Path | None) -> list[Finding]:
    try:
        found = find_ngspice(executable)
    except NgspiceError as error:
        return [Finding("ngspice", "lack", "not usable", str(error))]
    return [
        Finding("ngspice", "ok", f"version {found.version} ({found.executable})"),
        _simulation(found),
        _klu(found),
        _capability("ngspice OSDI", found.osdi, "warn", f"It loads no compiled models, {NEEDS_OSDI}"),
        _capability("ngspice code models", found.code_models, "lack", _CODE_MODELS_ADVICE),
    ]


def _simulation(found: Ngspice) -> Finding:
    """A capacitor charged through a resistor, against its exponential."""
    try:
        values = simulate(_RC, found, _PATIENCE_S).values
    except SpicetrainError as error:
        return Finding("ngspice simulates", "lack", "no: an RC circuit, a second's work, failed", str(error))
    off_V = float(np.abs(values["v(out)"] - charged_V(values["time"])).max())
    if not off_V < _RC_OFF_V:
        advice = f"Voltages of an RC circuit are wrong by more than {_RC_OFF_V:g} V: install another ngspice."
        return Finding("ngspice simulates", "lack", f"an RC circuit, {off_V:.2g} V off its closed form", advice)
    return Finding("ngspice simulates", "ok", f"an RC circuit to {off_V * 1e6:.2g} uV of its closed form, 1 V")


def charged_V(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The capacitor's voltage, behind a source that rises from 0 to 1 V in a straight line over _RISE_S:

    v(t) = (t - tau (1 - exp(-t / tau))) / T     while it rises, t <= T
    v(t) = 1 - (1 - v(T)) exp(-(t - T) / tau)    from there on
    """
    rising = (times_s + _TAU_S * np.expm1(-times_s / _TAU_S)) / _RISE_S
    at_top = (_RISE_S + _TAU_S * np.expm1(-_RISE_S / _TAU_S)) / _RISE_S
    return np.where(times_s <= _RISE_S, rising, 1 - (1 - at_top) * np.exp(-(times_s - _RISE_S) / _TAU_S))


def _klu(found: Ngspice) -> Finding:
    if not found.klu:
        return _capability("ngspice KLU solver", False, "warn", _KLU_ADVICE)
    return Finding("ngspice KLU solver", "ok", "yes: flat netlists with wires of 784 x 100 pairs, too")


def _capability(what: str, present: bool, otherwise: State, advice: str) -> Finding:
    return Finding(what, "ok", "yes") if present else Finding(what, otherwise, "no", advice)


def _pyspice() -> list[Finding]:
    try:
        return [Finding("PySpice", "ok", metadata.version("PySpice"))]
    except metadata.PackageNotFoundError:
        return [Finding("PySpice", "lack", "not installed", _reinstall("PySpice"))]


def _torch() -> list[Finding]:
    try:
        version, cuda = _torch_that_loads()
        return [Finding("torch", "ok", version), Finding("GPU", "ok", _gpu(cuda))]
    except (ImportError, OSError) as error:  # OSError: a shared library of it does not load
        return [Finding("torch", "lack", f"cannot be imported: {error}", _reinstall("torch"))]


def _torch_that_loads() -> tuple[str, str | None]:
    """Its version and the CUDA it is built for. ImportError, OSError where torch cannot be imported: looked for in its
    shared libraries, as an import of all of it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ImportError("it is not installed")
    folder = Path(spec.origin).parent
    try:
        ctypes.CDLL(str(folder / f"_C{sysconfig.get_config_var('EXT_SUFFIX')}"))
    except OSError:
        import torch  # noqa: F401  # it looks for its libraries in more places: what it raises is the answer
    built = runpy.run_path(str(folder / "version.py"))
    return built["__version__"], built["cuda"]


def _gpu(cuda: str | None) -> str:
    """What a torch built for `cuda` sees; it is asked only where there is a driver to see one by."""
    if cuda is None:
        return "not used: this torch is built for the CPU, which is enough"
    none = "none found, and none is needed"
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return none
    import torch

    return f"{torch.cuda.get_device_name()} (CUDA {cuda})" if torch.cuda.is_available() else none


def _cluster() -> list[Finding]:
    """An extra, so nothing lacks without it."""
    try:
        return [Finding("--cluster", "ok", f"distributed {metadata.version('distributed')}")]
    except metadata.PackageNotFoundError:
        value = "not installed: only simulating on several machines needs it, pip install 'spicetrain[cluster]'"
        return [Finding("--cluster", "ok", value)]


def _reinstall(package: str) -> str:
    return f"Install it: pip install {package} (in a checkout: scripts/setup)."


def _machine() -> list[Finding]:
    import loky

    cores = Finding("cores", "ok", f"{loky.cpu_count()} usable of {os.cpu_count()}")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if memory_gib >= _ENOUGH_MEMORY_GIB:
        return [cores, Finding("memory", "ok", f"{memory_gib:.1f} GiB")]
    return [
        cores,
        Finding("memory", "warn", f"{memory_gib:.1f} GiB", "Use one worker if it runs short."),
    ]


def _cache() -> list[Finding]:
    folder = cache_folder()
    try:
        require_writable(folder)
    except StorageError as error:
        return [Finding("cache folder", "lack", f"{folder} cannot be written", str(error))]
    return [Finding("cache folder", "ok", str(folder)), *_space("cache", folder, _LEAST_CACHE_GIB)]


def _runs() -> list[Finding]:
    """Where runs/ is, or would be made."""
    runs = Path("runs")
    return _space("runs", runs if runs.is_dir() else Path.cwd(), _LEAST_RUNS_GIB)


def _space(what: str, folder: Path, least_GiB: float) -> list[Finding]:
    try:
        free_GiB = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return [Finding(f"disk space for {what}", "warn", f"{folder}: not known", str(error))]
    told = f"{free_GiB:.1f} GiB free ({folder.resolve()})"
    if free_GiB >= least_GiB:
        return [Finding(f"disk space for {what}", "ok", told)]
    advice = (
        f"Below {least_GiB:g} GiB a full disk may end a run, which then resumes: free some, or choose another folder"
    )
    how = "in $SPICETRAIN_CACHE." if what == "cache" else "with --out."
    return [Finding(f"disk space for {what}", "warn", told, f"{advice} {how}")]


def _technologies() -> list[Finding]:
    """The shipped ones. A foundry's library comes in a package of its own."""
    findings = []
    for name in names_in(netlists_folder() / "technologies"):
        try:
            findings.append(Finding(f"technology {name}", "ok", str(load_technology(name).library)))
        except TechnologyError as error:
            advice = f"Only it needs it: pip install 'spicetrain[pdk]' (in a checkout: pip install '.[pdk]'). {error}"
            findings.append(Finding(f"technology {name}", "warn", "its library is not here", advice))
    return findings


def _devices() -> list[Finding]:
    names = ", ".join(names_in(netlists_folder() / "devices"))
    return [Finding("devices by name", "ok", f"[memristor] preset = one of {names}")]


def _datasets() -> list[Finding]:
    try:
        sources = read_sources(dataset_sources())
    except ConfigurationError as error:
        return [Finding("datasets", "lack", "SOURCES.toml not found", str(error))]
    findings = [Finding("dataset iris", "ok", "in scikit-learn")]
    for name, source in sources.items():
        where = [folder / name for folder in _data_folders() if not source.missing_in(folder / name)]
        findings.append(Finding(f"dataset {name}", "ok", str(where[0])) if where else _absent(name))
    return findings


def _absent(name: str) -> Finding:
    advice = "It is downloaded at first use; offline, put the IDX files into a folder named in $SPICETRAIN_DATA."
    return Finding(f"dataset {name}", "warn", "not here yet", advice)


def _data_folders() -> list[Path]:
    """Where the images may be, in the order in which they are looked for."""
    if named := os.environ.get("SPICETRAIN_DATA"):
        return [Path(named).expanduser()]
    shipped = data_folder()
    return [*([shipped] if shipped else []), cache_folder() / "data"]
