"""What every method must do, whatever it takes an inverter for: nodes, gradients, learning, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.datasets import load_dataset
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.loop import train
from spicetrain.inverter.training.model import TrainableNetwork, predict
from spicetrain.inverter.training.voltages import Prediction
from spicetrain.technology import Technology

from .circuits import EXACT, random_network

SIZED = ["kcl", "latim", "latim-nn"]
BEYOND_RAIL_V = {"rim": 0.012, "latim": 0.003, "latim-nn": 0.003}
"""By how much a fit may put an output beyond a rail: all four coefficients free, or a small NN."""

every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def circuit(ptm90: Technology, surrogates: Surrogates) -> FittedCircuit:
    return FittedCircuit(ptm90, surrogates, torch.float64, tolerance=EXACT)


def with_ground(network: Network, ground_S: float) -> Network:
    return Network(network.crossbars, network.sizes, network.encoding, network.about, ground_S)


def settings_of(method: str, *layers: int, size: float = 2.0) -> NetworkSettings:
    return NetworkSettings(
        layers=layers,
        inverter_sizes=(size,) * (len(layers) - 1),
        encoding="bipolar",
        ground_ohm=1e5 if method == "rim" else None,
    )


@every_method
@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
@pytest.mark.parametrize("layers", [(1, 1), (1, 1, 1), (5, 3, 2), (5, 3, 4, 2)])
def test_columns_are_means_of_their_rows_and_outputs_between_the_rails(
    layers: tuple[int, ...], ground_S: float, method: str, ptm90: Technology, circuit: FittedCircuit
) -> None:
    network = with_ground(random_network(ptm90, *layers, encoding="bipolar"), ground_S)
    inputs = np.random.default_rng(2).random((7, layers[0]))
    inputs[:2] = [[0.0], [1.0]]
    rails, found = ptm90.rails, predict(network, inputs, circuit, method, batch=3).layers
    assert len(found) == len(layers) - 1
    rows = encode(inputs, "bipolar", rails)
    beyond = rails.half_swing_V + BEYOND_RAIL_V.get(method, 0.0)
    for index, (layer, crossbar) in enumerate(zip(found, network.crossbars, strict=True)):
        expected = crossbar.open_column_voltage(*rows, rails)
        np.testing.assert_allclose(layer.v_col, expected, rtol=0, atol=1e-9)
        assert (layer.v_p is None) == (index == len(found) - 1)
        for v in (layer.v_n, layer.v_p):
            if v is not None:
                assert v.shape == (7, layers[index + 1])
                assert float(v.abs().max()) <= beyond
        rows = layer.v_n.numpy(), np.asarray(layer.v_p)
    assert float(found[-1].v_n.std(0).max()) > 1e-3 or layers == (1, 1, 1)


@every_method
@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
def test_gradients_are_those_of_finite_differences(
    ground_S: float, method: str, ptm90: Technology, circuit: FittedCircuit
) -> None:
    network = random_network(ptm90, 2, 2, 1, 2)
    crossbars = [Conductances.of(crossbar, torch.float64) for crossbar in network.crossbars]
    crossbars = [box._replace(bias_pos=box.bias_neg) for box in crossbars]  # columns near mid-rail, where slopes are
    sizes = [torch.from_numpy(size) for size in network.sizes]
    predictor = METHODS[method].predictor(circuit, sizes, ground_S, METHODS[method].settings())
    signal = torch.tensor([[0.04, -0.07], [-0.03, 0.05]], dtype=torch.float64)

    def outputs(*u: Tensor) -> Tensor:
        """u is of order one: logarithms of changes."""
        factors = iter(u)
        moved = [Conductances(*(g * next(factors).exp() for g in box)) for box in crossbars]
        fingers = [size * factor.exp() for size, factor in zip(sizes, factors, strict=False)] or sizes
        return torch.cat([layer.v_n for layer in predictor(moved, fingers, signal).layers], 1)

    values = [g for box in crossbars for g in box] + (sizes if method in SIZED else [])
    zeros = [torch.zeros_like(value, requires_grad=True) for value in values]
    assert torch.autograd.gradcheck(outputs, zeros, eps=1e-5, atol=1e-7, rtol=1e-4)
    gradients = torch.autograd.grad(outputs(*zeros).sum(), zeros)
    for pos, neg, bias_pos, bias_neg in zip(*[iter(gradients[:12])] * 4, strict=True):
        for part in (torch.cat([pos, neg]), torch.stack([bias_pos, bias_neg])):
            assert float(part.abs().max()) > 1e-5
    # Without a load the size of an output inverter changes nothing.
    for size in gradients[12:] if ground_S else gradients[12:-1]:
        assert float(size.abs().max()) > 1e-5


@every_method
def test_learns(method: str, ptm90: Technology, surrogates: Surrogates, tmp_path: Path) -> None:
    settings = TrainingSettings(
        method=method, epochs=6, batch_size=40, learning_rate=0.1, logit_V=0.02, device="cpu", threads=1
    )
    network = train(settings_of(method, 4, 6, 3), settings, load_dataset("iris"), ptm90, surrogates, tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.9 * losses[0]
    assert network.ground_S == (1e-5 if method == "rim" else 0.0)
    assert network.about.get("phax") == ({"load_S": 5e-6} if method == "phax" else None)


@every_method
def test_a_file_keeps_what_is_predicted(method: str, ptm90: Technology, circuit: FittedCircuit, tmp_path: Path) -> None:
    model = TrainableNetwork(settings_of(method, 4, 3, 2), TrainingSettings(method=method, seed=1), circuit)
    inputs = np.random.default_rng(0).random((5, 4))
    network = model.network({"method": method})
    network.save(tmp_path / "network.safetensors")
    outputs = predict(Network.load(tmp_path / "network.safetensors"), inputs, circuit, method).outputs
    assert torch.equal(outputs, predict(network, inputs, circuit, method).outputs)
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.from_numpy(inputs)), outputs, rtol=0, atol=1e-9)


@every_method
@pytest.mark.parametrize("other", ["kcl", "rim"])
def test_predicts_what_another_method_trained(
    method: str, other: str, ptm90: Technology, circuit: FittedCircuit
) -> None:
    network = TrainableNetwork(settings_of(other, 4, 3, 2), TrainingSettings(method=other, seed=1), circuit).network({})
    inputs = np.random.default_rng(0).random((20, 4))
    free, grounded = (swing(predict(with_ground(network, g), inputs, circuit, method)) for g in (0.0, 5e-5))
    if method == "ideal":
        assert grounded == free
    else:
        assert grounded < 0.8 * free  # a resistor to mid-rail takes swing from every inverter


def swing(found: Prediction) -> float:
    return float(found.layers[0].v_n.std())


@every_method
def test_float32_is_near_float64(
    method: str, ptm90: Technology, surrogates: Surrogates, circuit: FittedCircuit
) -> None:
    network = random_network(ptm90, 5, 3, 4, 2)
    inputs = np.random.default_rng(0).random((9, 5))
    single = FittedCircuit(ptm90, surrogates)
    v = [predict(network, inputs, one, method).outputs.double() for one in (single, circuit)]
    assert float((v[0] - v[1]).abs().max()) < 2e-4


def test_phax_trains_with_its_frozen_load(ptm90: Technology, surrogates: Surrogates, tmp_path: Path) -> None:
    losses = []
    for load_S in (0.0, 5e-5):
        values = {"method": "phax", "epochs": 1, "device": "cpu", "threads": 1, "phax": {"load_S": load_S}}
        settings = TrainingSettings.model_validate(values)
        folder = tmp_path / str(load_S)
        train(settings_of("phax", 4, 3, 3), settings, load_dataset("iris"), ptm90, surrogates, folder)
        losses.append(json.loads((folder / "metrics.jsonl").read_text())["loss"])
    assert abs(losses[1] - losses[0]) > 1e-3 * losses[0]
