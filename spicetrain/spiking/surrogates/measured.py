"""Of a measured table, what the fits of a spiking circuit's laws share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.polynomial import polynomial

from spicetrain.errors import ConfigurationError
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.surrogates.curves import Fit, errors
from spicetrain.spiking.surrogates.laws import Range, SpikingLaws
from spicetrain.surrogates.levenberg_marquardt import Vector

Fitted = tuple[SpikingLaws, dict[str, Any], Figure]


def membrane_range_V(circuit: SpikingCircuit) -> Range:
    """u that membranes may be expected at: twice the threshold below rest and half of it above itself, but at least a
    fifth of the way to the rails."""
    threshold = max(circuit.neuron.threshold_V) - circuit.rest_V
    fifth = 0.2 * (circuit.rails.vdd_V - circuit.rest_V)
    return -max(2 * threshold, fifth), max(1.5 * threshold, fifth)


def require_known(known: bool, table: str, needed: str) -> None:
    """Laws are handed from one fit to the next, and begin as zeros."""
    if not known:
        raise ConfigurationError(
            f"The table {table} is fitted with the law of {needed}, which is not among the laws so far. "
            f"Fit {needed} before {table}."
        )


def report_of(fits: list[Fit], unit: str, low: float, high: float, circuit: SpikingCircuit) -> dict[str, Any]:
    return {
        "errors": errors(fits, unit),
        "domain": {"v_membrane_V": [circuit.rest_V + low, circuit.rest_V + high]},
    }


def value(x: Vector, coefficients: Vector) -> Vector:
    return np.asarray(polynomial.polyval(x, coefficients), np.float64)


def layers_in(table: pd.DataFrame) -> list[int]:
    return sorted(int(layer) for layer in table["layer"].unique())


def columns_of(table: pd.DataFrame, case: dict[str, Any], *names: str) -> tuple[Vector, ...]:
    """Columns of the rows where every key of `case` has its value; ConfigurationError when there are none, or a value
    is not finite."""
    missing = [name for name in (*case, *names) if name not in table]
    if missing:
        raise ConfigurationError(
            f"The table has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. It was "
            "written by another version: characterize again."
        )
    for name, value in case.items():
        table = table[table[name] == value]
    values = tuple(table[name].to_numpy(np.float64) for name in names)
    if not len(table) or not all(np.isfinite(value).all() for value in values):
        raise ConfigurationError(
            f"The table has no finite {', '.join(names)} for {case or 'any case'}: characterize again."
        )
    return values
