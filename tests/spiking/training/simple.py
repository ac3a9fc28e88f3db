"""A circuit without transistors: stiff linear drivers, a reset that discharges at once, no leak; a network on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.spiking.circuit import SIDES, SpikingCircuit, load_circuit
from spicetrain.spiking.surrogates.laws import Driver, SpikingLaws

DRIVER_S, RESET_S = 1e-2, 1.0


def lif(**changes: Any) -> SpikingCircuit:
    """lif-1r with other values, of the neuron or at its top level."""
    content = load_circuit("lif-1r").model_dump()
    for key, value in changes.items():
        (content["neuron"] if key in content["neuron"] else content)[key] = value
    return SpikingCircuit.model_validate(content)


def simple_laws(circuit: SpikingCircuit) -> SpikingLaws:
    levels = {"excitatory": circuit.rails.vdd_V, "inhibitory": circuit.rails.vss_V}
    drivers = {
        (side, spiking): Driver(np.array([0.0, -DRIVER_S]), levels[side] if spiking else circuit.rest_V, (-1.0, 1.0))
        for side in SIDES
        for spiking in (True, False)
    }
    rest = circuit.rest_V
    return SpikingLaws(rest, (np.zeros(2),), (np.array([0.0, RESET_S]),), drivers=drivers)


def random_crossbar(memristor: Device, rows: int, columns: int, seed: int = 0) -> Crossbar:
    """Three of ten devices conduct, more excitatory than inhibitory ones."""
    random = np.random.default_rng(seed)

    def side(chance: float, *shape: int) -> np.ndarray:
        g = memristor.g_min_S + (memristor.g_max_S - memristor.g_min_S) * random.uniform(0, 1, shape)
        return np.where(random.uniform(0, 1, shape) < chance, g, memristor.g_min_S)

    return Crossbar(side(0.4, rows, columns), side(0.2, rows, columns), side(0.4, columns), side(0.2, columns))


def random_spikes(images: int, steps: int, rows: int, rate: float = 0.4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (images, steps, rows)) < rate
