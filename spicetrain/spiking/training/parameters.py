"""Trainables of a spiking network, one real number a synapse, and how they become conductances.

A synapse is signed: a positive one raises its excitatory device above g_min, a negative one its inhibitory device; the
other stays at g_min, where it loads the column least.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.spiking.circuit import SpikingCircuit

# Over the root of the rows, of which a part spikes: a layer of any width then moves its membranes about as much.
INITIAL_SPREAD, LARGEST_INITIAL_SPREAD = 1.4, 0.3
REGULAR_UNIT, LARGEST_REGULAR_UNIT = 8.0, 1.0


class SynapseParameters(nn.Module):
    """`synapses` [rows + 1, columns] of one layer, the bias last."""

    def __init__(self, rows: int, columns: int, generator: torch.Generator | None):
        super().__init__()
        spread = min(LARGEST_INITIAL_SPREAD, INITIAL_SPREAD / (rows + 1) ** 0.5)
        self.synapses = nn.Parameter(spread * torch.randn(rows + 1, columns, generator=generator))

    @property
    def weights(self) -> Tensor:
        """Of a regular layer, thresholds a spike. The unit makes one learning rate right for layers of all widths."""
        return self.synapses * unit_of(len(self.synapses))

    def conductances(self, memristor: Device) -> Conductances:
        """Of a circuit's layer, siemens: synapses are shares of the device's range, -1..1."""
        return signed_conductances(self.synapses, self.synapses, memristor)

    @torch.no_grad()
    def project(self) -> None:
        """After a step: no synapse beyond the device's range, from where its gradient would not bring it back."""
        self.synapses.clamp_(-1, 1)


def unit_of(rows: int) -> float:
    """Thresholds a spike that a synapse of 1 is in a regular layer of so many rows, the bias row among them."""
    return min(LARGEST_REGULAR_UNIT, REGULAR_UNIT / rows**0.5)


def signed_conductances(excitatory: Tensor, inhibitory: Tensor, memristor: Device) -> Conductances:
    """Siemens of synapses [rows + 1, columns], the bias last, each side in shares of the device's range: g+ and g- are
    g_min + (g_max - g_min) max(+-share, 0), clipped at g_max."""
    span_S = memristor.g_max_S - memristor.g_min_S
    pos = memristor.g_min_S + span_S * excitatory.clamp(0, 1)
    neg = memristor.g_min_S + span_S * (-inhibitory).clamp(0, 1)
    return Conductances(pos[:-1], neg[:-1], pos[-1], neg[-1])


def mapped(
    weights: Tensor, circuit: SpikingCircuit, layer: int, memristor: Device, clip_quantile: float
) -> tuple[Conductances, float]:
    """Conductances of a regular layer's weights [rows + 1, columns] (thresholds a spike), and its threshold in volts.

    As a practitioner does it. g+- = g_min + k+- max(+-w, 0), with k as large as the device allows once the weights
    above the quantile are clipped: high conductances stand out of g_min best. The two sides differ where rest is not
    mid-rail, so that both bring the same charge for the same |w|. The threshold is scaled with the charge that a
    weight of 1 brings to the capacitor: (t/C) k (V_S - V_rest) above rest.
    """
    largest = float(np.quantile(weights.detach().abs().cpu().numpy(), clip_quantile, method="higher"))
    up_V, down_V = circuit.rails.vdd_V - circuit.rest_V, circuit.rest_V - circuit.rails.vss_V
    pull_V = min(up_V, down_V)
    shares = weights / largest
    g = signed_conductances(shares * (pull_V / up_V), shares * (pull_V / down_V), memristor)
    seconds_per_farad = circuit.clock.integrate_s / circuit.capacitance_F(layer)
    unit_V = seconds_per_farad * (memristor.g_max_S - memristor.g_min_S) / largest * pull_V
    return g, circuit.rest_V + unit_V


def programmed(g: Conductances, memristor: Device) -> Crossbar:
    """As they are programmed: float64, inside the device's range to the last digit."""
    values = (value.detach().double().cpu().numpy() for value in g)
    return Crossbar(*(np.clip(value, memristor.g_min_S, memristor.g_max_S) for value in values))
