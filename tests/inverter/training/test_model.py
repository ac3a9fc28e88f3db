"""Whole networks of any depth: what kcl predicts against ngspice on the flat netlist, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from spicetrain.array.devices.table import Table
from spicetrain.array.wires import Wires
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork, predict
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

from .circuits import random_network


def in_ngspice(network: Network, technology: Technology, inputs: NDArray, ngspice: Ngspice) -> dict[str, NDArray]:
    answer = simulate(network_deck(network, technology, inputs, "flat", hidden=True), ngspice)
    return {node: answer.values[f"v({node})"] for node in saved_nodes(network, hidden=True)}


def gathered(spice: dict[str, NDArray], prefix: str, columns: int) -> NDArray:
    return np.stack([spice[f"{prefix}_{j}"] for j in range(columns)], axis=1)


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
@pytest.mark.parametrize("layers", [(4, 3, 3), (7, 5, 4, 3), (2, 1, 1), (3, 2)])
@pytest.mark.parametrize("wires", [None, Wires(row_ohm=2000.0, column_ohm=3000.0, columns_sensed="middle")])
def test_every_node_is_where_ngspice_has_it(
    layers: tuple[int, ...],
    encoding: str,
    wires: Wires | None,
    ptm90: Technology,
    circuit: FittedCircuit,
    ngspice: Ngspice,
) -> None:
    technology = ptm90.changed(wires=wires)
    network = random_network(ptm90, *layers, encoding=encoding)  # type: ignore[arg-type]
    inputs = np.random.default_rng(1).random((8, layers[0]))
    spice = in_ngspice(network, technology, inputs, ngspice)
    model = predict(network, inputs, replace(circuit, technology=technology), "kcl", batch=3)
    if wires is not None:
        ideal = predict(network, inputs, circuit, "kcl").layers[-1].v_col
        assert float((ideal - model.layers[-1].v_col).abs().max()) > 2e-4
    assert model.convergence.unconverged == 0
    for index, layer in enumerate(model.layers):
        columns = layers[index + 1]
        last = index == len(model.layers) - 1
        nodes = (("o", layer.v_n),) if last else ((f"n{index}", layer.v_n), (f"p{index}", layer.v_p))
        for prefix, v in ((f"c{index}", layer.v_col), *nodes):
            assert v is not None
            error = np.abs(v.numpy() - gathered(spice, prefix, columns))
            # Gates leak some pA in ngspice, and the test's own surface is fitted to 4e-4.
            assert error.max() < 5e-4, prefix
            assert error.mean() < 5e-5, prefix


def test_fingers_do_to_the_model_what_they_do_to_the_circuit(
    ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice
) -> None:
    inputs = np.random.default_rng(3).random((6, 4))
    small, large = (random_network(ptm90, 4, 3, 40, 2, sizes=sizes) for sizes in ((1, 1, 1), (3, 1, 1)))
    changes = []
    for network in (small, large):
        spice, model = in_ngspice(network, ptm90, inputs, ngspice), predict(network, inputs, circuit, "kcl").layers
        changes.append((gathered(spice, "p0", 3), np.asarray(model[0].v_p)))
    in_circuit, in_model = (np.abs(b) - np.abs(a) for a, b in zip(*changes, strict=True))
    assert in_circuit.max() > 0.02  # three fingers drive 40 columns nearer to the rails
    np.testing.assert_allclose(in_model, in_circuit, rtol=0, atol=2e-4)


def test_the_two_inverters_of_a_pair_have_sizes_of_their_own(
    ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice
) -> None:
    network = random_network(ptm90, 4, 3, 20, 2, sizes=(1, 1, 1))
    network.sizes[0][:, 1] = 4.0
    inputs = np.random.default_rng(3).random((6, 4))
    spice, model = in_ngspice(network, ptm90, inputs, ngspice), predict(network, inputs, circuit, "kcl").layers
    assert np.abs(np.asarray(model[0].v_n) - gathered(spice, "n0", 3)).max() < 3e-4
    assert np.abs(np.asarray(model[0].v_p) - gathered(spice, "p0", 3)).max() < 3e-4


@pytest.mark.parametrize("method", ["kcl", "ideal"])
@pytest.mark.parametrize("layers", [(4, 3, 3), (7, 5, 4, 3), (784, 100, 10), (5, 2)])
def test_networks_of_any_depth_have_outputs_and_gradients(
    layers: tuple[int, ...], method: str, ptm90: Technology, surface: CurrentSurface
) -> None:
    settings = NetworkSettings(layers=layers, inverter_sizes=(2.0,) * (len(layers) - 1))
    circuit = FittedCircuit(ptm90, Surrogates(surface))
    model = TrainableNetwork(settings, TrainingSettings(method=method, seed=3), circuit)
    found = model.voltages(torch.rand(4, layers[0], generator=torch.Generator().manual_seed(0)))
    v_out = found.outputs
    assert v_out.shape == (4, layers[-1])
    assert float(v_out.detach().abs().max()) <= 0.25
    assert found.convergence.unconverged == 0
    v_out.square().sum().backward()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert float(parameter.grad.abs().max()) > 0, name


def test_what_is_trained_is_what_is_predicted(ptm90: Technology, circuit: FittedCircuit) -> None:
    settings = NetworkSettings(layers=(4, 3, 3), inverter_sizes=(1.5, 2.5), encoding="bipolar")
    model = TrainableNetwork(settings, TrainingSettings(seed=1), circuit)
    network = model.network({"method": "kcl"})
    inputs = np.random.default_rng(0).random((7, 4))
    outputs = predict(network, inputs, circuit, "kcl").outputs
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.from_numpy(inputs)), outputs, atol=1e-9)
    assert (network.layers, network.encoding) == ((4, 3, 3), "bipolar")
    assert [sizes.shape for sizes in network.sizes] == [(3, 2), (3, 1)]
    assert [float(sizes[0, 0]) for sizes in network.sizes] == [1.5, 2.5]


def test_seeds_make_networks(circuit: FittedCircuit) -> None:
    settings = NetworkSettings(layers=(4, 3, 3))
    first, same, other = (
        TrainableNetwork(settings, TrainingSettings(seed=seed), circuit).network({}) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.crossbars[0].pos, same.crossbars[0].pos)
    assert not np.array_equal(first.crossbars[0].pos, other.crossbars[0].pos)


def test_a_network_of_another_shape_is_not_assigned(ptm90: Technology, circuit: FittedCircuit) -> None:
    model = TrainableNetwork(NetworkSettings(layers=(4, 3, 3)), TrainingSettings(), circuit)
    with pytest.raises(ArchitectureMismatch, match="other.safetensors holds a 4-2-3"):
        model.assign(random_network(ptm90, 4, 2, 3), "other.safetensors")


def test_a_memristor_that_was_not_measured_up_to_the_rails_is_refused(
    ptm90: Technology, surface: CurrentSurface
) -> None:
    device, swing_V = ptm90.memristor, ptm90.rails.vdd_V - ptm90.rails.vss_V
    states_S = (device.g_min_S, device.g_max_S)

    def measured(to_V: float) -> Technology:
        v = (0.0, 0.1, to_V)
        table = Table(
            g_min_S=device.g_min_S, g_max_S=device.g_max_S, v_read_V=0.1, voltages_V=v, states_S=states_S,
            currents_A=tuple(tuple(g * at for at in v) for g in states_S),
        )  # fmt: skip
        return ptm90.changed(memristor=table)

    with pytest.raises(ConfigurationError, match=r"measured up to 0\.4 V only .* may see 0\.5 V"):
        FittedCircuit(measured(0.8 * swing_V), Surrogates(surface))
    FittedCircuit(measured(swing_V), Surrogates(surface))
