"""Modules for models of one's own: the same voltages as the trainers', gradients, other precisions, chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ideal_laws import ideal_laws
from inverter.training.circuits import EXACT, fitted_surface
from torch import nn

from spicetrain.errors import ArchitectureMismatch
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.nn import InverterCrossbar, OutputInverters, SpikingCrossbar, inverter_network, spiking_network
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.training.predict import predict as predict_spiking
from spicetrain.technology import Technology


@pytest.fixture
def parts(ptm90: Technology) -> tuple[Technology, Surrogates]:
    return ptm90, Surrogates(fitted_surface())


def chain(parts: Any, *widths: int, **shared: Any) -> nn.Sequential:
    first, *others = list(zip(widths, widths[1:], strict=False))
    generator = torch.Generator().manual_seed(3)
    return nn.Sequential(
        InverterCrossbar(*first, *parts, encoding="bipolar", generator=generator),
        *(InverterCrossbar(*one, *parts, driven_by="inverters", generator=generator, **shared) for one in others),
        OutputInverters(widths[-1], *parts, **shared),
    )


@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
@pytest.mark.parametrize("widths", [(1, 1), (5, 3, 2), (4, 6, 3, 2)])
def test_a_chain_is_the_network_that_kcl_and_ngspice_know(
    widths: tuple[int, ...], ground_S: float, parts: Any, ngspice: Ngspice
) -> None:
    technology, surrogates = parts
    model = chain(parts, *widths, ground_S=ground_S, fingers=2.5, tolerance=EXACT).double()
    x = torch.rand(6, widths[0], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = model(x).detach().numpy()
    network = inverter_network(model, "iris")
    circuit = FittedCircuit(technology, surrogates, torch.float64, tolerance=EXACT)
    np.testing.assert_allclose(found, predict(network, x.numpy(), circuit, "kcl").outputs, rtol=0, atol=1e-9)
    spice = simulate(network_deck(network, technology, x.numpy(), "flat"), ngspice).values
    outputs = np.stack([spice[f"v(o_{j})"] for j in range(widths[-1])], 1)
    np.testing.assert_allclose(found, outputs, rtol=0, atol=2e-4)
    assert network.about["technology_fingerprint"] == technology.fingerprint


@pytest.mark.parametrize("driven_by", ["sources", "inverters"])
def test_gradients_are_those_of_finite_differences(driven_by: Any, parts: Any) -> None:
    seeded = torch.Generator().manual_seed(0)
    module = InverterCrossbar(3, 2, *parts, driven_by=driven_by, tolerance=EXACT, generator=seeded).double()
    x = torch.tensor([[0.04, -0.02, 0.01], [-0.01, 0.03, 0.02]], dtype=torch.float64)
    x = (x if driven_by == "inverters" else 0.5 + x).requires_grad_()
    parameters = dict(module.named_parameters())

    def columns(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        answer = torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), (x,))
        return 1e3 * answer

    values = [value.detach().clone().requires_grad_() for value in parameters.values()]
    # With ten times this step the curve itself bends by more than the tolerance where the gain is largest.
    assert torch.autograd.gradcheck(columns, (x, *values), eps=1e-6, atol=1e-3, rtol=1e-5)


def test_a_loop_of_ones_own_learns(parts: Any) -> None:
    """Any loss, any optimizer, other modules between: here a batch of noise and a margin."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.1), *chain(parts, 6, 8, 2))
    x, labels = torch.rand(64, 6), torch.randint(2, (64,))
    loss_of, optimizer = nn.MultiMarginLoss(margin=0.1), torch.optim.SGD(model.parameters(), lr=1e3)
    losses = []
    for _ in range(30):
        loss = loss_of(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert inverter_network(model, "noise").layers == (6, 8, 2)


def test_convergence_is_told_a_call(parts: Any) -> None:
    module = InverterCrossbar(3, 2, *parts, driven_by="inverters", generator=torch.Generator().manual_seed(0))
    v_col, convergence = module.solve(torch.linspace(-0.03, 0.03, 12).view(4, 3))
    assert v_col.shape == (4, 2)
    assert convergence.unconverged == 0
    assert convergence.iterations > 1
    _, nothing = InverterCrossbar(3, 2, *parts).solve(torch.zeros(4, 3))
    assert nothing.iterations == 0


def test_what_is_no_network_is_refused(parts: Any) -> None:
    sources, inverters, outputs = chain(parts, 4, 3, 2)
    for modules in (
        [],
        [sources],
        [outputs],
        [sources, inverters],
        [inverters, outputs],
        [sources, outputs],  # 3 columns, 2 inverters
        [sources, sources, outputs],
        [outputs, sources, inverters],
        [sources, InverterCrossbar(3, 2, *parts, driven_by="inverters", ground_S=1e-5), outputs],
    ):
        with pytest.raises(ArchitectureMismatch, match="no network"):
            inverter_network(modules, "iris")


def spiking_layers(technology: Technology, *widths: int) -> list[SpikingCrossbar]:
    circuit = load_circuit("lif-1r")
    generator, laws = torch.Generator().manual_seed(2), ideal_laws(circuit)
    shapes = zip(widths, widths[1:], strict=False)
    return [
        SpikingCrossbar(*shape, technology, circuit, laws, layer=layer, generator=generator)
        for layer, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize("widths", [(1, 1), (7, 5, 3)])
def test_spiking_layers_are_the_network_that_is_predicted(widths: tuple[int, ...], ptm90: Technology) -> None:
    layers = [layer.double() for layer in spiking_layers(ptm90, *widths)]
    spikes = torch.rand(6, 4, widths[0], generator=torch.Generator().manual_seed(1)) < 0.5
    answers, inputs = [], spikes.double()
    for layer in layers:
        answers.append(layer.response(inputs))
        inputs = answers[-1].spikes
    network = spiking_network(layers, "noise")
    found = predict_spiking(network, spikes.permute(1, 0, 2).numpy(), layers[0].fitted.circuit, layers[0].fitted.laws)
    for answer, (fired, membranes) in zip(answers, found, strict=True):
        assert np.array_equal(answer.spikes.permute(1, 0, 2).detach().numpy(), fired)
        np.testing.assert_allclose(answer.membranes.permute(1, 0, 2).detach(), membranes, rtol=0, atol=1e-9)
    assert network.layers == widths
    assert network.thresholds_V == tuple(layers[0].fitted.circuit.threshold_V(k) for k in range(len(layers)))


def test_spiking_layers_learn_and_stay_in_the_devices_range(ptm90: Technology) -> None:
    model = nn.Sequential(*spiking_layers(ptm90, 6, 8, 2))
    spikes = (torch.rand(8, 32, 6, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    labels = (spikes[:, :, 0].sum(0) > 4).long()
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.1), []
    for _ in range(25):
        loss = nn.functional.cross_entropy(10 * model(spikes).mean(0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for layer in model:
            layer.project()  # type: ignore[operator]
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert max(float(value.detach().abs().max()) for value in model.parameters()) == 1.0  # some were, and came back
    device = ptm90.memristor
    for box in spiking_network(model, "noise").crossbars:
        assert device.g_min_S <= box.pos.min() < box.pos.max() <= device.g_max_S


def test_what_is_no_spiking_network_is_refused(ptm90: Technology) -> None:
    first, second = spiking_layers(ptm90, 4, 3, 2)
    for modules in ([], [second], [second, first], [first, first], [first, spiking_layers(ptm90, 4, 5, 2)[1]]):
        with pytest.raises(ArchitectureMismatch, match="no network"):
            spiking_network(modules, "iris")
