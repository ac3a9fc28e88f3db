"""What the tests of training and verification share: one measured and fitted inverter, random crossbars."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shared
import torch
from bench import plan_of, simulator
from torch import Tensor

from spicetrain.array.crossbar import Crossbar
from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import PlanSection
from spicetrain.characterization.sweep import Subject
from spicetrain.inverter.characterization.crossbars import EffectiveLoadPlan
from spicetrain.inverter.characterization.current_surface import CurrentSurfacePlan, ShiftedSurfacePlan
from spicetrain.inverter.characterization.loaded_vtc import LoadedVtcPlan
from spicetrain.inverter.network import Encoding, Network
from spicetrain.inverter.surrogates.current_fit import fit_current_surface, fit_shifted_surface
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch
from spicetrain.inverter.surrogates.effective_load import fit_effective_load
from spicetrain.inverter.surrogates.loaded_vtc import fit_loaded_vtc
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology, load_technology

SETTINGS = SurrogateSettings(hidden=(16, 16), points=3000, iterations=100, starts=2, least_damping=1e-2)
LOAD_SETTINGS = SurrogateSettings(hidden=(16, 16), points=2700, load_iterations=100, starts=2)
EXACT = Tolerance(step_V=1e-11, iterations=40)


def measured(**sections: PlanSection) -> dict[str, pd.DataFrame]:
    """Tables of ptm90 for a plan of these sections, in a cache of their own."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setenv("SPICETRAIN_CACHE", str(shared.root() / "cache"))
        subject = Subject(load_technology("ptm90"))
        files = characterize(subject, plan_of(**sections), simulator(), folder / "tables")
        return {name: pd.read_parquet(file) for name, file in files.items()}


@cache
def fitted_surface() -> CurrentSurface:
    """The inverter of ptm90, measured by ngspice and fitted; once a process, because two folders of tests use it."""
    table = measured(current_surface=CurrentSurfacePlan(points=61))["current_surface"]
    surface, errors = fit_current_surface(table, load_technology("ptm90"), SETTINGS)
    assert errors["rms_relative"] < 3e-5, errors
    return surface


@cache
def shifted_surface() -> CurrentSurface:
    """The same beyond the rails, with what it is off by: a coarse fit, whose residual is the more to see."""
    table = measured(shifted_surface=ShiftedSurfacePlan(points=81, beyond_V=0.1))["shifted_surface"]
    settings = SETTINGS.model_copy(update={"iterations": 40, "starts": 1})
    return fit_shifted_surface(table, load_technology("ptm90"), settings)[0]


@cache
def fitted_surrogates() -> Surrogates:
    """With the loaded VTC and the effective load, coarse ones."""
    technology = load_technology("ptm90")
    tables = measured(
        loaded_vtc=LoadedVtcPlan(v_in_points=101, v_load_points=3, g_load_points=10),
        effective_load=EffectiveLoadPlan(shapes=((5, 3), (10, 6)), distributions=("log_uniform",), crossbars=6),
    )
    vtc, errors = fit_loaded_vtc(tables["loaded_vtc"], technology, LOAD_SETTINGS)
    assert errors["rms_V"] < 0.6e-3, errors
    load, _ = fit_effective_load(tables["effective_load"], technology, LOAD_SETTINGS)
    return Surrogates(fitted_surface(), vtc, load)


def random_crossbar(technology: Technology, rows: int, columns: int, seed: int) -> Crossbar:
    """Log-uniform over the device's range."""
    rng, device = np.random.default_rng(seed), technology.memristor
    ends = np.log(device.g_min_S), np.log(device.g_max_S)
    shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
    return Crossbar(*(np.exp(rng.uniform(*ends, shape)) for shape in shapes))


def random_stage(technology: Technology, rows: int, columns: int) -> list[Tensor]:
    """v_in [4, rows], g_n, g_p, b_pos, b_neg, m_n, m_p: gates where the gain is largest, and once at a rail."""
    rng = np.random.default_rng(10 * rows + columns)
    box = random_crossbar(technology, rows, columns, seed=rows)
    v_in = rng.uniform(-0.03, 0.03, (4, rows))
    v_in[0] = 0.25
    arrays = (v_in, box.pos, box.neg, box.bias_pos, box.bias_neg, rng.uniform(0.5, 4, rows), rng.uniform(0.5, 4, rows))
    return [torch.from_numpy(array) for array in arrays]


def random_network(
    technology: Technology, *layers: int, sizes: tuple[float, ...] | None = None, encoding: Encoding = "unipolar"
) -> Network:
    """Random conductances; `sizes` a crossbar, None: random ones from 1 to 4 fingers."""
    rng = np.random.default_rng(sum(layers))
    widths = zip(layers, layers[1:], strict=False)
    crossbars = [random_crossbar(technology, *shape, seed) for seed, shape in enumerate(widths)]
    shapes = [(columns, 2) for columns in layers[1:-1]] + [(layers[-1], 1)]
    if sizes is None:
        fingers = [rng.uniform(1.0, 4.0, shape) for shape in shapes]
    else:
        fingers = [np.full(shape, size) for shape, size in zip(shapes, sizes, strict=True)]
    return Network(tuple(crossbars), tuple(fingers), encoding)


def random_mismatch(inverters: int, samples: int, columns: int, seed: int = 0) -> Mismatch:
    """20 mV and 5 % a transistor, as the solvers take it: [2 (n, p), inverters of a pair, samples, columns]."""
    rng = np.random.default_rng(seed)
    shape = (2, inverters, samples, columns)
    shift, factor = rng.normal(0, 0.02, shape), 1 + rng.normal(0, 0.05, shape)
    return Mismatch(torch.from_numpy(shift), torch.from_numpy(factor))
