"""How the outputs of a spiking network are read: their scores, the largest of which is the class."""

from __future__ import annotations

import torch
from torch import Tensor

from spicetrain.spiking.definition import Readout
from spicetrain.spiking.training.layers import LayerResponse


def scores(outputs: LayerResponse, readout: Readout, swing: float = 1.0) -> Tensor:
    """[samples, outputs]: spikes, and of `membrane` less than one more for the membrane at the last latch, so that it
    decides between equal numbers of spikes and is trained; of `integrator` that membrane alone, from the mean of all
    outputs, a threshold counting like a spike in every step. Differentiable in both.

    swing  from rest to the threshold, in the unit of the membranes
    """
    if readout == "integrator":
        u = outputs.membranes[-1]
        return len(outputs.membranes) / swing * (u - u.mean(1, keepdim=True))
    counts = outputs.spikes.sum(0)
    if readout == "counts":
        return counts
    last = outputs.membranes[-1]
    middle, spread = last.detach().mean(), last.detach().std(correction=0)
    return counts + torch.sigmoid((last - middle) / spread.clamp_min(torch.finfo(last.dtype).tiny))
