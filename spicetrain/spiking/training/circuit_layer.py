"""One layer of spiking neurons as the circuit has them, over all time steps; surrogate gradient at the spike.

A clock step k, u = v - rest_V (membrane.py), edges taken as steps in their middle:

    integrate  from half the rising edge to the latch at k T + integrate_s, the rows as the spikes say
    latch      a neuron fires when u is above threshold + what du/dt, and how that changes, are to its inverter, which
               answers late
    rest       what is left of the falling edge with the rows still driven, then rest_s with all rows silent; the
               neurons that fired with their reset on, whose gate's edges leave charges on the membrane

The neurons of an integrator (FittedSpikingCircuit) are the same but for the latch: none fires, and none is reset.

Columns of a passive array with ideal rows, and those of a 1T1R array, charge each for itself: their currents are
polynomials in u, or closed forms of it (cells.py), and the sums over rows of all time steps and samples are one product
with the conductances (columns.py). Rows that are driven by transistors couple the columns (rows.py), and so do wires
(wired_columns.py). For training there is a quicker answer to all of them that is nearly the same (simple_columns.py).
"""

from __future__ import annotations

import torch
from snntorch import surrogate
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.wired_ports import Ports, ports
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.columns import Columns
from spicetrain.spiking.training.coupled import CoupledColumns
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.membrane import resting
from spicetrain.spiking.training.rows import DrivenColumns
from spicetrain.spiking.training.simple_columns import SimpleColumns
from spicetrain.spiking.training.wired_columns import WiredColumns
from spicetrain.surrogates.extrapolation import outside


def circuit_layer(
    spikes: Tensor,
    g: Conductances,
    layer: int,
    threshold_V: float,
    fitted: FittedSpikingCircuit,
    deviation: Deviation | None = None,
    correction: Ports | None = None,
) -> LayerResponse:
    """Which neurons fire, and their membranes at the latch.

    spikes       [steps, samples, rows], 0 or 1 in the fitted's precision, or of ideal rows the share of their level
                 that they are driven to; the bias row pair spikes in every step
    g            siemens
    threshold_V  absolute
    deviation    of the neurons from the circuit's; one that is drawn for samples is held over all their time steps
    correction   of the array's wires, see wired_ports; held. Without one their fast form is all that is known of them,
                 without their capacitance, and rows that are driven do not pull on each other
    Differentiable in spikes and g; through the spike itself with snntorch's fast_sigmoid. A neuron that fired does not
    pass its gradient through its own reset, as in snntorch.
    """
    rest_V = fitted.circuit.rest_V
    scale = threshold_V - rest_V
    moved: float | Tensor = 0.0 if deviation is None else deviation.trip_V
    trip = scale + moved
    charge = NeuronCharge.of(fitted, layer, threshold_V - fitted.circuit.threshold_V(layer) + moved)
    columns = _columns(spikes, g, layer, fitted, deviation, charge, correction)
    fire, may_fire = surrogate.fast_sigmoid(fitted.slope), layer != fitted.integrator
    u = resting(columns.silent_rows).expand(spikes.shape[1], g.bias_pos.shape[0])
    fires, latched = [], []
    for step in range(len(spikes)):
        u, slope, late_V = columns.integrate(u, step)
        fired = fire((u - trip - late_V) / scale).to(u.dtype) if may_fire else torch.zeros_like(u)
        fires.append(fired)
        latched.append(u)
        u = columns.rest(u + slope * columns.phases.after_s, fired.detach(), step)
    membranes = torch.stack(latched)
    asked = columns.extrapolation
    if columns.reached is not None:
        asked = asked + outside("membrane", membranes, columns.reached)
    return LayerResponse(torch.stack(fires), membranes + rest_V, asked)


def _columns(
    spikes: Tensor,
    g: Conductances,
    layer: int,
    fitted: FittedSpikingCircuit,
    deviation: Deviation | None,
    charge: NeuronCharge | None,
    correction: Ports | None,
) -> Columns | CoupledColumns | SimpleColumns:
    wires = None if fitted.segments is None else ports(g, fitted.segments, correction)
    if fitted.simple and wires is None:
        return SimpleColumns(spikes, g, layer, fitted, deviation)
    if fitted.driven(layer):
        return DrivenColumns(spikes, g, layer, fitted, deviation, charge, wires)
    if wires is not None:
        return WiredColumns(spikes, g, layer, fitted, deviation, charge, wires)
    return Columns(spikes, g, layer, fitted, deviation, charge)
