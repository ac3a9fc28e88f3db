"""Trained inverter sizes: never below one finger, whole in the end, small when power counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted import metrics

from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.inverter.definition import ErimSettings, NetworkSettings, Sizing, TrainingSettings
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.erim import largest_load_per_finger
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.loop import train
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.sizing import InverterSizes
from spicetrain.technology import Technology


def test_fixed_sizes_stay_whatever_happens() -> None:
    sizes = InverterSizes(3, 2, 2.5, "fixed")
    sizes.project()
    sizes.settle()
    assert sizes().tolist() == [[2.5, 2.5]] * 3
    assert not sizes().requires_grad


@pytest.mark.parametrize(("sizing", "numbers"), [("layer", 2), ("inverter", 6)])
def test_trained_ones_are_real_then_whole(sizing: Sizing, numbers: int) -> None:
    sizes = InverterSizes(3, 2, 2.0, sizing)
    assert sizes.fingers.numel() == numbers
    assert sizes().shape == (3, 2)
    with torch.no_grad():
        sizes.fingers[:, 0] -= 0.3
        sizes.fingers[:, 1] -= 5
    sizes.project()
    assert bool(((sizes() >= 1) & (sizes() < 2)).all())
    assert not bool((sizes()[:, 0] == sizes()[:, 0].round()).any())
    sizes.settle()
    assert torch.equal(sizes(), sizes().round())
    assert not sizes().requires_grad


def test_the_inverters_of_a_neuron_are_of_one_size() -> None:
    sizes = InverterSizes(3, 2, 2.0, "neuron")
    with torch.no_grad():
        sizes.fingers.add_(torch.tensor([[0.2], [1.4], [-3.0]]))
    sizes.project()
    sizes.settle()
    assert sizes().tolist() == [[2, 2], [3, 3], [1, 1]]


def trained(
    folder: Path, technology: Technology, surface: CurrentSurface, weight: float, sizing: Sizing
) -> list[np.ndarray]:
    shape = NetworkSettings(layers=(4, 5, 3), inverter_sizes=(4.0, 2.0), encoding="bipolar")
    settings = TrainingSettings(
        epochs=30,
        batch_size=40,
        sizing=sizing,
        power_weight_per_W=weight,
        device="cpu",
        threads=1,
    )
    network = train(shape, settings, load_dataset("iris"), technology, Surrogates(surface), folder)
    return list(network.sizes)


def test_power_in_the_loss_makes_inverters_smaller(ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> None:
    dear, _ = trained(tmp_path / "dear", ptm90, surface, 1e6, "inverter")
    cheap, last = trained(tmp_path / "cheap", ptm90, surface, 0.0, "inverter")
    for sizes in (dear, cheap):
        assert np.array_equal(sizes, np.round(sizes))
        assert sizes.min() >= 1
    assert dear.sum() < 0.7 * cheap.sum()
    assert last.tolist() == [[2.0]] * 3  # what the outputs drive is not known, so they stay
    layer, _ = trained(tmp_path / "layer", ptm90, surface, 1e6, "layer")
    assert len(np.unique(layer[:, 0])) == len(np.unique(layer[:, 1])) == 1


def test_only_methods_that_see_the_load_can_size(ptm90: Technology, surface: CurrentSurface, tmp_path: Path) -> None:
    settings = TrainingSettings(method="ideal", sizing="layer")
    with pytest.raises(ConfigurationError, match=r"training\.sizing = 'layer'.*ideal.*kcl"):
        train(NetworkSettings(layers=(4, 3, 3)), settings, load_dataset("iris"), ptm90, Surrogates(surface), tmp_path)


def test_erim_gives_every_inverter_what_its_row_demands(
    ptm90: Technology, surface: CurrentSurface, tmp_path: Path
) -> None:
    circuit = FittedCircuit(ptm90, Surrogates(surface))
    shape = NetworkSettings(layers=(3, 5, 4), inverter_sizes=(2.0, 1.0))
    model = TrainableNetwork(shape, TrainingSettings(sizing="erim"), circuit)
    with torch.no_grad():
        model.crossbars[1].pos[2] = 4.0  # type: ignore[operator]  # nearly g_max throughout
    model.size_for_loads()
    hidden, last = model.sizes
    per_finger = largest_load_per_finger(circuit.exact_inverters, 0.8, 5e-3)
    crossbar = model.network({}).crossbars[1]
    expected = np.stack([np.ceil(g.sum(1) / per_finger) for g in (crossbar.pos, crossbar.neg)], 1)
    assert hidden.tolist() == np.maximum(expected, 1).tolist()
    assert hidden[2, 0] > hidden[:, 1].max()
    assert last.tolist() == [[1.0]] * 4


def heavy(circuit: FittedCircuit, **bounds: float) -> TrainableNetwork:
    """3-5-4 whose third hidden neuron drives devices of nearly g_max."""
    shape = NetworkSettings(layers=(3, 5, 4), inverter_sizes=(2.0, 1.0))
    model = TrainableNetwork(shape, TrainingSettings(sizing="erim", erim=ErimSettings(**bounds)), circuit)  # type: ignore[arg-type]
    with torch.no_grad():
        model.crossbars[1].pos[2] = 4.0  # type: ignore[operator]
    return model


@pytest.mark.parametrize(
    "bounds",
    [{"slope_share": 0.5}, {"slope_share": 0.9, "largest_fingers": 999}, {"threshold_V": 1e-6, "largest_fingers": 999}],
)
def test_erims_bounds_are_the_settings(bounds: dict[str, float], ptm90: Technology, surface: CurrentSurface) -> None:
    circuit = FittedCircuit(ptm90, Surrogates(surface))
    model, as_shipped = heavy(circuit, **bounds), heavy(circuit)
    asked = ErimSettings(**bounds)  # type: ignore[arg-type]
    per_finger = largest_load_per_finger(circuit.exact_inverters, asked.slope_share, asked.threshold_V)
    crossbar = model.network({}).crossbars[1]
    expected = np.stack([np.ceil(g.sum(1) / per_finger) for g in (crossbar.pos, crossbar.neg)], 1)
    for network in (model, as_shipped):
        network.size_for_loads()
    assert model.sizes[0].tolist() == np.maximum(expected, 1).tolist() != as_shipped.sizes[0].tolist()


def test_a_load_beyond_erims_largest_inverter_is_an_error_when_sizes_are_settled(
    ptm90: Technology, surface: CurrentSurface
) -> None:
    circuit = FittedCircuit(ptm90, Surrogates(surface))
    free, bound = heavy(circuit), heavy(circuit, largest_fingers=50)
    for model in (free, bound):
        model.size_for_loads()
    assert free.sizes[0][2, 0] == 51 and free.overloaded() == 0
    assert bound.sizes[0][2, 0] == 50 and bound.overloaded() == 1
    free.require_carried()
    said = r"1 of the 10 inverters of hidden layer 1 need more than training\.erim\.largest_fingers = 50, up to 51\."
    with pytest.raises(ConfigurationError, match=said):
        bound.require_carried()
    fixed = TrainableNetwork(bound.settings, TrainingSettings(erim=ErimSettings(largest_fingers=1)), circuit)
    fixed.require_carried()  # of sizes that are given nothing is asked


ERIM = {"batch_size": 40, "sizing": "erim", "device": "cpu", "threads": 1}


@pytest.mark.parametrize(("epochs", "trained_epochs"), [(1, 1), (4, 2), (3, 2)])
def test_training_stops_where_sizes_are_settled_and_a_load_is_not_carried(
    epochs: int, trained_epochs: int, ptm90: Technology, surface: CurrentSurface, tmp_path: Path
) -> None:
    settings = TrainingSettings(epochs=epochs, erim=ErimSettings(largest_fingers=1), **ERIM)  # type: ignore[arg-type]
    shape = NetworkSettings(layers=(4, 5, 3), encoding="bipolar")
    with pytest.raises(ConfigurationError, match=r"hidden layer 1 need more than training\.erim\.largest_fingers = 1"):
        train(shape, settings, load_dataset("iris"), ptm90, Surrogates(surface), tmp_path)
    lines = metrics(tmp_path)
    assert len(lines) == trained_epochs and all(0 < line["inverters_overloaded"] <= 10 for line in lines)


@pytest.mark.parametrize("epochs", [1, 3, 6])
def test_erims_sizes_are_those_of_the_loads_where_they_are_settled(
    epochs: int, ptm90: Technology, surface: CurrentSurface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, kept = [], TrainableNetwork.require_carried

    def noted(model: TrainableNetwork) -> None:
        seen.append((model.overloaded(), model.network({}).sizes[0]))
        kept(model)

    monkeypatch.setattr(TrainableNetwork, "require_carried", noted)
    settings = TrainingSettings(epochs=epochs, **ERIM)  # type: ignore[arg-type]
    shape = NetworkSettings(layers=(4, 5, 3), encoding="bipolar")
    network = train(shape, settings, load_dataset("iris"), ptm90, Surrogates(surface), tmp_path)
    ((overloaded, sizes),) = seen
    assert overloaded == 0 and np.array_equal(network.sizes[0], sizes)


def test_erims_bounds_belong_to_a_training_that_has_its_sizes(
    ptm90: Technology, surface: CurrentSurface, tmp_path: Path
) -> None:
    """A checkpoint made with other bounds goes on where they do not count, and not where they do."""
    shape, iris = NetworkSettings(layers=(4, 5, 3), encoding="bipolar"), load_dataset("iris")

    def again(sizing: Sizing, share: float) -> None:
        settings = TrainingSettings(epochs=1, batch_size=40, sizing=sizing, erim=ErimSettings(slope_share=share))
        train(shape, settings, iris, ptm90, Surrogates(surface), tmp_path / sizing)

    again("fixed", 0.8)
    again("fixed", 0.7)
    again("erim", 0.8)
    with pytest.raises(ArchitectureMismatch, match=r"another training \(erim"):
        again("erim", 0.7)
