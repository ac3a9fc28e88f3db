"""The law of 1t1r cells, fitted to a table of their currents at DC; its form: spiking/cell_curves.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.optimize import least_squares

from spicetrain.errors import ConfigurationError
from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit
from spicetrain.surrogates.held_out import fitted_and_held_out
from spicetrain.surrogates.levenberg_marquardt import Vector
from spicetrain.surrogates.settings import SurrogateSettings

_TERMS, _DEGREE = 6, 3  # three terms are off by up to 1.4 % of the largest current
_ALLOWED, _OF_SMALL, _NEAR, _BEYOND = 0.002, 0.8, 3.0, 4.0
"""Of the largest current, of a cell of g_max and a membrane at rest; of others less by a power of g, because most cells
of a column are small; at the end of the membranes that are expected 1 + _NEAR times, beyond _BEYOND times as much."""
_BENDS = 1.0  # how much more the largest errors count: the sum of error^4
_EVALUATIONS = 150
_POWER = (0.05, 200.0)
_ROUNDED_V = 1e-9


@dataclass(frozen=True)
class CellFit:
    """One side's law; at the points kept from its fit the membranes from rest, and the current of the law and of
    ngspice as shares of `largest_A`, the largest current within the range of membranes that are expected."""

    curves: CellCurves
    u: Vector
    model: Vector
    measured: Vector
    largest_A: float


def fit_side(
    u: Vector, g: Vector, i: Vector, side: Side, expected_V: tuple[float, float], circuit: SpikingCircuit,
    settings: SurrogateSettings,
) -> CellFit:  # fmt: skip
    """Of one side's table: membranes from rest (volts), conductances (siemens), currents into the column (amperes)."""
    sign, rail = (1.0, circuit.rails.vdd_V) if side == SIDES[0] else (-1.0, circuit.rails.vss_V)
    drive_V, x, span = abs(rail - circuit.rest_V), sign * u, (float(g.min()), float(g.max()))
    z = 2 * np.log(g / span[0]) / np.log(span[1] / span[0]) - 1
    expected = (u >= expected_V[0] - _ROUNDED_V) & (u <= expected_V[1] + _ROUNDED_V)
    largest_A = float(np.abs(i[expected]).max())
    allowed_A = _ALLOWED * largest_A * (g / span[1]) ** _OF_SMALL
    allowed_A = allowed_A * np.where(expected, 1 + _NEAR * (u / max(np.abs(expected_V))) ** 2, _BEYOND)
    basis, scale = chebyshev.chebvander(z, _DEGREE), g / allowed_A
    fitted, held_out = fitted_and_held_out(np.arange(len(u)), settings)

    def residuals(p: Vector) -> Vector:
        centre, width, power, shares = _parts(p)
        volts = (drive_V - x)[:, None] * np.exp(-power * np.logaddexp(0, (x[:, None] - centre) / width))
        of_g = (np.exp(np.clip(basis @ shares.T, -30, 5)) * volts).sum(1)
        error = ((of_g - sign * i / g) * scale)[fitted]
        return np.asarray(error * np.abs(error) ** _BENDS)

    start = _start(z, basis, drive_V)
    low, high = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    low[2 * _TERMS : 3 * _TERMS], high[2 * _TERMS : 3 * _TERMS] = np.log(_POWER)
    steps = np.concatenate([np.full(_TERMS, 0.02), np.full(len(start) - _TERMS, 0.3)])
    solved = least_squares(residuals, start, x_scale=steps, bounds=(low, high), max_nfev=_EVALUATIONS).x
    centre, width, power, shares = _parts(solved)
    logs = np.stack([np.pad(chebyshev.cheb2poly(row), (0, _DEGREE))[: _DEGREE + 1] for row in shares])
    curves = CellCurves(sign, drive_V, centre, width, power, logs, *span)
    model = curves.current_A(g[held_out], u[held_out]) / largest_A
    return CellFit(curves, u[held_out], model, i[held_out] / largest_A, largest_A)


def _parts(p: Vector) -> tuple[Vector, Vector, Vector, NDArray[np.float64]]:
    centre, width, power = p[:_TERMS], np.exp(p[_TERMS : 2 * _TERMS]), np.exp(p[2 * _TERMS : 3 * _TERMS])
    return centre, width, power, p[3 * _TERMS :].reshape(_TERMS, _DEGREE + 1)


def _start(z: Vector, basis: NDArray[np.float64], drive_V: float) -> Vector:
    """Terms that close one after another, each the whole of the cells that close where it does."""
    centre = drive_V * np.linspace(0.1, 0.44, _TERMS)
    closes = drive_V * (0.27 - 0.17 * z)
    near = np.exp(-0.5 * ((centre - closes[:, None]) / (0.08 * drive_V)) ** 2)
    logs = np.linalg.lstsq(basis, np.log(near / near.sum(1, keepdims=True) + 1e-6), rcond=None)[0].T
    return np.concatenate([centre, np.log(np.full(_TERMS, 0.04 * drive_V)), np.zeros(_TERMS), logs.ravel()])


def require_reachable(table: pd.DataFrame, circuit: SpikingCircuit) -> float:
    """The membrane (volts) at which the best pair of cells, g_max lifting and g_min pulling it down, brings no current
    any more, as measured: where every column stops; the upper rail when it brings some to the end of the table.
    ConfigurationError when a threshold is beyond it."""
    spiking, g = table[table["spiking"]], (table["g_S"].max(), table["g_S"].min())
    best = [spiking[(spiking["side"] == side) & (spiking["g_S"] == of)] for side, of in zip(SIDES, g, strict=True)]
    up, down = (one.set_index("v_membrane_V")["i_A"].sort_index() for one in best)
    net = (up + down).loc[circuit.rest_V - _ROUNDED_V :]
    v, net_A = net.index.to_numpy(), net.to_numpy()
    first = int(np.argmax(net_A <= 0)) if (net_A <= 0).any() else len(net_A)
    around = slice(max(first - 1, 0), first + 1)
    reach_V = float(np.interp(0.0, -net_A[around], v[around])) if first < len(net_A) else circuit.rails.vdd_V
    for layer, threshold in enumerate(circuit.neuron.threshold_V):
        if threshold >= reach_V:
            raise ConfigurationError(
                f"The threshold of layer {layer + 1}, {threshold:.3g} V, is out of reach: as measured, the best pair "
                "of cells, one at g_max that lifts the membrane and one at g_min, lifts it to "
                f"{reach_V:.3g} V and no further, because its access transistor closes. Lower "
                "circuit.threshold_V, widen [access], or raise rails.vdd_V."
            )
    return reach_V
