"""A spiking circuit's laws as simple as training needs them: lines and parabolas, nearest to the laws where membranes
are while a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spicetrain.spiking.circuit import SIDES, Side, SpikingCircuit, of_layer
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.surrogates.levenberg_marquardt import Vector

_LINE, _PARABOLA = (-0.5, 1.2), (-1.0, 1.3)
_POINTS = 100
_POWERS = 6  # of a cell's conductance


@dataclass(frozen=True)
class SimpleLaws:
    """Of one layer, currents into the membrane per power of u, volts from rest.

    leak    [2]
    silent  [2] of a row pair of a 1T1R array that does not spike
    cells   side -> [3, _POWERS], of a cell that does, over the powers 1 .. of g / g_S; none of a 1r
    g_S     largest conductance that they were fitted to
    """

    leak: Vector
    silent: Vector
    cells: Mapping[Side, Vector]
    g_S: float

    @classmethod
    def of(cls, circuit: SpikingCircuit, laws: SpikingLaws, layer: int) -> SimpleLaws:
        swing = circuit.threshold_V(layer) - circuit.rest_V
        near, far = (swing * np.linspace(*ends, _POINTS) for ends in (_LINE, _PARABOLA))
        pairs = np.zeros_like(near)
        for current in laws.silent_cells.values():
            pairs += np.polynomial.polynomial.polyval(near, current)
        g_S = max((curves.g_high_S for curves in laws.cells.values()), default=1.0)
        return cls(
            leak=_nearest(near, -np.polynomial.polynomial.polyval(near, of_layer(laws.leak, layer)), 1),
            silent=_nearest(near, pairs, 1),
            cells={side: _cells(laws, side, far, g_S) for side in SIDES if side in laws.cells},
            g_S=g_S,
        )


def _nearest(u: NDArray, current_A: NDArray, degree: int) -> Vector:
    return np.asarray(np.polynomial.polynomial.polyfit(u, current_A, degree))


def _cells(laws: SpikingLaws, side: Side, u: Vector, g_S: float) -> Vector:
    curves = laws.cells[side]
    x = np.geomspace(curves.g_low_S / g_S, 1.0, _POINTS)
    parabolas = [_nearest(u, curves.current_A(np.full_like(u, share * g_S), u), 2) / share for share in x]
    powers = x[:, None] ** np.arange(_POWERS)  # of i / g: most devices of a trained column are at g_min
    return np.asarray(np.linalg.lstsq(powers, np.array(parabolas), rcond=None)[0].T)
