"""A layer by itself, driven by what was latched in the one before it, against the whole network in one deck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ideal_laws import ideal_laws

from spicetrain.array.wires import Wires
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import Simulation, simulate
from spicetrain.spiking.netlists.network import latched, membranes_at_latch, saved_vectors
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.verification.energy import energy_by_supply
from spicetrain.spiking.verification.images import Presented, simulate_image
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.technology import Technology
from spiking.netlists.test_deck import circuit, random_network, random_spikes

STEPS = 5
TIGHT = {"reltol": 1e-6, "vntol": 1e-8, "abstol": 1e-13}  # membranes of 0.3 V on 0.2 pF


def netlist(technology: Technology, array: str, *layers: int, integrates: bool = False) -> Netlist:
    spiking = circuit(array, capacitance_F=[2e-13], reset_fingers=[0.5])
    network = random_network(technology, (0.015,) * (len(layers) - 1), *layers)
    about = {"readout": "integrator"} if integrates else {}
    return Netlist.of(
        SpikingNetwork(network.crossbars, network.thresholds_V, about), spiking, technology, ideal_laws(spiking)
    )


def tight(deck: Deck) -> Deck:
    return replace(deck, options={**deck.options, **TIGHT})


@pytest.mark.parametrize(
    ("array", "form", "layers", "integrates"),
    [
        ("1r", "reduced", (5, 4, 3), False),
        ("1r", "reduced", (7, 5, 4, 2), True),
        ("1r", "mesh", (5, 3, 2), False),
        ("1r", "flat", (5, 3, 1), True),
        ("1t1r", "reduced", (7, 5, 4, 2), False),
        ("1t1r", "reduced", (5, 4, 3), True),
        ("1t1r", "flat", (4, 3, 2), False),
    ],
)
def test_layers_apart_are_the_whole_network(
    array: str, form: Form, layers: tuple[int, ...], integrates: bool, ptm90: Technology, ngspice: Ngspice
) -> None:
    technology = ptm90.changed(wires=Wires(row_ohm=500.0, column_ohm=700.0)) if form == "mesh" else ptm90
    one, depth = netlist(technology, array, *layers, integrates=integrates), len(layers) - 1
    given = [random_spikes(STEPS, layers[0], 0.7)]

    def of(answer: Simulation, of_layers: range) -> tuple[list[np.ndarray], dict[str, float]]:
        of_deck = answer.values, one.network, one.circuit, STEPS, of_layers
        given.extend(latched(*of_deck))
        rows = {layer: given[layer] for layer in of_layers}
        return membranes_at_latch(*of_deck), energy_by_supply(answer.values, one, rows, form)

    membranes, energy = of(simulate(tight(one.deck(given[0], form)), ngspice), range(depth))
    spikes, given = given, given[:1]
    total = dict.fromkeys(energy, 0.0)
    for layer in range(depth):
        deck = one.deck(given[layer], form, layer)
        assert deck.saves == saved_vectors(one.network, one.circuit, [layer])
        (v,), more = of(simulate(tight(deck), ngspice), range(layer, layer + 1))
        np.testing.assert_array_equal(given[layer + 1], spikes[layer + 1])
        np.testing.assert_allclose(v, membranes[layer], rtol=0, atol=2e-5)
        total = {supply: total[supply] + more.get(supply, 0.0) for supply in total}
    if depth == 2:  # deeper ones go on in the whole network when the image is over
        assert total == pytest.approx(energy, rel=2e-3, abs=1e-16)
    assert all(fired.any() for fired in spikes[1 : depth + (not integrates)])
    assert all(np.ptp(v) > 2e-3 for v in membranes)


def test_a_layer_takes_spikes_of_its_own_rows(ptm90: Technology) -> None:
    one = netlist(ptm90, "1r", 5, 3, 2)
    with pytest.raises(ConfigurationError, match=r"\[time steps, 3\] are wanted, one column for each row of the layer"):
        one.deck(random_spikes(STEPS, 5), "reduced", 1)
    with pytest.raises(ConfigurationError, match="only ideal sources at the rows"):
        one.deck(np.full((STEPS, 3), 0.5, np.float32), "reduced", 1)


@pytest.mark.parametrize(("form", "runs"), [("reduced", 3), ("flat", 1)])
def test_an_image_took_what_all_its_layers_took(form: Form, runs: int, ptm90: Technology, ngspice: Ngspice) -> None:
    class Clocked:
        def simulate(self, deck: Deck) -> Simulation:
            return replace(simulate(deck, ngspice), seconds=0.5)

    one = netlist(ptm90, "1r", 4, 3, 2, 1)
    found = simulate_image(one, form, Clocked(), Presented(random_spikes(STEPS, 4)))  # type: ignore[arg-type]
    assert found["seconds"] == 0.5 * runs
