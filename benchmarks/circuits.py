"""The circuits the benchmarks are run on: a run folder's, or measured, fitted and drawn here."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from common import empty_cache

from spicetrain.array.crossbar import Crossbar
from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Subject
from spicetrain.inverter.characterization.current_surface import CurrentSurfacePlan
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.fit import fit_surrogates
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.runfolder import NETWORK
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.simulator import Simulator
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.systems import load_experiment
from spicetrain.tables import read_table
from spicetrain.technology import Technology, load_technology

SHAPE = (784, 100, 10)


def circuit(run: Path | None) -> tuple[Technology, CurrentSurface]:
    """Technology and inverter of a run folder; without one ptm90, measured and fitted now (some seconds;
    what the cache knows is not measured or fitted again)."""
    if run is not None:
        return load_technology(load_experiment(run).technology), Surrogates.load(run).current_surface
    technology = load_technology("ptm90")
    with TemporaryDirectory(prefix="spicetrain-benchmark-") as name:
        folder = Path(name)
        _characterized(technology, folder / "tables")
        fit_surrogates(folder / "tables", technology, SurrogateSettings(), folder, plots=False)
        return technology, Surrogates.load(folder).current_surface


def measured(technology: Technology, **settings: int) -> pd.DataFrame:
    """The inverter's current surface, measured now; `settings` of its plan."""
    with empty_cache() as folder:
        return read_table(_characterized(technology, folder / "tables", **settings))


def _characterized(technology: Technology, folder: Path, **settings: int) -> Path:
    plan = Plan({"current_surface": CurrentSurfacePlan(**settings)}, TABLES)
    return characterize(Subject(technology), plan, Simulator(find_ngspice()), folder)["current_surface"]


def network(run: Path | None, technology: Technology, layers: tuple[int, ...] = SHAPE) -> Network:
    """The trained network of a run folder; without one log-uniform conductances over the device's range."""
    if run is not None:
        return Network.load(run / NETWORK)
    rng, device = np.random.default_rng(0), technology.memristor
    ends = np.log(device.g_min_S), np.log(device.g_max_S)

    def crossbar(rows: int, columns: int) -> Crossbar:
        shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
        return Crossbar(*(np.exp(rng.uniform(*ends, shape)) for shape in shapes))

    sizes = [np.ones((columns, 2)) for columns in layers[1:-1]] + [np.ones((layers[-1], 1))]
    return Network(tuple(map(crossbar, layers, layers[1:])), tuple(sizes))
