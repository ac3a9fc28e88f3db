"""The forward pass of a training step, simulated in ngspice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.network import saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.voltages import LayerVoltages, Simulate
from spicetrain.inverter.verification.simulate_network import simulate_piece
from spicetrain.netlists.forms import plain_form
from spicetrain.spice.pool import Map
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology


@contextmanager
def spice_forward(technology: Technology, simulator: Simulator) -> Iterator[Simulate]:
    """(network, inputs [samples, rows] in 0..1) -> the voltages of every layer as ngspice has them, float64.

    Every call is one index sweep a core, over equal shares of the samples, of the technology's plain form. The worker
    processes stay until the context ends, and no ngspice outlives it.
    SimulationError when ngspice fails; its deck is kept and named.
    """
    with simulator.persistent_workers() as run:
        yield partial(_simulate, technology, simulator, run)


def _simulate(
    technology: Technology, simulator: Simulator, run: Map, network: Network, inputs: NDArray
) -> list[LayerVoltages]:
    share = partial(simulate_piece, network, technology, plain_form(technology), True, simulator)
    parts = np.array_split(inputs, min(simulator.cores, len(inputs)))
    found = {index: answer["voltages"] for index, answer in run(share, parts)}
    return _by_layer(network, np.concatenate([found[index] for index in range(len(parts))]))


def measured_voltages(
    network: Network,
    technology: Technology,
    inputs: NDArray,
    simulator: Simulator,
    mismatch: Sequence[InverterMismatch] | None,
) -> list[LayerVoltages]:
    """The voltages of every layer of one chip as ngspice has them, for inputs [samples, rows] in 0..1; in this process.
    SimulationError when ngspice fails."""
    form = plain_form(technology)
    found = simulate_piece(network, technology, form, True, simulator, inputs, mismatch=mismatch)
    return _by_layer(network, np.asarray(found["voltages"]))


def _by_layer(network: Network, simulated: NDArray) -> list[LayerVoltages]:
    """Of all saved nodes [samples, nodes], by the netlist's names for them (c0_3, n0_3, p0_3, o_2)."""
    voltages = dict(zip(saved_nodes(network, hidden=True), simulated.T, strict=True))
    widths = network.layers[1:]

    def columns(prefix: str, width: int) -> torch.Tensor:
        return torch.from_numpy(np.stack([voltages[f"{prefix}_{j}"] for j in range(width)], axis=1))

    last = len(widths) - 1
    hidden = [LayerVoltages(*(columns(f"{kind}{i}", widths[i]) for kind in "cnp")) for i in range(last)]
    return [*hidden, LayerVoltages(columns(f"c{last}", widths[last]), columns("o", widths[last]))]
