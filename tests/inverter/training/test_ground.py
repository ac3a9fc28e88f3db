"""RIM's resistors: in the solver and in the netlist they are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.voltages import named_voltages
from spicetrain.netlists.cells import Form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

from .circuits import random_network


@pytest.mark.parametrize("form", ["reduced", "flat"])
@pytest.mark.parametrize("layers", [(5, 3, 2), (4, 3, 4, 2), (3, 1)])
def test_every_node_of_a_grounded_network_is_where_ngspice_has_it(
    layers: tuple[int, ...], form: Form, ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice
) -> None:
    network = replace(random_network(ptm90, *layers), ground_S=1 / 30e3)
    inputs = np.random.default_rng(1).random((8, layers[0]))
    spice = simulate(network_deck(network, ptm90, inputs, form, hidden=True), ngspice).values
    found = predict(network, inputs, circuit, "kcl")
    model = named_voltages(found.layers)
    free = named_voltages(predict(replace(network, ground_S=0.0), inputs, circuit, "kcl").layers)
    assert found.convergence.unconverged == 0
    for node in saved_nodes(network, hidden=True):
        # Gates leak some pA in ngspice, and the test's own surface is fitted to 4e-4.
        assert np.abs(model[node] - spice[f"v({node})"]).max() < 5e-5, node
    assert max(np.abs(model[node] - free[node]).max() for node in model) > 0.05
