"""A layer of leaky integrate-and-fire neurons as everybody trains them: no conductance pulls on the membrane.

    V <- beta V + (t/C) sum over spiking rows [g+ (V_S - V_rest) + g- (V_I - V_rest)],  reset to rest after a spike

It is snntorch.Leaky with reset_mechanism "zero". The synaptic current stays what it is at rest, and so do the driven
rows; silent rows draw nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.training.columns import product


@dataclass(frozen=True)
class RegularNeuron:
    """What the regular model takes of a circuit: its reversal potentials, integration time and capacitances.

    beta   what a step leaves of a membrane
    slope  of snntorch's fast sigmoid, over membranes in units of their threshold
    integrator  the layer whose neurons do not fire and are not reset; None: all do
    """

    circuit: SpikingCircuit
    beta: float
    dtype: torch.dtype = torch.float64
    slope: float = 3.0
    integrator: int | None = None


def leaky(
    spikes: Tensor, weights: Tensor, beta: float, slope: float, higher: Tensor | None = None, fires: bool = True
) -> tuple[Tensor, Tensor]:
    """(spikes, membranes) [steps, samples, columns] of neurons with threshold 1 and rest 0.

    spikes   [steps, samples, rows], 0 or 1
    weights  [rows + 1, columns], thresholds a spike; the last row spikes in every step
    higher   by how much the thresholds are, [samples, columns]
    fires    False: they only integrate, and nothing resets them
    """
    inputs = product(spikes, weights[:-1], weights[-1])
    decay = torch.tensor(beta, dtype=weights.dtype, device=weights.device)
    threshold = 1.0 if higher is None else 1.0 + higher
    fire = surrogate.fast_sigmoid(slope)
    reset = "zero" if fires else "none"
    neurons = snntorch.Leaky(decay, threshold=threshold, spike_grad=fire, reset_mechanism=reset)
    membrane, fired, membranes = torch.zeros_like(inputs[0]), [], []
    for step in inputs:
        spike, membrane = neurons(step, membrane)
        fired.append(spike.to(weights.dtype) if fires else torch.zeros_like(membrane))
        membranes.append(membrane)
    return torch.stack(fired), torch.stack(membranes)


def regular_layer(
    spikes: Tensor, g: Conductances, layer: int, threshold_V: float, neuron: RegularNeuron
) -> tuple[Tensor, Tensor]:
    """(spikes, membranes in volts) [steps, samples, columns] for input spikes [steps, samples, rows], siemens and the
    threshold of the layer; the bias pair spikes in every step."""
    rest_V = neuron.circuit.rest_V
    swing_V = threshold_V - rest_V
    weights, fires = spike_volts(g, neuron.circuit, layer) / swing_V, layer != neuron.integrator
    fired, v = leaky(spikes, weights, neuron.beta, neuron.slope, fires=fires)
    return fired, rest_V + swing_V * v


def spike_volts(g: Conductances, circuit: SpikingCircuit, layer: int) -> Tensor:
    """What a spike of each row adds to the membranes of a regular layer, [rows + 1, columns], volts; the bias last."""
    seconds_per_farad = circuit.clock.integrate_s / circuit.capacitance_F(layer)
    up_V, down_V = circuit.rails.vdd_V - circuit.rest_V, circuit.rails.vss_V - circuit.rest_V
    currents, bias = g.pair_currents(up_V, down_V)
    return seconds_per_farad * torch.cat([currents, bias[None]])
