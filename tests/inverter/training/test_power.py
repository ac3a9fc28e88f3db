"""Static power against ngspice's own supply currents, its gradient against differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spicetrain.array.conductances import Conductances
from spicetrain.array.wired import EXACTLY, corrections
from spicetrain.array.wires import Wires
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.power import rail_power
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.netlists.forms import plain_form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

from .circuits import random_network


def power(network: Network, inputs: np.ndarray, circuit: FittedCircuit) -> torch.Tensor:
    layers = predict(network, inputs, circuit, "kcl").layers
    loads = [Conductances.of(box, torch.float64) for box in network.crossbars[1:]]
    sizes, segments = [torch.from_numpy(size) for size in network.sizes], circuit.technology.segments
    boxes = [Conductances.of(box, torch.float64) for box in network.crossbars]
    held = None if segments is None else corrections(boxes, segments, near=EXACTLY)[1:]
    return rail_power(layers, loads, sizes, circuit.technology, circuit.surface, held)


WIRES = Wires(row_ohm=20000.0, column_ohm=30000.0, feed_ohm=50000.0, rows_driven="both ends")


@pytest.mark.parametrize("layers", [(1, 1, 1), (5, 3, 2), (3, 4, 2, 5)])
@pytest.mark.parametrize("wires", [None, WIRES])
def test_is_what_ngspices_rails_deliver(
    layers: tuple[int, ...], wires: Wires | None, ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice
) -> None:
    network, technology = random_network(ptm90, *layers), ptm90.changed(wires=wires)
    circuit = replace(circuit, technology=technology)
    inputs = np.random.default_rng(0).uniform(0, 1, (4, layers[0]))
    deck = network_deck(network, technology, inputs, plain_form(technology))
    deck = type(deck)(deck.circuit, deck.analysis, ("i(vvdd)", "i(vvss)"), deck.points)
    values = simulate(deck, ngspice).values
    measured = -0.25 * values["i(vvdd)"] + 0.25 * values["i(vvss)"]
    np.testing.assert_allclose(power(network, inputs, circuit).numpy(), measured, rtol=1e-3)
    assert measured.min() > 1e-8


@pytest.mark.parametrize("wires", [None, WIRES])
def test_gradients_are_those_of_finite_differences(
    wires: Wires | None, ptm90: Technology, circuit: FittedCircuit
) -> None:
    circuit = replace(circuit, technology=ptm90.changed(wires=wires))
    loads = [Conductances.of(box, torch.float64) for box in random_network(ptm90, 2, 3, 2).crossbars[1:]]
    rng = np.random.default_rng(1)
    v = [torch.from_numpy(rng.uniform(-0.2, 0.2, (2, n))) for n in (3, 3, 3, 2, 2)]
    m = [torch.from_numpy(rng.uniform(1, 4, shape)) for shape in ((3, 2), (2, 1))]

    def total(*values: torch.Tensor) -> torch.Tensor:
        layers = [LayerVoltages(*values[:3]), LayerVoltages(*values[3:5])]
        return 1e6 * rail_power(layers, loads, values[5:], circuit.technology, circuit.surface)

    arguments = tuple(value.requires_grad_() for value in (*v, *m))
    assert torch.autograd.gradcheck(total, arguments, eps=1e-6, atol=1e-6, rtol=1e-5)
