"""Spiking layers whose inputs never change: how often a neuron fires, of where its membrane would settle. Training
begins with it: an epoch costs a tenth of one in time, and what it finds is a good start for that.

A membrane that settles at z thresholds, loses the share 1 - exp(-x) of its way in a step, and of whose threshold a
reset leaves the share l, gets to the threshold in

    n = ln((z - l) / (z - 1)) / x

steps, so that its neuron fires about 1 / (n + 1/2) times a step, and not oftener than once. Around z = 1 it is smooth:
what fires in time is not constant.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.simple_columns import left_by_reset, mean_currents

_SMOOTH = 0.15  # of the threshold
_CLOSE = 1e-4  # above the threshold; closer, a gradient would be 0 times infinity
_LEAST = 1e-3  # of the square root below which a parabola has no root: the membrane then settles where it is flattest


class Settled(NamedTuple):
    """u       [samples, columns]: membranes from rest where mean currents no longer move them, volts
    x       [samples, columns] or [columns], see the module
    left_V  [columns]: of a membrane at the threshold, by a reset
    """

    u: Tensor
    x: Tensor
    left_V: Tensor


def firing_rate(z: Tensor, x: Tensor | float, left: Tensor | float = 0.0) -> Tensor:
    """Of a neuron, spikes a step; see the module. Differentiable."""
    above = (_SMOOTH * softplus((z - 1) / _SMOOTH)).clamp_min(_CLOSE)
    steps = torch.log1p((1 - left) / above) / x
    return torch.sigmoid((z - 1) / _SMOOTH) / (steps + 0.5).clamp_min(1)


def settled(rates: Tensor, g: Conductances, layer: int, fitted: FittedSpikingCircuit) -> Settled:
    """Of rows that spike at rates [samples, rows]; differentiable."""
    a, silent, C = mean_currents(rates, g, layer, fitted)
    bend = 4 * a[0] * a[2] if len(a) > 2 else torch.zeros_like(a[0])
    root = (a[1].square() - bend).clamp_min(_LEAST * float(a[1].detach().square().mean())).sqrt()
    offset, ratio = left_by_reset(silent, layer, C, fitted)
    left_V = offset + ratio * (fitted.circuit.threshold_V(layer) - fitted.circuit.rest_V)
    return Settled(2 * a[0] / (root - a[1]), root * (fitted.circuit.clock.step_s / C), left_V)
