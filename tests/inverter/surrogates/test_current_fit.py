"""The fit: a known inverter is found again, a measured one is met."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.surrogates.current_fit import fit_current_surface
from spicetrain.inverter.surrogates.current_surface import inverter_current, supply_currents
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.technology import Technology

from .conftest import SETTINGS, SLOPE, V_T, Measured, drain_current, synthetic_table


def test_a_known_inverter_is_recovered(ptm90: Technology) -> None:
    surface, errors = fit_current_surface(synthetic_table(45), ptm90, SETTINGS)
    assert surface.v_t_V.tolist() == pytest.approx([V_T["n"], V_T["p"]], abs=0.01)
    assert surface.n.tolist() == pytest.approx([SLOPE["n"], SLOPE["p"]], abs=0.05)
    assert errors["rms_relative"] < 2e-4 < errors["baseline"]["rms_relative"]
    v_in = np.array([-0.211, -0.037, 0.002, 0.094, 0.241])  # off the grid
    v_out = v_in[::-1].copy()
    i_vdd, i_vss = supply_currents(surface, torch.from_numpy(v_in), torch.from_numpy(v_out))
    assert i_vdd.numpy() == pytest.approx(drain_current("p", 0.25 - v_in, 0.25 - v_out), rel=5e-3)
    assert i_vss.numpy() == pytest.approx(drain_current("n", v_in + 0.25, v_out + 0.25), rel=5e-3)


def test_the_same_settings_give_the_same_surface(ptm90: Technology) -> None:
    quick = SETTINGS.model_copy(update={"iterations": 4, "starts": 1})
    first, second = (fit_current_surface(synthetic_table(21), ptm90, quick)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))
    other = fit_current_surface(synthetic_table(21), ptm90, quick.model_copy(update={"seed": 1}))[0]
    assert not torch.equal(first.weights[0], other.weights[0])


def test_the_measured_inverter_is_met(measured: Measured) -> None:
    errors = measured.errors("current_surface")
    assert errors["rms_relative"] < 6e-4  # a coarse table, a small net; 2e-5 with the default settings
    assert errors["baseline"]["rms_relative"] > 20 * errors["rms_relative"]
    table = measured.table("current_surface")
    v_in, v_out, i_out = (torch.tensor(table[name].to_numpy()) for name in ("v_in_V", "v_out_V", "i_out_A"))
    surface = Surrogates.load(measured.folder).current_surface
    model, over_in, over_out = inverter_current(surface, v_in, v_out)
    assert (model - i_out).abs().max() < 1e-3 * i_out.abs().max()
    i_vdd, i_vss = supply_currents(surface, v_in, v_out)
    assert i_vdd.numpy() == pytest.approx(table["i_vdd_A"].to_numpy(), abs=5e-8)
    assert i_vss.numpy() == pytest.approx(table["i_vss_A"].to_numpy(), abs=5e-8)
    slope = np.gradient(i_out.reshape(41, 41).numpy(), 0.0125, axis=1)[1:-1, 1:-1]
    assert over_out.reshape(41, 41)[1:-1, 1:-1].numpy() == pytest.approx(slope, abs=0.03 * np.abs(slope).max())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop(columns="i_vdd_A"), "no column i_vdd_A"),
        (lambda table: table.assign(i_out_A=np.nan), "not finite"),
        (lambda table: table.head(10), "10 rows, too few"),
        (lambda table: table.assign(i_vdd_A=table.i_vdd_A * 1e-6, i_out_A=table.i_out_A * 1e-6), "its unit is wrong"),
    ],
)
def test_a_useless_table_is_refused(ptm90: Technology, spoil: object, message: str) -> None:
    table = spoil(synthetic_table(21))  # type: ignore[operator]
    assert isinstance(table, pd.DataFrame)
    with pytest.raises(ConfigurationError, match=message):
        fit_current_surface(table, ptm90, SETTINGS.model_copy(update={"iterations": 2}))


def test_what_a_poor_fit_is_off_by_is_kept_where_the_table_is_a_grid(ptm90: Technology) -> None:
    """A technology of higher rails, whose currents go through more decades, is no worse in the comparison."""
    quick = SETTINGS.model_copy(update={"iterations": 4, "starts": 1})
    table = synthetic_table(45)
    surface, errors = fit_current_surface(table, ptm90, quick)
    assert errors["rms_relative"] > 1e-3 and surface.residual is not None
    assert errors["with_residual"]["rms_relative"] < errors["rms_relative"] / 10
    v_in, v_out, i_out = (torch.tensor(table[name].to_numpy()) for name in ("v_in_V", "v_out_V", "i_out_A"))
    assert (inverter_current(surface, v_in, v_out)[0] - i_out).abs().max() < 1e-7 * i_out.abs().max()
    between = np.array([-0.2113, -0.0371, 0.0021, 0.0943, 0.2411])
    i_p, i_n = supply_currents(surface, torch.from_numpy(between), torch.from_numpy(between[::-1].copy()))
    assert i_p.numpy() == pytest.approx(drain_current("p", 0.25 - between, 0.25 - between[::-1]), rel=5e-4)
    assert i_n.numpy() == pytest.approx(drain_current("n", between + 0.25, between[::-1] + 0.25), rel=5e-4)
    shuffled, _ = fit_current_surface(table.sample(frac=1, random_state=0), ptm90, quick)
    close, errors = fit_current_surface(table, ptm90, SETTINGS.model_copy(update={"hidden": (16, 16)}))
    assert shuffled.residual is None
    assert (close.residual is None) == (errors["rms_relative"] <= 1e-4)
