"""A synthetic inverter with known currents, and coarse tables measured by ngspice, fitted once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bench import plan_of, simulator

from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.sweep import Subject
from spicetrain.inverter.characterization.crossbars import EffectiveLoadPlan
from spicetrain.inverter.characterization.current_surface import CurrentSurfacePlan
from spicetrain.inverter.characterization.loaded_vtc import LoadedVtcPlan
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.fit import fit_surrogates
from spicetrain.spice.ngspice import Ngspice
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology

SETTINGS = SurrogateSettings(hidden=(10, 8), points=1500, iterations=60, load_iterations=50, starts=2)
V_T = {"n": 0.31, "p": 0.27}
SLOPE = {"n": 1.45, "p": 1.35}
THERMAL_V = 1.380649e-23 * 300.15 / 1.602176634e-19


def drain_current(kind: str, u_gs: Any, u_ds: Any) -> Any:
    """EKV written out with a slope in u_ds on top: 2e-7 A (..)^2 - (..)^2, pinch-off voltage (u_gs - V_T) / n."""
    pinch_off = (u_gs - V_T[kind]) / SLOPE[kind]
    forward = np.log(1 + np.exp(pinch_off / (2 * THERMAL_V))) ** 2
    reverse = np.log(1 + np.exp((pinch_off - u_ds) / (2 * THERMAL_V))) ** 2
    return 2e-7 * (forward - reverse) * (1 + 0.3 * u_ds)


def synthetic_table(points: int) -> pd.DataFrame:
    grid = np.linspace(-0.25, 0.25, points)
    v_in, v_out = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    i_n, i_p = drain_current("n", v_in + 0.25, v_out + 0.25), drain_current("p", 0.25 - v_in, 0.25 - v_out)
    columns = {"v_in_V": v_in, "v_out_V": v_out, "i_out_A": i_p - i_n, "i_vdd_A": i_p, "i_vss_A": i_n}
    return pd.DataFrame(columns)


@pytest.fixture
def surface() -> CurrentSurface:
    """Random weights: what it must satisfy holds for any."""
    rng = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    return CurrentSurface(
        weights=(normal(2, 7, 2), normal(2, 5, 7), normal(2, 1, 5)),
        biases=(normal(2, 7), normal(2, 5), normal(2, 1)),
        mean=torch.tensor([-15.0, -15.3], dtype=torch.float64),
        scale=torch.tensor([0.02, 0.03], dtype=torch.float64),
        v_t_V=torch.tensor([V_T["n"], V_T["p"]], dtype=torch.float64),
        n=torch.tensor([SLOPE["n"], SLOPE["p"]], dtype=torch.float64),
        thermal_V=THERMAL_V,
        vdd_V=0.25,
        vss_V=-0.25,
        domain_V=((-0.25, 0.25), (-0.25, 0.25)),
    )


@dataclass(frozen=True)
class Measured:
    """Tables of ptm90 measured by ngspice, and what was fitted to them."""

    tables: Path
    folder: Path
    report: dict[str, Any]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.tables / f"{name}.parquet")

    def errors(self, name: str) -> dict[str, Any]:
        return self.report["surrogates"][name]["errors"]


@pytest.fixture(scope="session")
def measured(ngspice: Ngspice, ptm90: Technology, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("surrogates")
    plan = plan_of(
        current_surface=CurrentSurfacePlan(points=41),
        loaded_vtc=LoadedVtcPlan(v_in_points=41, v_load_points=7, g_load_points=8),
        effective_load=EffectiveLoadPlan(shapes=((5, 3), (10, 6)), samples=2),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(folder / "cache"))
        characterize(Subject(ptm90), plan, simulator(ngspice, workers=None), folder / "tables")
        report = fit_surrogates(folder / "tables", ptm90, SETTINGS, folder / "fitted")
    return Measured(folder / "tables", folder / "fitted", report)
