"""How good a fit is: error quantiles beside those of a baseline it must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spicetrain.errors import ConfigurationError
from spicetrain.surrogates.levenberg_marquardt import Vector

Errors = dict[str, Any]


def absolute_errors(model: Vector, measured: Vector, unit: str) -> Errors:
    """rms, quantiles 50/90/99 and maximum of |model - measured|; the unit ends each key."""
    from sklearn.metrics import root_mean_squared_error  # here: scikit-learn takes a second to import

    q50, q90, q99, largest = np.quantile(np.abs(model - measured), (0.5, 0.9, 0.99, 1.0))
    return {
        f"rms_{unit}": float(root_mean_squared_error(measured, model)),
        f"q50_{unit}": float(q50),
        f"q90_{unit}": float(q90),
        f"q99_{unit}": float(q99),
        f"max_{unit}": float(largest),
    }


def relative_errors(model: Vector, measured: Vector, significant: float, unit: str) -> Errors:
    """The same of |model / measured - 1| where |measured| > `significant`, with the absolute errors everywhere."""
    large = np.abs(measured) > significant
    if not large.any():
        raise ConfigurationError(
            f"No held-out value exceeds {significant:g} {unit}: the table is too coarse, or its unit is wrong."
        )
    ratio = model[large] / measured[large]
    relative = absolute_errors(ratio, np.ones_like(ratio), "relative")
    return (
        {"points": int(large.sum()), "above_" + unit: significant} | relative | absolute_errors(model, measured, unit)
    )


def polynomial_baseline(x: NDArray[np.float64], y: Vector, x_held_out: NDArray[np.float64]) -> Vector:
    """What a degree-3 polynomial ridge of the same inputs, fitted to (x, y), says at `x_held_out`."""
    from sklearn.linear_model import Ridge  # here: scikit-learn takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    scale = y.std() or 1.0
    model = make_pipeline(StandardScaler(), PolynomialFeatures(3), Ridge(1e-6))
    model.fit(x, y / scale)
    return np.asarray(model.predict(x_held_out) * scale)


def require_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """ConfigurationError when `table` lacks a column, holds values that are not finite, or is nearly empty."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ConfigurationError(
            f"The {what} table has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. "
            "It was written by another version: characterize again."
        )
    if len(table) < 50:
        raise ConfigurationError(
            f"The {what} table has {len(table)} rows, too few to fit. Characterize with a larger plan."
        )
    if not np.isfinite(table[list(columns)].to_numpy(np.float64)).all():
        raise ConfigurationError(f"The {what} table holds values that are not finite: characterize again.")
