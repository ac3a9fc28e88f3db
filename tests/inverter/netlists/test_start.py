"""Where Newton starts: the answer is that of the deck without it, in a third of the iterations."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from inverter.netlists.test_network_deck import drawn, random_network
from spicetrain.array.crossbar import Crossbar
from spicetrain.inverter.netlists.network import inverter_outputs, network_deck, saved_nodes
from spicetrain.inverter.netlists.start import Start
from spicetrain.inverter.network import Network
from spicetrain.netlists.cells import Form, text_of
from spicetrain.netlists.index_source import add_index, add_lookup, sweep
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

SAME_V = 5e-6


def solved(deck: Deck, ngspice: Ngspice) -> tuple[NDArray, float]:
    """Voltages [images, nodes], Newton iterations an image."""
    answer = simulate(replace(deck, options={"acct": True}), ngspice)
    told = re.search(r"Total iterations = (\d+)", answer.messages)
    assert told is not None
    return np.stack([answer.values[name] for name in deck.saves], axis=1), int(told[1]) / len(answer.values["sweep"])


def from_scratch(
    network: Network, technology: Technology, inputs: NDArray, form: Form, ngspice: Ngspice, **more: object
) -> tuple[NDArray, float, Start]:
    """The same, and the inverters' outputs among them."""
    found, iterations = solved(network_deck(network, technology, inputs, form, hidden=True, **more), ngspice)  # type: ignore[arg-type]
    of = dict(zip(saved_nodes(network, hidden=True), found.T, strict=True))
    return found, iterations, {node: of[node] for node in inverter_outputs(network.layers)}


@pytest.mark.parametrize("layers", [(7, 5, 4, 3), (9, 24, 3), (2, 1, 1), (3, 2)])
@pytest.mark.parametrize("form", ["reduced", "flat"])
def test_a_good_start_takes_five_iterations_to_the_same_answer(
    layers: tuple[int, ...], form: Form, ptm90: Technology, ngspice: Ngspice
) -> None:
    network = random_network(ptm90, *layers)
    inputs = np.random.default_rng(1).random((23, layers[0]))
    plain, iterations, start = from_scratch(network, ptm90, inputs, form, ngspice)
    found, fewer = solved(network_deck(network, ptm90, inputs, form, hidden=True, start=start), ngspice)
    assert np.ptp(plain, axis=0).max() > 1e-3  # images differ
    np.testing.assert_allclose(found, plain, rtol=0, atol=SAME_V)
    assert fewer <= 5.05 < iterations - 1


def steep(technology: Technology, *layers: int) -> Network:
    """Every device at one end of its range, so that outputs are steep in the inputs."""
    network, rng = random_network(technology, *layers), np.random.default_rng(1)
    ends = technology.memristor.g_min_S, technology.memristor.g_max_S
    boxes = []
    for box in network.crossbars:
        up, bias_up = rng.random(box.pos.shape) < 0.5, rng.random(box.columns) < 0.5
        both = [(np.where(which, *ends), np.where(which, *ends[::-1])) for which in (up, bias_up)]
        boxes.append(Crossbar(*both[0], *both[1]))
    sizes = tuple(np.full_like(of, 8.0) for of in network.sizes)
    return replace(network, crossbars=tuple(boxes), sizes=sizes, encoding="bipolar")


def test_inner_nodes_of_transistors_are_settled_before_the_start_is_let_go(ptm90: Technology, ngspice: Ngspice) -> None:
    """Held for one iteration instead of two, this takes 6.0."""
    network = steep(ptm90, 5, 6, 6, 4)
    inputs = np.random.default_rng(0).random((30, 5))
    plain, iterations, start = from_scratch(network, ptm90, inputs, "reduced", ngspice)
    found, fewer = solved(network_deck(network, ptm90, inputs, "reduced", hidden=True, start=start), ngspice)
    np.testing.assert_allclose(found, plain, rtol=0, atol=SAME_V)
    assert fewer < 5.5 and iterations > 15


@pytest.mark.parametrize("off_V", [1e-3, 0.5])
def test_a_bad_start_changes_nothing_but_the_time(off_V: float, ptm90: Technology, ngspice: Ngspice) -> None:
    network = random_network(ptm90, 5, 4, 3)
    inputs = np.random.default_rng(2).random((11, 5))
    plain, _, start = from_scratch(network, ptm90, inputs, "reduced", ngspice)
    rng = np.random.default_rng(3)
    wrong = {node: v + rng.uniform(-off_V, off_V, len(v)) for node, v in start.items()}
    found, _ = solved(network_deck(network, ptm90, inputs, "reduced", hidden=True, start=wrong), ngspice)
    np.testing.assert_allclose(found, plain, rtol=0, atol=SAME_V)


def test_a_chip_and_one_image(ptm90: Technology, ngspice: Ngspice) -> None:
    network = random_network(ptm90, 5, 4, 3)
    for images in (1, 6):
        inputs, of = np.random.default_rng(4).random((images, 5)), drawn(network)
        plain, _, start = from_scratch(network, ptm90, inputs, "reduced", ngspice, mismatch=of)
        deck = network_deck(network, ptm90, inputs, "reduced", hidden=True, mismatch=of, start=start)
        np.testing.assert_allclose(solved(deck, ngspice)[0], plain, rtol=0, atol=SAME_V)


def test_a_lookup_takes_one_iteration_more_than_a_source(ngspice: Ngspice) -> None:
    circuit = Circuit("lookups")
    add_index(circuit)
    table = np.random.default_rng(5).uniform(-0.25, 0.25, 400)
    add_lookup(circuit, "t", table)
    circuit.R("load", "t", circuit.gnd, 1000.0)
    found, iterations = solved(Deck(text_of(circuit), sweep(400), ("v(t)",), points=400), ngspice)
    np.testing.assert_allclose(found[:, 0], table, rtol=0, atol=1e-15)
    assert iterations <= 3
