"""Bias pairs of devices as what sets single neurons: a bias row spikes in every step, whatever is presented.

A practitioner can do this on the chip, with spike counts alone: all columns at once, two devices a neuron rewritten.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.parameters import signed_conductances

HALVINGS = 12
"""From the whole range of a device: to less than anyone writes it."""

BIASES = "regular_biases_S"
"""Of a network's `about`: (pos, neg) of the bias pairs by layer, as its regular model has them."""


def tuned(spikes: Callable[[Conductances], Tensor], g: Conductances, wanted: Tensor, memristor: Device) -> Conductances:
    """The layer `g` with bias pairs at which every neuron spikes as often as `wanted` [columns], a share of all steps.

    spikes     (conductances) -> [steps, samples, columns]
    memristor  whose range a pair has: one device of it is at g_min

    What a column does hardly depends on the others, so all are bisected together, each from where it is towards the
    end of the range that takes its rate the right way: a neuron that is right stays, and one that never was to spike
    is not moved to the brink of it. The best of all that were tried is kept: no neuron ends further off than it began.
    """
    span_S = memristor.g_max_S - memristor.g_min_S

    def with_bias(share: Tensor) -> Conductances:
        pair = signed_conductances(share[None], share[None], memristor)
        return g._replace(bias_pos=pair.bias_pos, bias_neg=pair.bias_neg)

    now = (g.bias_pos - g.bias_neg) / span_S
    rate = spikes(g).mean((0, 1))
    low, high = torch.where(rate < wanted, now, -1.0), torch.where(rate < wanted, 1.0, now)
    best, off = now, (rate - wanted).abs()
    right = off == 0
    for _ in range(HALVINGS):
        middle = torch.where(right, now, (low + high) / 2)
        rate = spikes(with_bias(middle)).mean((0, 1))
        nearer = ~right & ((rate - wanted).abs() < off)
        best, off = torch.where(nearer, middle, best), torch.where(nearer, (rate - wanted).abs(), off)
        low, high = torch.where(rate > wanted, low, middle), torch.where(rate > wanted, middle, high)
    moved, new = best != now, with_bias(best)
    return g._replace(
        bias_pos=torch.where(moved, new.bias_pos, g.bias_pos), bias_neg=torch.where(moved, new.bias_neg, g.bias_neg)
    )


def untuned(g: Conductances, network: SpikingNetwork, layer: int) -> Conductances:
    """A layer of the network as its regular model has it."""
    if BIASES not in network.about:
        return g
    pos, neg = (g.bias_pos.new_tensor(side) for side in network.about[BIASES][layer])
    return g._replace(bias_pos=pos, bias_neg=neg)
