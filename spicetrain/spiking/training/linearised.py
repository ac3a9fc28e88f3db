"""A spiking network as the leaky integrate-and-fire neurons that other tools know:

    v <- left v + weights' s + bias,   spike where v > 1,   v <- reset after a spike

v counts from where a membrane starts, in thresholds. The regular model is this, exactly. The circuit's is not: it is
linearised, of its simple laws (simple_columns.py) with ideal wires, where each neuron fires in the mean.
With p the membrane when a step begins and d the one at the latch, less what the inverter is late by,

    d = L p + A s + ...,   p <- M p + B s + ...   so   d <- M d + A s + (L B - M A) s_before + ...

of which s_before, what the falling edge of a spike brings, is taken as if it came with the next step's spikes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.inputs import Inputs
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.membrane import resting
from spicetrain.spiking.training.neuron_bias import untuned
from spicetrain.spiking.training.predict import Answer, predict
from spicetrain.spiking.training.regular_layer import spike_volts
from spicetrain.spiking.training.regular_method import regular_beta, stated
from spicetrain.spiking.training.simple_columns import SimpleColumns

Vector = NDArray[np.float64]
_LEFT = 1e-12, 1 - 1e-9  # a reset is divided by what is left, and a time constant by what is not
_NEWTON_STEPS = 3  # of what is a line on a 1r, and nearly one on a 1t1r


@dataclass(frozen=True)
class LinearNeurons:
    """One layer; weights [rows, columns], all others [columns]. fires: False of an integrator, which is not reset."""

    weights: Vector
    bias: Vector
    left: Vector
    reset: Vector
    fires: bool = True


def regular_neurons(network: SpikingNetwork, circuit: SpikingCircuit) -> list[LinearNeurons]:
    """Of the network's regular model. ConfigurationError when it does not state its decay or its thresholds."""
    beta, thresholds_V = regular_beta(network), stated(network, "regular_thresholds_V")
    found = []
    for layer, crossbar in enumerate(network.crossbars):
        g = untuned(Conductances.of(crossbar, torch.float64), network, layer)
        weights = (spike_volts(g, circuit, layer) / (thresholds_V[layer] - circuit.rest_V)).numpy()
        none = np.zeros(crossbar.columns)
        found.append(LinearNeurons(weights[:-1], weights[-1], none + beta, none, layer != network.integrator))
    return found


def circuit_neurons(
    network: SpikingNetwork, circuit: SpikingCircuit, laws: SpikingLaws, inputs: Inputs
) -> list[LinearNeurons]:
    """Of its circuit, every neuron linearised where it fires, in the mean over `inputs` [images, steps, rows]."""
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, 1.0, simple=True, integrator=network.integrator)
    found, arriving = [], inputs
    for layer, answer in enumerate(predict(network, inputs, circuit, laws)):
        found.append(_linear_layer(network, layer, fitted, *_where_it_fires(arriving, answer, circuit.rest_V)))
        arriving = answer[0]
    return found


def _where_it_fires(arriving: Inputs, answer: Answer, rest_V: float) -> tuple[Tensor, Tensor]:
    """(inputs [columns, rows], membranes [columns] in volts from rest) in the mean over the steps in which a neuron
    fires; of one that never does, over all."""
    fired, v = (values.reshape(-1, values.shape[2]) for values in answer)
    rows = arriving.reshape(-1, arriving.shape[2]).astype(np.float64)
    counted = np.where(fired.any(0), fired, True) / np.where(fired.any(0), fired.sum(0), len(fired))
    return torch.from_numpy(counted.T @ rows), torch.from_numpy((counted * v).sum(0) - rest_V)


def _linear_layer(
    network: SpikingNetwork, layer: int, fitted: FittedSpikingCircuit, inputs: Tensor, membranes: Tensor
) -> LinearNeurons:
    """Sample j of all that is computed here is where neuron j is linearised, and only its column j counts."""
    g = Conductances.of(network.crossbars[layer], torch.float64)
    trip_V = network.thresholds_V[layer] - fitted.circuit.rest_V
    fires = layer != network.integrator

    def step(p: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(membranes at the latch, d, p of the next step, and where it fires at d), [columns], of p [columns] and s
        [columns, rows]."""
        columns = SimpleColumns(s[None], g, layer, fitted)
        u, slope, late = columns.integrate(p.expand(len(p), -1), 0)
        late = late if fires else torch.zeros_like(late)
        after, none = slope * columns.phases.after_s, torch.zeros_like(u)
        both = columns.rest(u + after, none, 0), columns.rest(trip_V + late + after, none + 1, 0)
        return u.diagonal(), (u - late).diagonal(), both[0].diagonal(), both[1].diagonal()

    begins = resting(SimpleColumns(inputs[None], g, layer, fitted).silent_rows).expand(len(membranes))
    p = begins
    for _ in range(_NEWTON_STEPS):  # to the one that becomes the membrane at which it fires
        (u, *_), ((slope, _), *_) = _and_slopes(step, p, inputs)
        p = p + (membranes - u) / slope
    (_, d, p_next, p_reset), (_, (L, A), (M, B), _) = _and_slopes(step, p, inputs)
    M = M.clamp(*_LEFT)
    weights = A + L[:, None] * B - M[:, None] * A
    bias = d - M * d + L * (p_next - p) - (weights * inputs).sum(1)
    # The membrane at the latch before from which a step begins at p is that from which it begins at p_next, and more.
    start, reset = (d + L * (begin - p_next) / M for begin in (begins, p_reset))
    if not fires:
        start = start.mean().expand_as(start)  # outputs are compared with each other
    unit = trip_V - start if fires else torch.full_like(start, trip_V)
    weights, bias = weights / unit[:, None], (bias + (M - 1) * start) / unit
    return LinearNeurons(weights.T.numpy(), bias.numpy(), M.numpy(), ((reset - start) / unit).numpy(), fires)


def _and_slopes(
    of: Callable[[Tensor, Tensor], tuple[Tensor, ...]], p: Tensor, s: Tensor
) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
    """(the values of a function, their slopes over p [columns] and s [columns, rows]): none knows another column."""
    p, s = p.detach().requires_grad_(), s.detach().requires_grad_()
    values, slopes = of(p, s), []
    for value in values:
        of_p, of_s = torch.autograd.grad(value.sum(), (p, s), retain_graph=True, materialize_grads=True)
        slopes.append((of_p, of_s))
    return [value.detach() for value in values], slopes
