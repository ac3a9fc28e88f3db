"""Where a conversion begins: the weights of dense layers as conductances.

An inverter pair behind a column at `a` (from mid-rail, in half swings) answers about as tanh(gain a). A column is

    a = (sum of signals (g+ - g-) + g+_b - g-_b) / (sum of all g),

so g+- = g_min + k max(+-w, 0) makes it w / gain for the k that solves this, where the device's range allows it. From
the second crossbar on the positive rows carry the inverted signal, and one more inverter is behind the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.converting.read import Dense


def as_tanh(layers: Sequence[Dense], inputs: Tensor, bipolar: bool) -> list[tuple[Tensor, Tensor]]:
    """(weights, bias) of the same layers between tanh, of inputs [samples, rows] as the circuit has them: 2 x - 1 where
    it is bipolar. A ReLU that reaches h_max over these inputs is about h_max (1 + tanh(2 z / h_max - 1)) / 2. The last
    layer is scaled to 1."""
    found, x = [], inputs.double()
    # Of what arrives, u = (x - offset) / scale is what the circuit has of it.
    scale, offset = (torch.full((x.shape[1],), 0.5 if bipolar else 1.0).double() for _ in range(2))
    offset = offset if bipolar else offset * 0
    for layer in layers:
        z = x @ layer.weight + layer.bias
        weight, bias = scale[:, None] * layer.weight, layer.bias + offset @ layer.weight
        if isinstance(layer.then, nn.ReLU):
            x = z.clamp_min(0)
            top = x.amax(0).clamp_min(1e-6)
            weight, bias = weight * (2 / top), bias * (2 / top) - 1
            scale = offset = top / 2
        elif layer.then is not None:
            x = z.tanh()
            scale, offset = torch.ones_like(z[0]), torch.zeros_like(z[0])
        else:
            top = z.abs().amax().clamp_min(1e-6)
            weight, bias = weight / top, bias / top
        found.append((weight, bias))
    return found


def crossbars_of(layers: Sequence[tuple[Tensor, Tensor]], gain: float, device: Device) -> list[Crossbar]:
    """Of layers between tanh; gain: of an inverter, -dv_out/dv_in."""
    found = []
    for k, (weight, bias) in enumerate(layers):
        last = k == len(layers) - 1
        # v_n is soft and inverted, v_p steep: a hidden column aims between the two.
        aim = gain if last else gain**1.5
        sign = (-1.0 if last else 1.0) * (-1.0 if k else 1.0)
        found.append(_crossbar(sign * weight, (-1.0 if last else 1.0) * bias, aim, device))
    return found


def _crossbar(weight: Tensor, bias: Tensor, gain: float, device: Device) -> Crossbar:
    all_w = torch.cat([weight, bias[None]])
    span_S = device.g_max_S - device.g_min_S
    wanted = 2 * len(all_w) * device.g_min_S / (gain - all_w.abs().sum(0)).clamp_min(1e-9 * gain)
    k = torch.minimum(wanted, span_S / all_w.abs().amax(0).clamp_min(1e-12))
    pos, neg = (device.g_min_S + k * (sign * all_w).clamp_min(0) for sign in (1, -1))
    return Crossbar(*(value.numpy() for value in (pos[:-1], neg[:-1], pos[-1], neg[-1])))
