"""The load a crossbar row puts on its driver, as a conductance to a return voltage, from sums over the row.

The current of a row at v is sum_j g_j (v - v_j) = g_sum (v - v_columns). With every other row held, column j follows v
by g_j / S_j; were all columns' S equal, g_load = g_sum (1 - g_square / (g_sum S)). An MLP learns the logarithm of what
unequal columns change. The load's current at v_row is the row's, which leaves one return voltage:
    v_return = v_row - g_sum (v_row - v_columns) / g_load
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.errors import ConfigurationError
from spicetrain.surrogates.errors_of_fit import (
    Errors,
    absolute_errors,
    polynomial_baseline,
    relative_errors,
    require_columns,
)
from spicetrain.surrogates.extrapolation import NONE, Extrapolation, outside
from spicetrain.surrogates.mlp import steps_of_halving
from spicetrain.surrogates.scaled_mlp import ScaledMlp, fit_scaled_mlp
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.surrogates.tensors import moved
from spicetrain.technology import Technology

INPUTS = ("g_sum_S", "g_square_S2", "column_sum_S", "v_row_V", "v_columns_V")
FEATURES = ("log_feedback", "log_concentration", "v_across_half_swings")
OUTPUTS = ("g_load_S", "v_return_V")
_DECAY = 10.0
"""Of the MLP's weights. What the equation misses, its inputs hardly tell, and the rows of a crossbar miss alike: left
free, the MLP learns some dozen crossbars by heart and is worse than the equation alone on others."""


@dataclass(frozen=True)
class EffectiveLoad:
    """(g_load, v_return) of a row's driver.

    mlp     of log(g_load / (g_sum (1 - feedback))); feedback = g_square / (g_sum column_sum)
    domain  measured lowest and highest of what it takes: see `_features`
    """

    mlp: ScaledMlp
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
        inputs = g_sum, g_square, column_sum, v_row, v_columns
        return _load(inputs, self.mlp(_features(inputs, self.half_swing_V)))

    def extrapolation(
        self, g_sum: Tensor, g_square: Tensor, column_sum: Tensor, v_row: Tensor, v_columns: Tensor
    ) -> Extrapolation:
        """Which of its FEATURES these inputs, as `__call__` takes them, take outside their domain."""
        x = _features((g_sum, g_square, column_sum, v_row, v_columns), self.half_swing_V).unbind(-1)
        named = zip(FEATURES, x, self.domain, strict=True)
        return sum((outside(f"effective_load.{name}", values, ends) for name, values, ends in named), NONE)

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
    half_swing = technology.rails.half_swing_V
    inputs = torch.tensor(table[list(INPUTS)].to_numpy(np.float64)).unbind(1)
    g_load, v_return = table[list(OUTPUTS)].to_numpy(np.float64).T
    x = _features(inputs, half_swing).numpy()
    y = np.log(g_load / _equal_columns(inputs).numpy())
    fitted, held_out = _split(table, settings)
    rng = np.random.default_rng(settings.seed)
    mlp = fit_scaled_mlp(x[fitted], y[fitted], _of_load(settings), rng, on_step, _DECAY)
    domain = tuple((float(low), float(high)) for low, high in zip(x.min(0), x.max(0), strict=True))
    surrogate = EffectiveLoad(mlp, half_swing, domain)

    def errors(g: Tensor, v: Tensor) -> Errors:
        conductance = relative_errors(g.numpy(), g_load[held_out], 0.0, "S")
        return {"g_load": conductance, "v_return": absolute_errors(v.numpy(), v_return[held_out], "V")}

    kept = tuple(values[held_out] for values in inputs)
    baseline = torch.from_numpy(polynomial_baseline(x[fitted], y[fitted], x[held_out]))
    return surrogate, errors(*surrogate(*kept)) | {
        "points": len(held_out),
        "baseline": errors(*_load(kept, baseline)),
        "baseline_method": "ridge on all monomials of the same inputs up to degree 3, in place of the MLP",
        "formula": errors(*_load(kept, torch.zeros(len(held_out), dtype=torch.float64))),
        "formula_method": "the equation without its MLP",
        "naive": errors(kept[0], kept[4]),
        "naive_method": "g_sum to the mean column voltage",
    }


def effective_load_steps(settings: SurrogateSettings) -> int:
    """Steps `fit_effective_load` reports at most."""
    return steps_of_halving(_of_load(settings))


def _of_load(settings: SurrogateSettings) -> SurrogateSettings:
    """One hidden layer: the correction is small and smooth."""
    return settings.for_loads.model_copy(update={"hidden": settings.hidden[:1]})


def _features(inputs: tuple[Tensor, ...], half_swing: float) -> Tensor:
    """[..., 3]: log of the row's feedback on its columns, log of how few cells carry the row, voltage across it."""
    g_sum, g_square, column_sum, v_row, v_columns = torch.broadcast_tensors(*inputs)
    feedback, concentration = g_square / (g_sum * column_sum), g_square / g_sum**2
    return torch.stack((torch.log(feedback), torch.log(concentration), (v_row - v_columns) / half_swing), -1)


def _equal_columns(inputs: tuple[Tensor, ...]) -> Tensor:
    """g_load if all columns of the row had the same total conductance."""
    g_sum, g_square, column_sum, _, _ = inputs
    return g_sum - g_square / column_sum


def _load(inputs: tuple[Tensor, ...], correction: Tensor) -> tuple[Tensor, Tensor]:
    """(g_load, v_return) from the logarithm the MLP gives."""
    g_sum, _, _, v_row, v_columns = inputs
    g_load = _equal_columns(inputs) * torch.exp(correction)
    return g_load, v_row - g_sum * (v_row - v_columns) / g_load


def _split(table: pd.DataFrame, settings: SurrogateSettings) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(fitted, held out) rows; a crossbar is on one side only."""
    require_columns(table, ("crossbar",), "effective load")
    crossbars = table["crossbar"].to_numpy()
    if len(np.unique(crossbars)) < 2:
        raise ConfigurationError("The effective load table holds one crossbar; some must be held out. Plan more.")
    from sklearn.model_selection import GroupShuffleSplit  # here: scikit-learn takes a second to import

    splitter = GroupShuffleSplit(n_splits=1, test_size=settings.held_out, random_state=settings.seed)
    fitted, held_out = next(splitter.split(crossbars, groups=crossbars))
    return fitted, held_out
