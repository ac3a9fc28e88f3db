"""Laws in closed form, without a measurement: resistors for transistors, a threshold without offset or delay."""

from __future__ import annotations

from typing import Any

import numpy as np

from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.circuit import SIDES, SpikingCircuit
from spicetrain.spiking.surrogates.laws import Driver, SpikingLaws


def open_cells(rail_V: float) -> CellCurves:
    """Cells whose access transistors conduct without resistance and never close; rail_V from rest."""
    sign = 1.0 if rail_V > 0 else -1.0
    return CellCurves(sign, abs(rail_V), np.array([30.0]), np.array([0.1]), np.ones(1), np.zeros((1, 1)), 1e-9, 1e-2)


def ideal_laws(
    circuit: SpikingCircuit, leak_S: float = 1e-9, reset_S: float = 1e-2, driver_S: float = 1.0, **more: Any
) -> SpikingLaws:
    """Leak, reset and row drivers are resistors; cells are their conductance between column and supply, and conduct
    nothing without a spike."""
    rest, rails = circuit.rest_V, circuit.rails
    supply = {"excitatory": rails.vdd_V, "inhibitory": rails.vss_V}
    drivers = {
        (side, spiking): Driver(np.array([0.0, -driver_S]), supply[side] if spiking else rest, (-1.0, 1.0))
        for side in SIDES
        for spiking in (True, False)
    }
    values: dict[str, Any] = {
        "rest_V": rest,
        "leak": (np.array([0.0, leak_S]),),
        "reset": (np.array([0.0, reset_S]),),
        "drivers": drivers if circuit.array == "1r" else {},
        "cells": {side: open_cells(supply[side] - rest) for side in SIDES},
        "silent_cells": {side: np.zeros(2) for side in SIDES},
    }
    return SpikingLaws(**values | more)
