"""Images that start at a model's voltages: when they do, and that the answer is the one from scratch."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from bench import simulator
from numpy.typing import NDArray

from inverter.netlists.test_network_deck import drawn, random_network
from spicetrain.inverter.netlists.network import inverter_outputs
from spicetrain.inverter.netlists.start import Start
from spicetrain.inverter.verification import near_model
from spicetrain.inverter.verification import simulate_network as module
from spicetrain.inverter.verification.near_model import CHECKED, same_V, simulate_near
from spicetrain.inverter.verification.simulate_network import SimulatedVoltages, simulate_network
from spicetrain.netlists.cells import Form
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import Simulation, simulate
from spicetrain.technology import Technology

LAYERS, IMAGES = (5, 4, 3), 23
INPUTS = np.random.default_rng(5).random((IMAGES, LAYERS[0])).astype(np.float32)


class Told:
    """ngspice, which keeps what it was asked; `lie_V` is added where it was given a start."""

    def __init__(self, lie_V: float = 0.0) -> None:
        self.decks: list[Deck] = []
        self.seconds: list[float] = []
        self.lie_V = lie_V

    def __call__(self, deck: Deck, ngspice: Ngspice, timeout_s: float) -> Simulation:
        self.decks.append(deck)
        answer = simulate(deck, ngspice, timeout_s)
        self.seconds.append(answer.seconds)
        if ".nodeset" not in deck.circuit:
            return answer
        return replace(answer, values={name: v + self.lie_V for name, v in answer.values.items()})

    @property
    def started(self) -> list[bool]:
        return [".nodeset" in deck.circuit for deck in self.decks]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_model, "FEWEST", IMAGES)
    monkeypatch.setattr(module, "REDUCED_PIECE", 9)


def from_scratch(technology: Technology) -> tuple[SimulatedVoltages, Start]:
    network = random_network(technology, *LAYERS)
    found = simulate_network(network, technology, INPUTS, "reduced", simulator(), hidden=True, mismatch=drawn(network))
    of = dict(zip(found.nodes, found.voltages.T, strict=True))
    return found, {node: of[node] for node in inverter_outputs(LAYERS)}


def near(
    technology: Technology, start: Start, told: Told, inputs: NDArray[np.float32] = INPUTS, form: Form = "reduced"
) -> SimulatedVoltages:
    network = random_network(technology, *LAYERS)
    return simulate_near(
        network, technology, inputs, form, simulator(answer=told),
        model_V=start, hidden=True, mismatch=drawn(network), power=True,
    )  # fmt: skip


def test_every_piece_starts_where_the_model_says_its_own_images_end(ptm90: Technology) -> None:
    plain, start = from_scratch(ptm90)
    told = Told()
    found = near(ptm90, start, told)
    assert told.started == [False, True, True, True] and told.decks[0].points == CHECKED
    for deck, first in zip(told.decks[1:], (0, 9, 18), strict=True):
        for node, voltages in start.items():
            told_V = re.search(rf"\.nodeset v\({node}\)=(\S+)", deck.circuit)
            assert told_V is not None and float(told_V[1]) == pytest.approx(voltages[first], abs=1e-9)
    np.testing.assert_allclose(found.voltages, plain.voltages, rtol=0, atol=same_V(ptm90.rails))
    assert found.power_W is not None and found.power_W.shape == (IMAGES,)
    assert found.seconds_ngspice == pytest.approx(sum(told.seconds))  # those of the first images, too


def test_no_start_where_the_model_is_far_or_images_are_few(ptm90: Technology) -> None:
    _, start = from_scratch(ptm90)
    for wrong in ({node: v + 0.02 for node, v in start.items()}, {node: v * np.nan for node, v in start.items()}):
        told = Told()
        near(ptm90, wrong, told)
        assert told.started == [False] * 4
    told = Told()
    near(ptm90, start, told, INPUTS[:-1])
    assert told.started == [False] * 3
    told = Told()
    near(ptm90, start, told, form="flat")  # what others are compared with
    assert told.decks and not any(told.started)


def test_an_answer_that_depends_on_its_start_is_not_taken(
    ptm90: Technology, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, start = from_scratch(ptm90)
    told = Told(lie_V=2 * same_V(ptm90.rails))
    found = near(ptm90, start, told)
    assert told.started == [False, True, True, True, False, False, False]
    np.testing.assert_allclose(found.voltages, plain.voltages, rtol=0, atol=1e-12)
    assert "simulated again, from scratch" in capsys.readouterr().err


def test_two_answers_may_differ_by_what_ngspice_stops_at(ptm90: Technology) -> None:
    assert same_V(ptm90.rails) == pytest.approx(2 * (1e-5 * 0.25 + 1e-8))
