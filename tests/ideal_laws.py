"""Laws in closed form, without a measurement: resistors for transistors, a threshold without offset or delay."""

from __future__ import annotations

from typing import Any

import numpy as np

from spicetrain.spiking.circuit import SIDES, SpikingCircuit
from spicetrain.spiking.surrogates.laws import Driver, SpikingLaws


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
        "cells": {side: np.array([[supply[side] - rest], [-1.0]]) for side in SIDES},
        "silent_cells": {side: np.zeros(2) for side in SIDES},
    }
    return SpikingLaws(**values | more)
