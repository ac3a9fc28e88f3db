"""Models of torch and snntorch as circuits: what they know is kept, ngspice agrees, what no circuit has is named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import snntorch
import torch
from ideal_laws import ideal_laws
from inverter.training.circuits import fitted_surface
from torch import Tensor, nn

from spicetrain.converting.mapping import crossbars_of
from spicetrain.converting.read import dense_layers
from spicetrain.converting.spiking import spikes_of
from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, DomainError
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.nn import convert, inverter_network, spiking_network
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.circuit import load_circuit
from spicetrain.technology import Technology


def data(name: str = "iris") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    found = load_dataset(name)
    inputs = (torch.tensor(np.asarray(one)).float() for one in (found.train_inputs, found.test_inputs))
    labels = (torch.tensor(np.asarray(one)).long() for one in (found.train_labels, found.test_labels))
    (x, x_test), (y, y_test) = inputs, labels
    return x, y, x_test, y_test


def trained(model: nn.Module, answers: Callable[[], Tensor], labels: Tensor, steps: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(answers(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(outputs: Tensor, labels: Tensor) -> float:
    return float((outputs.argmax(1) == labels).float().mean())


@pytest.mark.parametrize("activation, hidden", [(nn.Tanh, (6,)), (nn.ReLU, (9,)), (nn.ReLU, (8, 5)), (nn.Tanh, ())])
def test_a_classifier_keeps_what_it_knows_and_ngspice_agrees(
    activation: type[nn.Module], hidden: tuple[int, ...], ptm90: Technology, ngspice: Ngspice
) -> None:
    torch.manual_seed(1)
    x, y, x_test, y_test = data()
    widths, modules = (4, *hidden, 3), list[nn.Module]()
    for shape in zip(widths, widths[1:], strict=False):
        modules += [nn.Linear(*shape, bias=len(modules) == 0), activation()]
    model = nn.Sequential(nn.Flatten(), nn.Sequential(*modules[:-1]), nn.Dropout(0.1), nn.Softmax(1)).eval()
    trained(model[1], lambda: model[1](x), y, 200)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = convert(model, x, ptm90, Surrogates(fitted_surface()), epochs=30 if len(hidden) > 1 else 15)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with torch.no_grad():
        assert accuracy(found(x), y) > accuracy(model(x), y) - 0.04
        assert accuracy(found(x_test), y_test) > accuracy(model(x_test), y_test) - 0.07
        outputs = found.double()(x_test[:5].double()).numpy()
    network = inverter_network(found, "iris")
    assert network.layers == widths
    spice = simulate(network_deck(network, ptm90, x_test[:5].numpy().astype(float), "flat"), ngspice).values
    in_spice = np.stack([spice[f"v(o_{j})"] for j in range(3)], 1)
    np.testing.assert_allclose(outputs, in_spice, rtol=0, atol=1e-3)
    assert np.array_equal(outputs.argmax(1), in_spice.argmax(1))


def test_mapped_weights_are_those_of_the_columns(ptm90: Technology) -> None:
    """By the column's law, in numpy: gain a = w u + b, of the second crossbar with the sign of inverted rows."""
    random, device = torch.Generator().manual_seed(2), ptm90.memristor
    layers = [
        (torch.randn(*of, generator=random, dtype=torch.float64), torch.randn(of[1], generator=random).double())
        for of in ((5, 4), (4, 3))
    ]
    gain = 40.0
    for k, (box, (weight, bias)) in enumerate(zip(crossbars_of(layers, gain, device), layers, strict=True)):
        total = box.pos.sum(0) + box.neg.sum(0) + box.bias_pos + box.bias_neg
        aim = gain if k else gain**1.5
        np.testing.assert_allclose(aim * (box.pos - box.neg) / total, weight.numpy(), rtol=1e-9)
        np.testing.assert_allclose(aim * (box.bias_pos - box.bias_neg) / total, (-bias if k else bias), rtol=1e-9)
    steep = crossbars_of([(1e3 * layers[0][0], layers[0][1])], gain, device)[0]  # more than a column can
    assert max(steep.pos.max(), steep.neg.max()) == pytest.approx(device.g_max_S)
    assert np.array_equal(np.sign(steep.pos - steep.neg), -np.sign(layers[0][0].numpy()))


def leaky(**changes: object) -> snntorch.Leaky:
    return snntorch.Leaky(**{"beta": 0.8} | changes)


def inhibiting() -> snntorch.Leaky:
    module = leaky()
    module.inhibition = True  # snntorch warns of its own parameter
    return module


def spiking(x: Tensor, steps: int = 10) -> Tensor:
    return (torch.rand(steps, *x.shape, generator=torch.Generator().manual_seed(3)) < x).float()


def test_a_spiking_model_keeps_what_it_knows(ptm90: Technology) -> None:
    torch.manual_seed(0)
    x, y, x_test, y_test = data()
    model = nn.Sequential(nn.Linear(4, 8), leaky(), nn.Linear(8, 3), leaky(threshold=0.7, reset_mechanism="zero"))

    def counts(spikes: Tensor) -> Tensor:
        membranes, total = [torch.zeros(()), torch.zeros(())], torch.zeros(())
        for step in spikes:
            for k in (0, 1):
                step, membranes[k] = model[2 * k + 1](model[2 * k](step), membranes[k])
            total = total + step
        return total

    seen, unseen = spiking(x), spiking(x_test)
    trained(model, lambda: counts(seen), y, 60)
    with torch.no_grad():
        own = spikes_of(dense_layers(model), seen)
        assert torch.equal(own[-1].sum(0).float(), counts(seen))
        circuit = load_circuit("lif-1r").changed(capacitance_F=(2e-13, 3e-13))
    found = convert(model, seen, ptm90, ideal_laws(circuit), circuit=circuit, epochs=6, batch_size=60)
    with torch.no_grad():
        assert accuracy(found(seen).sum(0), y) > accuracy(counts(seen), y) - 0.05
        assert accuracy(found(unseen).sum(0), y_test) > accuracy(counts(unseen), y_test) - 0.1
    assert spiking_network(found, "iris").layers == (4, 8, 3)


class Own(nn.Module):
    pass


@pytest.mark.parametrize(
    "model, named",
    [
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)),
            ["0: Conv2d", "1: ReLU (not dir"],
        ),
        (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)), ["1: BatchNorm1d", "2: Tanh"]),
        (nn.Sequential(nn.Linear(4, 3), nn.Softmax(1), nn.Linear(3, 2)), ["1: Softmax (in the middle)"]),
        (nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 2))), ["1.0: Linear (directly behind another Lin"]),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), ["1: ReLU (behind the last Linear)"]),
        (nn.Sequential(nn.Linear(4, 3), leaky(), nn.Linear(3, 2)), ["2: Linear (no Leaky behind it)"]),
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2), leaky()), ["1: Tanh (in a model that spikes)"]),
        (nn.Sequential(nn.Linear(4, 3), inhibiting()), ["1: Leaky (neurons that inhibit each other)"]),
        (Own(), ["the model itself: Own (no such thing in a circuit)"]),
        (nn.Sequential(), ["nothing"]),
    ],
)
def test_what_no_circuit_has_is_named(model: nn.Module, named: list[str], ptm90: Technology) -> None:
    with pytest.raises(ConfigurationError) as said:
        convert(model, torch.rand(5, 4), ptm90, Surrogates(fitted_surface()))
    assert all(one in str(said.value) for one in named), said.value


def test_inputs_and_surrogates_are_those_of_the_model(ptm90: Technology) -> None:
    dense, fires = nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), leaky())
    surrogates, circuit = Surrogates(fitted_surface()), load_circuit("lif-1r")
    with pytest.raises(DomainError, match="An input is 1.5"):
        convert(dense, 1.5 * torch.ones(2, 4), ptm90, surrogates)
    with pytest.raises(ArchitectureMismatch, match=r"shape \[2, 3\] for a model of 4 inputs: give \[samples, rows\]"):
        convert(dense, torch.ones(2, 3), ptm90, surrogates)
    with pytest.raises(ArchitectureMismatch, match=r"give \[steps, samples, rows\]"):
        convert(fires, torch.ones(2, 4), ptm90, surrogates)
    with pytest.raises(ConfigurationError, match="This model spikes: give circuit="):
        convert(fires, torch.ones(3, 2, 4), ptm90, surrogates)
    with pytest.raises(ConfigurationError, match="does not spike: give the surrogates"):
        convert(dense, torch.ones(2, 4), ptm90, ideal_laws(circuit), circuit=circuit)
