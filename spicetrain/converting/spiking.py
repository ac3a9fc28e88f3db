"""The conversion of a model that spikes: weights as shares of the device's range, each layer's scaled so that it spikes
as often as the model's, then trained for the model's spike counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import snntorch
import torch
from torch import Tensor, nn

from spicetrain.converting.distil import Distilling, distil
from spicetrain.converting.read import Dense
from spicetrain.spiking.definition import SpikingTrainingSettings

CLIP_QUANTILE = 0.999
_SCALES = np.geomspace(1 / 32, 8, 25).tolist()  # of the weight that CLIP_QUANTILE leaves whole, in the device's range


def convert_spiking(modules: Sequence[Any], layers: Sequence[Dense], spikes: Tensor, how: Distilling) -> nn.Sequential:
    """The modules, a layer of the circuit each (its SynapseParameters as `synapses`, and `project`), as a Sequential
    that answers as the layers do to spikes [steps, samples, rows]."""
    found, own = nn.Sequential(*modules), spikes_of(layers, spikes)
    _begin(modules, layers, spikes, own)
    unit = SpikingTrainingSettings().rate_logit / len(spikes)

    def logits(by_sample: Tensor) -> Tensor:
        counts: Tensor = found(by_sample.transpose(0, 1)).sum(0)
        return unit * counts

    def project() -> None:
        for module in modules:
            module.project()

    wanted = (unit * own[-1].sum(0)).softmax(1).float()
    distil(found, logits, spikes.transpose(0, 1), wanted, how, usual_rate=0.02, project=project)
    return found


@torch.no_grad()
def _begin(modules: Sequence[Any], layers: Sequence[Dense], spikes: Tensor, wanted: Sequence[Tensor]) -> None:
    """Set the synapses of the modules; wanted: the spikes of every layer of the model to `spikes`."""
    signal = spikes
    for module, layer, own in zip(modules, layers, wanted, strict=True):
        weights = torch.cat([layer.weight, layer.bias[None]])
        largest = float(weights.abs().quantile(CLIP_QUANTILE)) or 1.0
        tried = []
        for scale in _SCALES:
            module.synapses.synapses.copy_((scale / largest * weights).clamp(-1, 1))
            tried.append((abs(float(module(signal).mean()) - float(own.mean())), scale))
        module.synapses.synapses.copy_((min(tried)[1] / largest * weights).clamp(-1, 1))
        signal = module(signal)


@torch.no_grad()
def spikes_of(layers: Sequence[Dense], spikes: Tensor) -> list[Tensor]:
    """Of every layer of a model that spikes, [steps, samples, columns], to spikes [steps, samples, rows]; its neurons
    begin at 0, whatever state they are in."""
    found, signal = [], spikes.double()
    for layer in layers:
        own = layer.then
        assert isinstance(own, snntorch.Leaky)
        neurons = snntorch.Leaky(
            own.beta.detach().double(), threshold=own.threshold.detach().double(), reset_mechanism=own.reset_mechanism
        )
        currents, fired = signal @ layer.weight + layer.bias, []
        membrane = torch.zeros_like(currents[0])
        for current in currents:
            spike, membrane = neurons(current, membrane)
            fired.append(spike)
        signal = torch.stack(fired).double()
        found.append(signal)
    return found
