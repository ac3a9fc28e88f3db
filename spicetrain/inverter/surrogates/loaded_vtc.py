"""The voltage transfer curve of a loaded inverter: v_out of (v_in, g_load, v_load), per finger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spicetrain.errors import ConfigurationError
from spicetrain.surrogates.errors_of_fit import Errors, absolute_errors, polynomial_baseline, require_columns
from spicetrain.surrogates.held_out import fitted_and_held_out
from spicetrain.surrogates.mlp import steps_of_halving
from spicetrain.surrogates.scaled_mlp import ScaledMlp, fit_scaled_mlp
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.surrogates.tensors import moved
from spicetrain.technology import Technology

COLUMNS = ("v_in_V", "g_load_S", "v_load_V", "v_out_V")
_SEEN = 0.01  # of the half swing: smaller moves are not told from what ngspice leaves


@dataclass(frozen=True)
class LoadedVtc:
    """v_out of an inverter whose output is tied by g_load to the voltage v_load.

    g_floor_S  a third of the inverter's own output conductance where that is least: log(g_load + g_floor_S) is finite
               and smooth at no load, and does not tell loads apart that do not move the output
    domain     measured lowest and highest v_in (V), g_load (S), v_load (V)
    """

    mlp: ScaledMlp
    mid_V: float
    half_swing_V: float
    g_floor_S: float
    domain: tuple[tuple[float, float], ...]

    def __call__(self, v_in: Tensor, g_load: Tensor, v_load: Tensor) -> Tensor:
        """Volts, siemens per finger (an inverter of m fingers sees g / m), volts -> volts; shapes broadcast."""
        x = _features(v_in, g_load, v_load, self.mid_V, self.half_swing_V, self.g_floor_S)
        return self.mid_V + self.half_swing_V * self.mlp(x)

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> LoadedVtc:
        """The same in another precision or on another device."""
        return moved(self, dtype, device)


def fit_loaded_vtc(
    table: pd.DataFrame,
    technology: Technology,
    settings: SurrogateSettings,
    on_step: Callable[[float], None] = lambda cost: None,
) -> tuple[LoadedVtc, Errors]:
    """The fitted curve (float64) and its errors in volts on held-out points. ConfigurationError: column missing."""
    require_columns(table, COLUMNS, "loaded VTC")
    measured = torch.tensor(table[list(COLUMNS)].to_numpy(np.float64))
    v_in, g_load, v_load, v_out = measured.unbind(1)
    rails = technology.rails
    floor = _least_conductance(table, rails.half_swing_V) / 3
    x = _features(v_in, g_load, v_load, rails.mid_V, rails.half_swing_V, floor).numpy()
    y = v_out.numpy()
    fitted, held_out = fitted_and_held_out(np.arange(len(y)), settings)
    rng = np.random.default_rng(settings.seed)
    mlp = fit_scaled_mlp(x[fitted], (y[fitted] - rails.mid_V) / rails.half_swing_V, settings.for_loads, rng, on_step)
    domain = tuple((float(values.min()), float(values.max())) for values in (v_in, g_load, v_load))
    surrogate = LoadedVtc(mlp, rails.mid_V, rails.half_swing_V, floor, domain)
    model = surrogate(v_in[held_out], g_load[held_out], v_load[held_out]).numpy()
    baseline = polynomial_baseline(x[fitted], y[fitted], x[held_out])
    return surrogate, absolute_errors(model, y[held_out], "V") | {
        "points": len(held_out),
        "baseline": absolute_errors(baseline, y[held_out], "V"),
        "baseline_method": "ridge on all monomials of v_in, log g_load, v_load up to degree 3",
    }


def loaded_vtc_steps(settings: SurrogateSettings) -> int:
    """Steps `fit_loaded_vtc` reports at most."""
    return steps_of_halving(settings.for_loads)


def _features(v_in: Tensor, g_load: Tensor, v_load: Tensor, mid: float, half_swing: float, floor: float) -> Tensor:
    """[..., 3]."""
    parts = torch.broadcast_tensors((v_in - mid) / half_swing, torch.log(g_load + floor), (v_load - mid) / half_swing)
    return torch.stack(parts, -1)


def _least_conductance(table: pd.DataFrame, half_swing: float) -> float:
    """Of the inverter itself, seen from its output: what a load draws moves it away from where it is without one."""
    loaded, unloaded = table[table["g_load_S"] > 0], table[table["g_load_S"] == 0].groupby("v_in_V")["v_out_V"].mean()
    moved = loaded["v_in_V"].map(unloaded) - loaded["v_out_V"]
    conductance = loaded["g_load_S"] * (loaded["v_out_V"] - loaded["v_load_V"]) / moved
    seen = conductance[moved.abs() > _SEEN * half_swing]
    if seen.empty:
        raise ConfigurationError(
            "The loaded VTC table holds no load conductance above 0 that moves the output, or no output without a "
            "load: characterize again, with larger loads in [loaded_vtc]."
        )
    return float(seen.min())
