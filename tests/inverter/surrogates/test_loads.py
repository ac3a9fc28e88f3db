"""Loaded VTC and effective load: measured tables, baselines, limits that physics sets."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.surrogates.current_surface import inverter_current
from spicetrain.inverter.surrogates.effective_load import INPUTS, fit_effective_load
from spicetrain.inverter.surrogates.loaded_vtc import fit_loaded_vtc
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.technology import Technology

from .conftest import SETTINGS, Measured


def tensors(table: pd.DataFrame, *names: str) -> list[Tensor]:
    return [torch.tensor(table[name].to_numpy()) for name in names]


def fitted(measured: Measured) -> Any:
    return Surrogates.load(measured.folder)


def test_loaded_vtc_meets_the_table(measured: Measured) -> None:
    errors = measured.errors("loaded_vtc")
    assert errors["rms_V"] < 3.5e-3 < errors["baseline"]["rms_V"] / 5  # 2583 points; 0.2 mV with the shipped plan
    v_in, g_load, v_load, v_out = tensors(measured.table("loaded_vtc"), "v_in_V", "g_load_S", "v_load_V", "v_out_V")
    model = fitted(measured).loaded_vtc(v_in, g_load, v_load)
    assert (model - v_out).pow(2).mean().sqrt() < 3.5e-3
    assert not g_load.min()  # no load at all is part of it


def test_loaded_vtc_does_not_hang_on_the_last_digit(measured: Measured, ptm90: Technology) -> None:
    """A thousandth of what ngspice leaves, as if it had been measured or summed on another machine."""
    rng, table = np.random.default_rng(0), measured.table("loaded_vtc")
    for _ in range(3):
        other = table.assign(v_out_V=table["v_out_V"] * (1 + 1e-12 * rng.normal(size=len(table))))
        found = fit_loaded_vtc(other, ptm90, SETTINGS)[1]["rms_V"]
        assert found == pytest.approx(measured.errors("loaded_vtc")["rms_V"], rel=0.01)


FIT = """
import sys, pandas
from threadpoolctl import threadpool_info
from spicetrain.inverter.surrogates.loaded_vtc import fit_loaded_vtc
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import load_technology
settings = SurrogateSettings.model_validate_json(sys.argv[2])
errors = fit_loaded_vtc(pandas.read_parquet(sys.argv[1]), load_technology("ptm90"), settings)[1]
print(errors["rms_V"], *{str(pool.get("architecture")).lower() for pool in threadpool_info()})
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels of x86 processors")
@pytest.mark.parametrize("kernel", ["nehalem", "sandybridge"])
def test_loaded_vtc_is_as_good_on_the_blas_of_another_processor(measured: Measured, kernel: str) -> None:
    words = [sys.executable, "-c", FIT, str(measured.tables / "loaded_vtc.parquet"), SETTINGS.model_dump_json()]
    environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.split()
    if kernel not in said:
        pytest.skip(f"numpy's BLAS has no kernels of {kernel}: {said[1:]}")
    assert float(said[0]) == pytest.approx(measured.errors("loaded_vtc")["rms_V"], rel=0.01)


def test_loaded_vtc_broadcasts_and_differentiates(measured: Measured) -> None:
    vtc = fitted(measured).loaded_vtc.to(torch.float32)
    v_in = torch.linspace(-0.2, 0.2, 5).requires_grad_()
    v_out = vtc(v_in, torch.tensor(1e-5), torch.tensor([[-0.1], [0.2]]))
    assert v_out.shape == (2, 5) and v_out.dtype == torch.float32
    assert (v_out[1] > v_out[0]).all()  # pulled up by the load
    (slope,) = torch.autograd.grad(v_out.sum(), v_in)
    assert (slope < 0).all()


def test_effective_load_beats_what_is_reported_beside_it(measured: Measured) -> None:
    errors = measured.errors("effective_load")
    assert errors["g_load"]["rms_relative"] < 0.05
    assert errors["g_load"]["rms_relative"] < errors["naive"]["g_load"]["rms_relative"] / 3
    assert errors["v_return"]["rms_V"] < errors["naive"]["v_return"]["rms_V"] / 3
    table = measured.table("effective_load")
    g_load, v_return = fitted(measured).effective_load(*tensors(table, *INPUTS))
    measured_g, measured_v = tensors(table, "g_load_S", "v_return_V")
    assert (g_load / measured_g - 1).abs().median() < 0.01
    assert (v_return - measured_v).abs().median() < 1e-3


def crossbar_rows(rng: np.random.Generator, crossbar: int) -> pd.DataFrame:
    """A random ohmic crossbar solved by hand: rows held, columns floating."""
    g = rng.uniform(1e-7, 8e-6, (12, 4))
    v = rng.uniform(-0.25, 0.25, 12)
    total = g.sum(0)
    v_column = v @ g / total
    g_load = (g * (1 - g / total)).sum(1)
    current = (g * (v[:, None] - v_column)).sum(1)
    return pd.DataFrame(
        {
            "crossbar": crossbar,
            "g_sum_S": g.sum(1),
            "g_square_S2": (g**2).sum(1),
            "column_sum_S": g @ total / g.sum(1),
            "v_row_V": v,
            "v_columns_V": g @ v_column / g.sum(1),
            "g_load_S": g_load,
            "v_return_V": v - current / g_load,
        }
    )


def test_effective_load_of_crossbars_solved_by_hand(ptm90: Technology) -> None:
    rng = np.random.default_rng(2)
    table = pd.concat([crossbar_rows(rng, number) for number in range(40)], ignore_index=True)
    _, errors = fit_effective_load(table, ptm90, SETTINGS)
    assert errors["points"] == 8 * 12  # whole crossbars are held out
    assert errors["g_load"]["rms_relative"] < 5e-3 < errors["naive"]["g_load"]["rms_relative"]
    assert errors["formula"]["g_load"]["rms_relative"] < 5e-3
    assert errors["v_return"]["rms_V"] < 8e-4 < errors["naive"]["v_return"]["rms_V"]


def test_effective_load_is_no_worse_than_its_equation_whichever_crossbars_are_held_out(ptm90: Technology) -> None:
    rng = np.random.default_rng(2)
    table = pd.concat([crossbar_rows(rng, number) for number in range(40)], ignore_index=True)
    for seed in range(6):
        _, errors = fit_effective_load(table, ptm90, SETTINGS.model_copy(update={"seed": seed}))
        for output, figure in (("g_load", "rms_relative"), ("v_return", "rms_V")):
            assert errors[output][figure] < 1.03 * errors["formula"][output][figure]


def test_tables_that_cannot_be_split_or_scaled_are_refused(ptm90: Technology, measured: Measured) -> None:
    one = measured.table("effective_load").assign(crossbar=1)
    with pytest.raises(ConfigurationError, match="holds one crossbar"):
        fit_effective_load(one, ptm90, SETTINGS)
    unloaded = measured.table("loaded_vtc").assign(g_load_S=0.0)
    loaded = measured.table("loaded_vtc").query("g_load_S > 0")
    for useless in (unloaded, loaded, loaded.assign(v_out_V=0.0)):
        with pytest.raises(ConfigurationError, match="no load conductance above 0 that moves the output"):
            fit_loaded_vtc(useless, ptm90, SETTINGS)


def test_loads_are_told_apart_from_where_they_move_the_output(measured: Measured, ptm90: Technology) -> None:
    """The output conductance of the inverter's own current, least where both transistors are saturated."""
    v = torch.linspace(-0.25, 0.25, 201, dtype=torch.float64)
    v_in, v_out = torch.meshgrid(v, v, indexing="ij")
    least = -inverter_current(fitted(measured).current_surface, v_in, v_out)[2].max()
    floor = fitted(measured).loaded_vtc.g_floor_S
    assert floor == pytest.approx(float(least) / 3, rel=0.1)  # a chord of the curve, not its tangent
