"""Thresholds of a circuit for weights that were trained without it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.progress import track
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.methods import METHODS
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.neuron_bias import BIASES, tuned
from spicetrain.spiking.training.parameters import programmed
from spicetrain.spiking.training.predict import predict
from spicetrain.technology import Technology

HALVINGS = 16
"""From the whole range between rest and vdd (0.5 V: to 8 uV, less than an inverter's threshold is known)."""


@torch.no_grad()
def calibrated(
    network: SpikingNetwork,
    spikes: NDArray[np.bool_],
    circuit: SpikingCircuit,
    laws: SpikingLaws,
    technology: Technology | None = None,
    *,
    memristor: Device | None = None,
) -> SpikingNetwork:
    """The network with thresholds at which each layer of the circuit spikes as often as in the regular model.

    spikes      of some hundred training images, [images, steps, rows]
    technology  whose wires the arrays have; None: ideal ones
    memristor   then every neuron spikes as often, too: its bias pair is tuned within the device's range, see
                `neuron_bias`; None: thresholds are all that is set

    A practitioner can do this: a threshold is one supply voltage a layer, and a mean spike rate is counted on the chip
    without access to any membrane; weights, and labels, are not touched. Layers are set one after another from the
    input on, each with the spikes that the circuit gives it. A rate falls with the threshold, so bisection finds it,
    between rest and vdd; where no threshold is low enough, it ends at rest. about["spike_rates"] tells what was wanted
    and what was reached. An integrator's neurons do not fire: they keep the threshold that they have.
    """
    of_neurons = [fired.mean((0, 1)) for fired, _ in predict(network, spikes, circuit, None, "regular")]
    wanted = [float(rates.mean()) for rates in of_neurons]
    layer, _ = METHODS["circuit"].model(network, circuit, laws, technology)
    signal = torch.as_tensor(spikes).transpose(0, 1).double()
    thresholds_V, reached = [], []
    crossbars = list(network.crossbars)
    with track("calibrate thresholds", (len(wanted) - (network.integrator is not None)) * HALVINGS, "steps") as bar:
        for index, crossbar in enumerate(network.crossbars):
            g = Conductances.of(crossbar, torch.float64)

            def fired(threshold_V: float, inputs: Tensor = signal, g: Conductances = g, index: int = index) -> Tensor:
                return layer(inputs, g, index, threshold_V).spikes

            if index == network.integrator:
                thresholds_V.append(network.thresholds_V[index])
                reached.append(0.0)
                continue
            low_V, high_V = circuit.rest_V, circuit.rails.vdd_V
            for _ in range(HALVINGS):
                middle_V = (low_V + high_V) / 2
                if float(fired(middle_V).mean()) > wanted[index]:
                    low_V = middle_V
                else:
                    high_V = middle_V
                bar.advance(threshold=f"{middle_V:.4g} V")
            thresholds_V.append((low_V + high_V) / 2)
            if memristor is not None:
                at_V = partial(fired, thresholds_V[-1], signal)
                g = tuned(at_V, g, torch.as_tensor(of_neurons[index]), memristor)
                crossbars[index] = programmed(g, memristor)
            signal = fired(thresholds_V[-1], g=g)
            reached.append(float(signal.mean()))
    about = network.about | {"spike_rates": {"regular": wanted, "circuit": reached}}
    if memristor is not None:
        about[BIASES] = [[box.bias_pos.tolist(), box.bias_neg.tolist()] for box in network.crossbars]
    return replace(network, crossbars=tuple(crossbars), thresholds_V=tuple(thresholds_V), about=about)
