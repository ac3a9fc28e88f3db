"""The load a crossbar row puts on its driver, as a conductance to a return voltage, from sums over the row.

With every other row held, the current of a row at v is sum_j g_j (v - v_j), and column j follows v by g_j / S_j; with
one S for all columns g_load = g_sum (1 - g_square / (g_sum S)). The MLPs learn what the unequal columns change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor

from spicetrain.errors import ConfigurationError
from spicetrain.surrogates.errors_of_fit import (
    Errors,
    absolute_errors,
    polynomial_baseline,
    relative_errors,
    require_columns,
)
from spicetrain.surrogates.mlp import steps_of_fit
from spicetrain.surrogates.scaled_mlp import ScaledMlp, fit_scaled_mlp
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.surrogates.tensors import moved
from spicetrain.technology import Technology

INPUTS = ("g_sum_S", "g_square_S2", "column_sum_S", "v_row_V", "v_columns_V")
OUTPUTS = ("g_load_S", "v_return_V")


@dataclass(frozen=True)
class EffectiveLoad:
    """(g_load, v_return) of a row's driver.

    conductance  MLP of log(g_load / g_sum)
    voltage      MLP of (v_return - v_columns) / half_swing
    domain       measured lowest and highest of the two conductance ratios and two voltages they take
    """

    conductance: ScaledMlp
    voltage: ScaledMlp
    mid_V: float
    half_swing_V: float
    domain: tuple[tuple[float, float], ...]

    def __call__(
        self, g_sum: Tensor, g_square: Tensor, column_sum: Tensor, v_row: Tensor, v_columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(g_load in S, v_return in V); shapes broadcast.

        g_sum, g_square     sum of the row's conductances (S) and of their squares (S^2)
        column_sum          total conductance of a column, mean over the row's columns weighted with its g (S)
        v_row, v_columns    the row's voltage, and its columns' with the same weights (V)
        """
        x = _features((g_sum, g_square, column_sum, v_row, v_columns), self.mid_V, self.half_swing_V)
        return g_sum * torch.exp(self.conductance(x)), v_columns + self.half_swing_V * self.voltage(x)

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> EffectiveLoad:
        """The same in another precision or on another device."""
        return moved(self, dtype, device)


def fit_effective_load(
    table: pd.DataFrame,
    technology: Technology,
    settings: SurrogateSettings,
    on_step: Callable[[float], None] = lambda cost: None,
) -> tuple[EffectiveLoad, Errors]:
    """The fitted load (float64) and its errors on crossbars kept from the fit.

    ConfigurationError: columns are missing, or all rows are of one crossbar.
    """
    require_columns(table, (*INPUTS, *OUTPUTS), "effective load")
    rails = technology.rails
    inputs = torch.from_numpy(table[list(INPUTS)].to_numpy(np.float64)).unbind(1)
    g_load, v_return = table[list(OUTPUTS)].to_numpy(np.float64).T
    g_sum, v_columns = inputs[0].numpy(), inputs[4].numpy()
    x = _features(inputs, rails.mid_V, rails.half_swing_V).numpy()
    targets = np.log(g_load / g_sum), (v_return - v_columns) / rails.half_swing_V
    fitted, held_out = _split(table, settings)
    rng = np.random.default_rng(settings.seed)
    conductance, voltage = (fit_scaled_mlp(x[fitted], y[fitted], settings, rng, on_step) for y in targets)
    domain = tuple((float(low), float(high)) for low, high in zip(x.min(0), x.max(0), strict=True))
    surrogate = EffectiveLoad(conductance, voltage, rails.mid_V, rails.half_swing_V, domain)

    def errors(g: NDArray[np.float64], v: NDArray[np.float64]) -> Errors:
        conductance_errors = relative_errors(g, g_load[held_out], 0.0, "S")
        return {"g_load": conductance_errors, "v_return": absolute_errors(v, v_return[held_out], "V")}

    model = (output.numpy() for output in surrogate(*(values[held_out] for values in inputs)))
    ratio, offset = (polynomial_baseline(x[fitted], y[fitted], x[held_out]) for y in targets)
    g_sum, v_columns = g_sum[held_out], v_columns[held_out]
    return surrogate, errors(*model) | {
        "points": len(held_out),
        "baseline": errors(g_sum * np.exp(ratio), v_columns + rails.half_swing_V * offset),
        "baseline_method": "ridge on all monomials of the same inputs up to degree 3",
        "naive": errors(g_sum, v_columns),
        "naive_method": "g_sum to the mean column voltage",
    }


def effective_load_steps(settings: SurrogateSettings) -> int:
    """Steps `fit_effective_load` reports at most."""
    return 2 * steps_of_fit(settings)


def _features(inputs: tuple[Tensor, ...], mid: float, half_swing: float) -> Tensor:
    """[..., 4], dimensionless: the feedback of the row on its columns, how few cells carry it, and the voltages."""
    g_sum, g_square, column_sum, v_row, v_columns = torch.broadcast_tensors(*inputs)
    feedback, concentration = g_square / (g_sum * column_sum), g_square / g_sum**2
    voltages = (v_row - v_columns) / half_swing, (v_columns - mid) / half_swing
    return torch.stack((torch.log(feedback), torch.log(concentration), *voltages), -1)


def _split(table: pd.DataFrame, settings: SurrogateSettings) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(fitted, held out) rows; a crossbar is on one side only."""
    require_columns(table, ("crossbar",), "effective load")
    crossbars = table["crossbar"].to_numpy()
    if len(np.unique(crossbars)) < 2:
        raise ConfigurationError("The effective load table holds one crossbar; some must be held out. Plan more.")
    splitter = GroupShuffleSplit(n_splits=1, test_size=settings.held_out, random_state=settings.seed)
    fitted, held_out = next(splitter.split(crossbars, groups=crossbars))
    return fitted, held_out
