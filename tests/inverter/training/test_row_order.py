"""Inputs that drive rows in an order of the wires': by hand, in the model against ngspice, in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inverter.netlists.test_network_deck import voltages
from spicetrain.array.placement import nearest_first, variance_ranking
from spicetrain.array.wires import Place, Segments, Wires
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork, predict
from spicetrain.netlists.cells import Form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.technology import Technology

from .circuits import random_network

RANKING = np.array([2, 0, 3, 1])
LIES = [1, 3, 0, 2]  # sensed behind the last row: the first of the ranking lies last
INPUTS = np.random.default_rng(1).random((8, 4))


def wires(order: str = "input variance") -> Wires:
    return Wires(row_ohm=2000.0, column_ohm=3000.0, row_order=order)  # type: ignore[arg-type]


def ranked(technology: Technology) -> Network:
    return replace(random_network(technology, 4, 3, 3), row_ranking=RANKING)


def by_hand(network: Network) -> Network:
    box, *others = network.crossbars
    return replace(network, crossbars=(replace(box, pos=box.pos[LIES], neg=box.neg[LIES]), *others))


@pytest.mark.parametrize(
    ("sensed", "tile_rows", "order"),
    [
        ("one end", None, [4, 3, 2, 1, 0]),
        ("middle", None, [4, 3, 1, 0, 2]),
        ("both ends", None, [0, 1, 3, 4, 2]),
        ("one end", 4, [2, 0, 3, 1, 4]),
    ],
)
def test_who_is_ranked_first_lies_nearest_to_where_columns_are_sensed(
    sensed: Place, tile_rows: int | None, order: list[int]
) -> None:
    """12 row wires, the bias pair the last one; in tiles of 4 that is beside the fifth pair, which is 2.5 from it."""
    segments = Segments(1.0, 1.0, 1.0, columns_sensed=sensed, tile_rows=tile_rows)
    assert nearest_first(np.arange(5), segments).tolist() == order


def test_the_ranking_is_by_variance() -> None:
    inputs = np.array([[0.0, 0.5, 1.0, 0.5], [0.4, 0.5, 0.0, 0.5]], dtype=np.float32)
    assert variance_ranking(inputs).tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize("form", ["mesh", "flat"])
def test_netlists_and_model_have_the_rows_where_they_lie(
    form: Form, ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice
) -> None:
    network, ordered, given = ranked(ptm90), ptm90.changed(wires=wires()), ptm90.changed(wires=wires("as given"))
    found = voltages(network, ordered, INPUTS, form, ngspice)
    expected = voltages(by_hand(network), given, INPUTS[:, LIES], form, ngspice)
    for node, v in expected.items():
        np.testing.assert_allclose(found[node], v, rtol=0, atol=1e-7, err_msg=node)
    assert np.abs(found["c0_0"] - voltages(network, given, INPUTS, form, ngspice)["c0_0"]).max() > 1e-4
    model = predict(network, INPUTS, replace(circuit, technology=ordered), "kcl")
    hand = predict(by_hand(network), INPUTS[:, LIES], replace(circuit, technology=given), "kcl")
    np.testing.assert_allclose(model.outputs, hand.outputs, rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.layers[0].v_col[:, 1], found["c0_1"], rtol=0, atol=2e-6)


def test_a_deck_calls_an_input_by_its_number_wherever_its_wires_lie(ptm90: Technology) -> None:
    text = network_deck(ranked(ptm90), ptm90.changed(wires=wires()), INPUTS[:1], "flat").text()
    for place, source in enumerate(LIES):
        assert f"Rf0_{place}p_0 x{source}_p w0_{place}p_0 " in text


def test_what_is_trained_lies_as_what_is_predicted(ptm90: Technology, circuit: FittedCircuit) -> None:
    settings = NetworkSettings(layers=(4, 3, 3), inverter_sizes=(1.5, 2.5))
    model = TrainableNetwork(
        settings, TrainingSettings(seed=1), replace(circuit, technology=ptm90.changed(wires=wires()))
    )
    varying = INPUTS * np.array([2.0, 1.0, 3.0, 1.5]) / 3
    model.rank_rows(varying)
    model.correct_wires()
    network = model.network({"method": "kcl"})
    assert network.row_ranking is not None and network.row_ranking.tolist() == variance_ranking(varying).tolist()
    with torch.no_grad():
        found = model(torch.from_numpy(INPUTS))
    exact = predict(network, INPUTS, model.circuit, "kcl").outputs
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-5)  # of a correction that was solved roughly


def test_the_file_keeps_the_ranking(ptm90: Technology, tmp_path: Path) -> None:
    path, network = tmp_path / "network.safetensors", ranked(ptm90)
    network.save(path)
    again = Network.load(path)
    assert again.row_ranking is not None and again.row_ranking.tolist() == RANKING.tolist()
    assert again.fingerprint == network.fingerprint != replace(network, row_ranking=None).fingerprint
    replace(network, row_ranking=np.array([0, 1, 2, 2])).save(path)
    with pytest.raises(StorageError, match="row_ranking does not have each of the 4 rows once"):
        Network.load(path)


def test_a_network_that_does_not_know_its_inputs_is_refused(ptm90: Technology, circuit: FittedCircuit) -> None:
    network, ordered = random_network(ptm90, 4, 3, 3), ptm90.changed(wires=wires())
    for ask in (
        lambda: network_deck(network, ordered, INPUTS, "mesh"),
        lambda: predict(network, INPUTS, replace(circuit, technology=ordered), "kcl"),
    ):
        with pytest.raises(ConfigurationError, match="row_order = 'input variance', but .* `spicetrain train`"):
            ask()


def test_wires_as_they_were_have_the_fingerprint_that_they_had(ptm90: Technology) -> None:
    """What newer keys leave alone is found again: fits, checkpoints and verifications of before."""
    plain = {name: value for name, value in vars(wires("as given")).items() if name not in ("tile_rows", "row_order")}
    prints = [ptm90.changed(wires=one).fingerprint for one in (Wires(**plain), wires(), wires("as given"))]
    assert prints[0] == prints[2] != prints[1]
