"""Inputs as levels of ideal rows: no spikes, linear in the input, and refused where rows cannot stand between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ideal_laws import ideal_laws

from spicetrain.array.conductances import Conductances
from spicetrain.errors import ConfigurationError, DatasetError
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.inputs import packed, row_volts, unpacked
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.encoding import encode, load_spikes, require_encoder, training_spikes
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.technology import Technology

from .simple import lif, random_crossbar

X = np.array([[0.0, 0.2, 0.5, 1.0, 0.9], [0.25, 1.0, 0.125, 0.0, 0.6]], np.float32)


def shape(steps: int = 7, gain: float = 1.0) -> SpikingNetworkSettings:
    return SpikingNetworkSettings(layers=(5, 3), steps=steps, encoder="direct", encoder_gain=gain)


@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_every_step_has_the_input_itself_and_none_is_copied(gain: float) -> None:
    levels = encode(X, shape(gain=gain), 0)
    assert levels.shape == (2, 7, 5) and levels.dtype == np.float32 and levels.strides[1] == 0
    for step in range(7):
        np.testing.assert_allclose(levels[:, step], np.minimum(gain * X, 1), rtol=1e-6)
    batch = training_spikes(torch.from_numpy(X), shape(gain=gain), torch.Generator())
    assert batch.stride(0) == 0 and np.array_equal(batch.transpose(0, 1).numpy(), levels)


@pytest.mark.parametrize("rest_V", [0.0, 0.07])
def test_a_membrane_is_linear_in_the_levels(rest_V: float, ptm90: Technology) -> None:
    """A capacitor behind a resistor: what all rows pull, x of the way to their rails."""
    clock = {"integrate_s": 8e-9, "rest_s": 2e-9, "edge_s": 1e-18}
    circuit = lif(rest_V=rest_V, threshold_V=(0.45,), capacitance_F=(2e-12,), clock=clock)
    box, steps = random_crossbar(ptm90.memristor, 5, 3), 4
    levels = np.random.default_rng(0).random((2, steps, 5)).astype(np.float32)
    fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit, leak_S=1e-15), torch.float64)
    signal = torch.as_tensor(levels).transpose(0, 1).double()
    _, v, _ = circuit_layer(signal, Conductances.of(box, torch.float64), 0, 0.45, fitted)
    up, down = circuit.rails.vdd_V - rest_V, circuit.rails.vss_V - rest_V
    G, u = box.column_sum, np.zeros((2, 3))
    for step in range(steps):
        x = levels[:, step].astype(float)
        goal = (up * (x @ box.pos + box.bias_pos) + down * (x @ box.neg + box.bias_neg)) / G
        u = goal + (u - goal) * np.exp(-G / 2e-12 * 8e-9)
        np.testing.assert_allclose(v[step].numpy(), rest_V + u, rtol=0, atol=1e-9)
        u = u * np.exp(-G / 2e-12 * 2e-9)
    assert np.ptp(v.numpy()) > 0.02


def test_packed_and_back() -> None:
    spikes = np.random.default_rng(0).random((2, 3, 11)) < 0.5
    levels = np.random.default_rng(0).random((2, 3, 11)).astype(np.float32)
    assert packed(spikes).dtype == np.uint8 and packed(spikes).shape == (2, 3, 2)
    for inputs in (spikes, levels):
        again = unpacked(packed(inputs), 11)
        assert again.dtype == inputs.dtype and np.array_equal(again, inputs)
        with pytest.raises(ValueError, match="20 neurons"):
            unpacked(packed(inputs), 20)
    np.testing.assert_array_equal(row_volts(spikes, 0.5, 0.1), row_volts(spikes.astype(np.float32), 0.5, 0.1))


def test_levels_from_a_file(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).random((3, 4, 5))
    np.save(tmp_path / "levels.npy", levels)
    found = load_spikes(tmp_path / "levels.npy", 2, 4, 5, direct=True)
    assert found.dtype == np.float32 and np.array_equal(found, levels[:2].astype(np.float32))
    with pytest.raises(DatasetError, match="no spikes"):
        load_spikes(tmp_path / "levels.npy", 2, 4, 5)
    for wrong in (1.1, -0.1, np.nan):
        levels[0, 0, 0] = wrong
        np.save(tmp_path / "levels.npy", levels)
        with pytest.raises(DatasetError, match="between 0 and 1"):
            load_spikes(tmp_path / "levels.npy", 2, 4, 5, direct=True)


def test_only_ideal_rows_of_a_passive_array_stand_between() -> None:
    require_encoder(shape(), lif())
    require_encoder(SpikingNetworkSettings(layers=(5, 3)), load_circuit("lif-1t1r"))
    with pytest.raises(ConfigurationError, match="'lif-1t1r' is a 1t1r, whose word lines are gates"):
        require_encoder(shape(), load_circuit("lif-1t1r"))
    with pytest.raises(ConfigurationError, match="inputs = 'driven'"):
        require_encoder(shape(), lif(inputs="driven"))
