"""The conversion of layers between tanh or ReLU: weights mapped to crossbars, these then trained for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from spicetrain.converting.distil import Distilling, distil
from spicetrain.converting.mapping import as_tanh, crossbars_of
from spicetrain.converting.read import Dense
from spicetrain.inverter.definition import TrainingSettings
from spicetrain.technology import Technology


def convert_dense(
    modules: Sequence[nn.Module],
    layers: Sequence[Dense],
    inputs: Tensor,
    technology: Technology,
    gain: float,
    how: Distilling,
    *,
    bipolar: bool,
) -> nn.Sequential:
    """The modules, a crossbar a layer (with its CrossbarParameters as `conductances`) and the inverters behind them, as
    a Sequential that answers as the layers do to inputs [samples, rows]; gain: of an inverter."""
    found = nn.Sequential(*modules)
    mapped = crossbars_of(as_tanh(layers, inputs, bipolar), gain, technology.memristor)
    for module, crossbar in zip(modules[:-1], mapped, strict=True):
        cast(Any, module).conductances.assign(crossbar)
    mid_V, logit_V = technology.rails.mid_V, TrainingSettings().logit(technology.rails)

    def logits(x: Tensor) -> Tensor:
        return cast(Tensor, (found(x) - mid_V) / logit_V)

    distil(found, logits, inputs, dense_logits(layers, inputs).softmax(1).float(), how, usual_rate=0.05)
    return found


@torch.no_grad()
def dense_logits(layers: Sequence[Dense], inputs: Tensor) -> Tensor:
    """What the model that was read answers, [samples, outputs], before whatever stood behind its last Linear."""
    x = inputs.double()
    for layer in layers:
        x = x @ layer.weight + layer.bias
        x = x if layer.then is None else layer.then(x)
    return x
