"""Small spiking networks of random conductances, on the shipped circuits with capacitors that fit so few rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from spicetrain.array.crossbar import Crossbar
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology

DRIVER_S = 1e-3  # about what the shipped row drivers have


def small_circuit(array: str = "1r", threshold_V: float = 0.05, **neuron: Any) -> SpikingCircuit:
    """Few rows charge 100 fF as fast as a thousand charge 8 pF; a reset of one finger does not swamp it."""
    circuit = load_circuit(f"lif-{array}").changed((threshold_V,), (100e-15,))
    changed = {"reset_fingers": (1.0,), **neuron}
    return circuit.model_copy(update={"neuron": circuit.neuron.model_copy(update=changed)})


def random_spiking_network(
    technology: Technology, circuit: SpikingCircuit, *layers: int, seed: int = 0, **about: Any
) -> SpikingNetwork:
    """Conductances log-uniform over the memristor's range; inhibitory ones half of that, so that some neurons fire."""
    rng, memristor = np.random.default_rng(seed), technology.memristor

    def g(*shape: int) -> np.ndarray:
        return np.exp(rng.uniform(np.log(memristor.g_min_S), np.log(memristor.g_max_S), shape))

    crossbars = tuple(
        Crossbar(g(rows, columns), g(rows, columns) / 2, g(columns), g(columns) / 2)
        for rows, columns in zip(layers, layers[1:], strict=False)
    )
    thresholds = tuple(circuit.threshold_V(layer) for layer in range(len(crossbars)))
    origin = {
        "system": "spiking",
        "method": "circuit",
        "dataset": "iris",
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
        "circuit": circuit.name,
        "circuit_fingerprint": circuit.fingerprint,
    }
    return SpikingNetwork(crossbars, thresholds, origin | about)
