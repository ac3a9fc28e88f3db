"""Training under variation: what is drawn, its gradients, that it goes on where it was, and that without any it is what
it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted import interrupt_at, metrics

from spicetrain.array.conductances import Conductances
from spicetrain.array.variation import ArrayStatistics, Relative
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.spiking.chip import ChipLaw, NeuronSigmas, Sigma
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.drawn import Deviation, TrainingChips
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.regular_layer import leaky
from spicetrain.technology import Technology
from spicetrain.training import loop

from .simple import lif, random_crossbar, random_spikes, simple_laws
from .test_loop import CIRCUIT, LAWS, SHAPE, STEPS, Trainer, require_same

LAW = ChipLaw((0.5, 0.1), 40.0, (-25.0,), 0.15)
SIGMAS = NeuronSigmas(Sigma(0.02, 0.05), Sigma(0.01, 0.0), Sigma(0.02, 0.0))
VARIED: dict[str, Any] = {"mismatch": 0.3, "programming": 0.1}


@pytest.fixture
def train(ptm90: Technology) -> Trainer:
    return Trainer(ptm90)


@pytest.fixture
def varied(train: Trainer) -> Any:
    def run(folder: Path, **changes: Any) -> Any:
        return train(folder, law=LAW, **({"variation": VARIED} | changes))

    return run


def chips(ptm90: Technology, **changes: Any) -> TrainingChips:
    array = ArrayStatistics(programming=Relative(form="relative", sigma=0.1))
    return replace(TrainingChips(array, ptm90.memristor, (SIGMAS, SIGMAS), law=LAW), **changes)


def test_neurons_are_drawn_for_every_sample_and_devices_once(ptm90: Technology) -> None:
    g = Conductances.of(random_crossbar(ptm90.memristor, 7, 400), torch.float64)
    drawn = chips(ptm90).drawn(torch.Generator().manual_seed(1))
    deviation, built = drawn.deviation(0, 50, g), drawn.conductances(g)
    assert deviation is not None and deviation.trip_V.shape == deviation.leak_factor.shape == (50, 400)
    trip = deviation.trip_V
    # Half of each shift, and the current factors through the slope.
    wanted = np.sqrt((0.5 * 0.02) ** 2 + (0.5 * 0.01) ** 2 + (0.05 / 40) ** 2)
    assert float(trip.std()) == pytest.approx(wanted, rel=0.02)
    assert float(deviation.leak_factor.log().std()) == pytest.approx(25 * 0.02, rel=0.02)
    assert abs(float(np.corrcoef(trip[0], trip[1])[0, 1])) < 0.2
    assert float(((built.pos - g.pos) / g.pos).std()) == pytest.approx(0.1, rel=0.05)
    again = chips(ptm90).drawn(torch.Generator().manual_seed(1)).deviation(0, 50, g)
    assert again is not None and torch.equal(again.trip_V, trip)


def test_nothing_is_drawn_of_what_does_not_vary(ptm90: Technology) -> None:
    g = Conductances.of(random_crossbar(ptm90.memristor, 3, 2), torch.float64)
    drawn = chips(ptm90, array=ArrayStatistics(), sigmas=(), law=None).drawn(torch.Generator())
    assert drawn.conductances(g) is g and drawn.deviation(0, 5, g) is None


@pytest.mark.parametrize("layer", [0, 1])  # ideal rows, driven rows
def test_a_deviation_of_samples_is_that_of_its_columns(layer: int, ptm90: Technology) -> None:
    """A sample on a chip of its own spikes as if that chip were the only one; a higher trip is a higher threshold."""
    circuit = lif(capacitance_F=(1e-12,))
    fitted = FittedSpikingCircuit(
        circuit, replace(simple_laws(circuit), leak=(np.array([0, 3e-5, 1e-4]),)), torch.float64
    )
    g = Conductances.of(random_crossbar(ptm90.memristor, 5, 3), torch.float64)
    spikes = torch.as_tensor(random_spikes(4, 6, 5, seed=2)).transpose(0, 1).double()
    random = np.random.default_rng(0)
    trip, leak = (torch.as_tensor(random.normal(m, s, (4, 3))) for m, s in ((0, 0.008), (1, 0.4)))
    together = circuit_layer(spikes, g, layer, 0.02, fitted, Deviation(trip, leak))
    nominal = circuit_layer(spikes, g, layer, 0.02, fitted)
    for k in range(4):
        alone = circuit_layer(spikes[:, k : k + 1], g, layer, 0.02, fitted, Deviation(trip[k], leak[k]))
        torch.testing.assert_close(together.spikes[:, k], alone.spikes[:, 0])
        torch.testing.assert_close(together.membranes[:, k], alone.membranes[:, 0])
    assert not torch.equal(together.spikes, nominal.spikes)
    higher = circuit_layer(spikes, g, layer, 0.02, fitted, Deviation(torch.full((3,), 0.007), torch.ones(3)))
    torch.testing.assert_close(higher.spikes, circuit_layer(spikes, g, layer, 0.027, fitted).spikes)


@pytest.mark.parametrize("layer", [0, 1])
def test_gradients_through_disturbed_devices_and_leaks_are_right(layer: int, ptm90: Technology) -> None:
    """Of membranes, of which no spike is in the way: finite differences."""
    circuit = lif(capacitance_F=(1e-12,), threshold_V=(0.4,))
    fitted = FittedSpikingCircuit(
        circuit, replace(simple_laws(circuit), leak=(np.array([0, 3e-5, 1e-4]),)), torch.float64
    )
    box = Conductances.of(random_crossbar(ptm90.memristor, 4, 2), torch.float64)
    spikes = torch.as_tensor(random_spikes(3, 2, 4)).transpose(0, 1).double()

    def membranes(micro: torch.Tensor) -> torch.Tensor:
        g = Conductances(micro * 1e-6, box.neg, box.bias_pos, box.bias_neg)
        drawn = chips(ptm90).drawn(torch.Generator().manual_seed(3))
        deviation = drawn.deviation(layer, 3, g)
        return circuit_layer(spikes, drawn.conductances(g), layer, 0.4, fitted, deviation).membranes * 1e3

    assert torch.autograd.gradcheck(membranes, ((box.pos * 1e6).requires_grad_(),), rtol=1e-4, atol=1e-7)


def test_a_regular_threshold_that_is_higher_is_reached_later() -> None:
    weights, spikes = torch.full((2, 3), 0.3), torch.ones(9, 2, 1)
    higher = torch.tensor([[0.0, 1.0, -0.5], [2.0, 0.0, 0.0]])
    fired, _ = leaky(spikes, weights, 0.99, 3.0, higher)
    plain, _ = leaky(spikes, weights, 0.99, 3.0)
    first = fired.argmax(0)
    assert first.tolist() == [[1, 3, 0], [5, 1, 1]]
    assert torch.equal(fired[:, 1, 1], plain[:, 1, 1])


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_an_interrupted_training_under_variation_goes_on_to_the_same_network(
    method: str, varied: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = varied(tmp_path / "whole", method=method)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, loop, 2 * STEPS + 2)
        varied(tmp_path / "broken", method=method)
    assert [line["epoch"] for line in metrics(tmp_path / "broken")] == [1, 2]
    require_same(whole, varied(tmp_path / "broken", method=method))


@pytest.mark.parametrize("method", ["circuit", "regular"])
@pytest.mark.parametrize("source", ["mismatch", "programming"])
def test_each_source_counts_and_none_is_what_it_was(method: str, source: str, varied: Any, tmp_path: Path) -> None:
    """A network trained without variation does not even say that there could have been one."""
    plain = varied(tmp_path / "plain", method=method, epochs=1, variation={})
    one = varied(tmp_path / "one", method=method, epochs=1, variation={source: VARIED[source]})
    assert not np.array_equal(plain.crossbars[0].pos, one.crossbars[0].pos)
    assert not {"variation", "varied", "initial"} & plain.about.keys()
    assert one.about["variation"][source] == VARIED[source] and one.about["varied"]


def test_other_statistics_are_another_training(varied: Any, train: Trainer, tmp_path: Path) -> None:
    varied(tmp_path, epochs=1)
    with pytest.raises(ArchitectureMismatch, match="variation"):
        varied(tmp_path, epochs=1, variation={"mismatch": 0.2, "programming": 0.1})
    mismatch = train.technology.mismatch
    assert mismatch is not None
    train.technology = train.technology.changed(mismatch=mismatch.model_copy(update={"convention": "pair"}))
    with pytest.raises(ArchitectureMismatch, match="varied"):
        varied(tmp_path, epochs=1)


def test_a_regular_network_is_disturbed_as_it_will_be_on_the_chip(ptm90: Technology, train: Trainer) -> None:
    """Its thresholds are those that calibration gives the chip: half as high, they are shifted twice as much."""
    from spicetrain.spiking.definition import SpikingTrainingSettings
    from spicetrain.spiking.training.model import TrainableSpikingNetwork

    settings = SpikingTrainingSettings(method="regular")
    model = TrainableSpikingNetwork(SHAPE, settings, ptm90.memristor, FittedSpikingCircuit(CIRCUIT, LAWS))
    parameters, method = model.parameters_of_layers[0], model.method
    spikes = torch.as_tensor(random_spikes(2000, 3, 4, rate=0.9)).transpose(0, 1).float()
    with torch.no_grad():
        parameters.synapses.fill_(0.15 / parameters.weights.div(parameters.synapses).max())

    @torch.no_grad()
    def rate(threshold_V: float | None) -> float:
        method.thresholds_V = None if threshold_V is None else (threshold_V,) * 2  # type: ignore[attr-defined]
        drawn = chips(ptm90, array=ArrayStatistics()).drawn(torch.Generator().manual_seed(0))
        return float(method.forward(spikes, parameters, 0, drawn).spikes[0].mean())

    _, unit_V = method.programmed(parameters, 0)
    assert rate(None) == rate(unit_V)
    # All inputs below the threshold in the first step: only neurons whose threshold came out low fire.
    assert rate(0.5) == 0 < rate(0.06) < rate(0.02)


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_a_training_begins_with_the_network_that_it_is_given(method: str, train: Trainer, tmp_path: Path) -> None:
    """With next to no learning rate it ends with the same; begun from scratch, far from it."""
    path = tmp_path / "network.safetensors"
    same: dict[str, Any] = {"learning_rate": 1e-9, "epochs": 1, "method": method}
    regular = {"clip_quantile": 1.0, "calibration_images": 60}
    first = train(tmp_path / "first", method=method, regular=regular)
    first.save(path)
    next_one = train(tmp_path / "next", initial=path, regular=regular, **same)
    scratch = train(tmp_path / "scratch", regular=regular, **same)
    for a, b, c in zip(first.crossbars, next_one.crossbars, scratch.crossbars, strict=True):
        np.testing.assert_allclose(b.pos, a.pos, rtol=1e-4)
        np.testing.assert_allclose(b.bias_neg, a.bias_neg, rtol=1e-4)
        assert not np.allclose(c.pos, a.pos, rtol=0.01)
    assert next_one.about["initial"] == first.fingerprint
    other = {"circuit": "regular", "regular": "circuit"}[method]
    with pytest.raises(ConfigurationError, match=f"trained by the method '{method}'"):
        train(tmp_path / "other", initial=path, method=other)
    with pytest.raises(ArchitectureMismatch, match="4-3-3"):
        train(tmp_path / "wide", SpikingNetworkSettings(layers=(4, 6, 3), steps=6), initial=path, method=method)


def test_what_cannot_be_drawn_is_refused(train: Trainer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"training.variation has mismatch.*chip_law"):
        train(tmp_path / "run", variation={"mismatch": 1.0})
    train.technology = train.technology.changed(mismatch=None)
    with pytest.raises(ConfigurationError, match="no statistics of its transistors"):
        train(tmp_path / "run", variation={"mismatch": 1.0})
    assert not (tmp_path / "run").exists()
