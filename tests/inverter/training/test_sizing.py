"""Trained inverter sizes: never below one finger, whole in the end, small when power counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import NetworkSettings, Sizing, TrainingSettings
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
