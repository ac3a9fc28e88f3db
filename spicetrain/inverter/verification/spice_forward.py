"""The forward pass of a training step, simulated in ngspice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.inverter.netlists.network import Form, saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.voltages import LayerVoltages, Simulate
from spicetrain.inverter.verification.simulate_network import Piece, simulate_piece
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.pool import Map, available_cores, kept_workers
from spicetrain.technology import Technology


@contextmanager
def spice_forward(technology: Technology, ngspice: Ngspice, workers: int | None = None) -> Iterator[Simulate]:
    """(network, inputs [samples, rows] in 0..1) -> the voltages of every layer as ngspice has them, float64.

    Every call is one index sweep a worker (None: one a core), over equal shares of the samples, of the reduced deck
    (flat where the memristors are not ohmic). The worker processes stay until the context ends, and no ngspice
    outlives it. SimulationError when ngspice fails; its deck is kept and named.
    """
    count = workers or available_cores()
    with kept_workers(count) as run:
        yield partial(_simulate, technology, ngspice, count, run)


def _simulate(
    technology: Technology, ngspice: Ngspice, workers: int, run: Map, network: Network, inputs: NDArray
) -> list[LayerVoltages]:
    form: Form = "reduced" if technology.memristor.reduces else "flat"
    share = partial(simulate_piece, network, technology, form, True, ngspice)
    pieces = [Piece(0, part) for part in np.array_split(inputs, min(workers, len(inputs)))]
    found = {index: answer["voltages"] for index, answer in run(share, pieces)}
    voltages = np.concatenate([found[index] for index in range(len(pieces))])
    return _by_layer(dict(zip(saved_nodes(network, hidden=True), voltages.T, strict=True)), network.layers[1:])


def _by_layer(voltages: dict[str, NDArray], widths: tuple[int, ...]) -> list[LayerVoltages]:
    """From the netlist's node names (c0_3, n0_3, p0_3, o_2), [samples] each."""

    def columns(prefix: str, width: int) -> torch.Tensor:
        return torch.from_numpy(np.stack([voltages[f"{prefix}_{j}"] for j in range(width)], axis=1))

    last = len(widths) - 1
    hidden = [LayerVoltages(*(columns(f"{kind}{i}", widths[i]) for kind in "cnp")) for i in range(last)]
    return [*hidden, LayerVoltages(columns(f"c{last}", widths[last]), columns("o", widths[last]))]
