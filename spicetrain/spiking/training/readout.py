"""How the outputs of a spiking network are read: their scores, the largest of which is the class."""

from __future__ import annotations

import torch
from torch import Tensor

from spicetrain.spiking.definition import Readout
from spicetrain.spiking.training.layers import LayerResponse

SWINGS = 5.0
"""Thresholds above the mean at which an integrator's output counts like one that spikes in every step. One epoch of
784-100-10 on MNIST ends (`direct`) at 92.8, 93.5, 94.6, 93.7, 92.1 % for 30, 15, 7.5, 3 and 1 of them."""


def scores(outputs: LayerResponse, readout: Readout, swing: float = 1.0) -> Tensor:
    """[samples, outputs]: spikes, and of `membrane` less than one more for the membrane at the last latch, so that it
    decides between equal numbers of spikes and is trained; of `integrator` that membrane alone, from the mean of all
    outputs, SWINGS thresholds counting like a spike in every step. Differentiable in both.

    swing  from rest to the threshold, in the unit of the membranes
    """
    if readout == "integrator":
        u = outputs.membranes[-1]
        return len(outputs.membranes) / (SWINGS * swing) * (u - u.mean(1, keepdim=True))
    counts = outputs.spikes.sum(0)
    if readout == "counts":
        return counts
    last = outputs.membranes[-1]
    middle, spread = last.detach().mean(), last.detach().std(correction=0)
    return counts + torch.sigmoid((last - middle) / spread.clamp_min(torch.finfo(last.dtype).tiny))
