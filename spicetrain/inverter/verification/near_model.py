"""Many images through the netlist of a network, each from where a model says it will end: the same answer in a third of
the iterations.

The first images are always simulated from scratch, too. Where the model is far from them, so are all; where an answer
depended on its start, all are simulated again from scratch and it is said. Flat netlists are what others are compared
with, and always simulated from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.network import inverter_outputs
from spicetrain.inverter.netlists.start import Start
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.simulate_network import SimulatedVoltages, simulate_network
from spicetrain.netlists.cells import Form
from spicetrain.progress import say
from spicetrain.rails import Rails
from spicetrain.spice.deck import DEFAULT_OPTIONS
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

# Images. From scratch: these, of at least so many; of fewer the two processes would cost more than it saves.
CHECKED, FEWEST = 2, 100
# Of the rails' swing, the model's mean error from which on its voltages are no better a start than the last image's.
_NEAR = 0.01


def simulate_near(
    network: Network,
    technology: Technology,
    inputs: NDArray[np.float32],
    form: Form,
    simulator: Simulator,
    *,
    model_V: Start,
    hidden: bool = False,
    mismatch: Sequence[InverterMismatch] | None = None,
    power: bool = False,
) -> SimulatedVoltages:
    """What `simulate_network` gives, with all that it raises; `model_V` [images] by node, of at least every inverter's
    output: what a model says of these images."""
    simulate = partial(simulate_network, network, technology, form=form, simulator=simulator, mismatch=mismatch)
    if form == "flat" or len(inputs) < FEWEST:
        return simulate(inputs, hidden=hidden, power=power)
    start = {node: np.asarray(model_V[node], dtype=np.float64) for node in inverter_outputs(network.layers)}
    first = simulate(inputs[:CHECKED], hidden=True)
    if not _is_near(first, start, technology.rails):
        return _after(first, simulate(inputs, hidden=hidden, power=power))
    found = simulate(inputs, hidden=hidden, power=power, start=start)
    apart_V = _apart(first, found)
    if apart_V <= same_V(technology.rails):
        return _after(first, found)
    say(
        f"ngspice's answer for the first images is {apart_V * 1e6:.3g} uV another when it starts at the model's "
        "voltages: all images are simulated again, from scratch."
    )
    return _after(first, simulate(inputs, hidden=hidden, power=power))


def same_V(rails: Rails) -> float:
    """By how much two answers of ngspice to the same circuit may differ: twice what it ends its iterations at."""
    largest = max(abs(rails.vdd_V), abs(rails.vss_V))
    return 2 * (float(DEFAULT_OPTIONS["reltol"]) * largest + float(DEFAULT_OPTIONS["vntol"]))


def _is_near(first: SimulatedVoltages, start: Start, rails: Rails) -> bool:
    errors = [
        np.abs(start[node][:CHECKED] - v)
        for node, v in zip(first.nodes, first.voltages.T, strict=True)
        if node in start
    ]
    return float(np.mean(errors)) <= _NEAR * 2 * rails.half_swing_V  # of NaN: no


def _apart(first: SimulatedVoltages, found: SimulatedVoltages) -> float:
    from_scratch = dict(zip(first.nodes, first.voltages.T, strict=True))
    return max(
        float(np.abs(from_scratch[node] - v[:CHECKED]).max())
        for node, v in zip(found.nodes, found.voltages.T, strict=True)
    )


def _after(first: SimulatedVoltages, found: SimulatedVoltages) -> SimulatedVoltages:
    """With the time that both took."""
    return replace(found, seconds_ngspice=first.seconds_ngspice + found.seconds_ngspice)
