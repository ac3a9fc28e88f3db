"""Spike trains: their rates, their seeds, and those that somebody else made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from spicetrain.errors import DatasetError, DomainError
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.training.encoding import encode, load_spikes, training_spikes

INPUTS = np.array([[0.0, 0.2, 0.5, 1.0, 0.9]], dtype=np.float32)


def settings(steps: int, encoder: str = "rate") -> SpikingNetworkSettings:
    return SpikingNetworkSettings(steps=steps, encoder=encoder)  # type: ignore[arg-type]


def require_rates(spikes: np.ndarray) -> None:
    """Five standard deviations of a binomial: [images, rows] rates, all images the same input."""
    trials = len(spikes) * spikes.shape[1]
    deviation = np.sqrt(INPUTS[0] * (1 - INPUTS[0]) / trials)
    assert (np.abs(spikes.mean((0, 1)) - INPUTS[0]) <= 5 * deviation).all()


def test_rates_are_the_inputs() -> None:
    spikes = encode(INPUTS.repeat(100, 0), settings(200), 0)
    assert spikes.shape == (100, 200, 5) and spikes.dtype == np.bool_
    require_rates(spikes)


def test_rates_of_a_training_batch_are_the_inputs() -> None:
    generator = torch.Generator().manual_seed(0)
    spikes = training_spikes(torch.from_numpy(INPUTS.repeat(101, 0)), settings(199), generator)
    assert spikes.shape == (199, 101, 5) and spikes.dtype == torch.float32
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert not spikes[:, :, 0].any()
    require_rates(spikes.transpose(0, 1).numpy())
    # Independent in time and from row to row: a share of both that is the product of the two rates.
    both = (spikes[1:, :, 2] * spikes[:-1, :, 2]).mean(), (spikes[:, :, 1] * spikes[:, :, 2]).mean()
    assert both == pytest.approx((0.25, 0.1), abs=0.01)


def test_an_image_has_its_spikes_however_many_are_asked_for() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (7, 5)).astype(np.float32)
    state = torch.random.get_rng_state()
    every, first = encode(images, settings(9), 3), encode(images[:2], settings(9), 3)
    assert np.array_equal(every[:2], first)
    assert torch.equal(state, torch.random.get_rng_state())
    assert np.array_equal(every, encode(images, settings(9), 3))
    assert not np.array_equal(every, encode(images, settings(9), 4))
    same = encode(images[:1].repeat(2, 0), settings(9), 3)
    assert not np.array_equal(same[0], same[1])


def test_training_batches_follow_their_generator() -> None:
    x = torch.full((3, 5), 0.5)
    one, other = (training_spikes(x, settings(9), torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, other)
    generator = torch.Generator().manual_seed(4)
    assert not torch.equal(training_spikes(x, settings(9), generator), training_spikes(x, settings(9), generator))


@pytest.mark.parametrize("steps", [1, 2, 11])
def test_latency_is_earlier_the_larger_the_input(steps: int) -> None:
    """A spike of input x at (1 - x) of the way to the last step."""
    x = np.array([[0.0, 0.004, 0.2, 0.5, 1.0]], dtype=np.float32)
    spikes = encode(x, settings(steps, "latency"), 0)
    assert spikes.shape == (1, steps, 5)
    assert spikes.sum(1).tolist() == [[0, 0, 1, 1, 1]]
    wanted = np.round((steps - 1) * (1 - x[0, 2:]))
    assert spikes[0].argmax(0)[2:].tolist() == wanted.tolist()
    batch = training_spikes(torch.from_numpy(x), settings(steps, "latency"), torch.Generator())
    assert np.array_equal(batch.transpose(0, 1).bool().numpy(), spikes)


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_dither_spreads_its_spikes_over_time_and_rows(steps: int) -> None:
    """A modulator that carries what it did not yet spend; of all rows of one rate the same share spikes in any step."""
    rates, rows = (0.0, 0.1, 0.37, 0.5, 0.93, 1.0), 300
    x = np.repeat(np.array(rates, np.float32), rows)[None].repeat(2, 0)
    spikes = encode(x, settings(steps, "dither"), 0)
    assert np.array_equal(spikes[0], spikes[1]) and np.array_equal(spikes, encode(x, settings(steps, "dither"), 9))
    spent, carried = np.zeros((steps, x.shape[1]), bool), np.arange(x.shape[1]) * (np.sqrt(5) - 1) / 2 % 1
    for k in range(steps):
        carried += x[0]
        spent[k] = carried >= 1
        carried -= spent[k]
    assert (spent != spikes[0]).mean() < 0.002  # but for rounding
    assert (np.abs(spikes[0].sum(0) - steps * x[0]) < 1).all()
    for rate, of_rate in zip(rates, np.split(spikes[0], len(rates), 1), strict=True):
        np.testing.assert_allclose(of_rate.mean(1), rate, rtol=0, atol=0.02)
    batch = training_spikes(torch.from_numpy(x), settings(steps, "dither"), torch.Generator())
    assert np.array_equal(batch.transpose(0, 1).bool().numpy(), spikes)


@pytest.mark.parametrize("encoder", ["rate", "dither", "latency"])
def test_a_gain_is_the_same_as_larger_inputs(encoder: str) -> None:
    x = torch.rand(20, 9, generator=torch.Generator().manual_seed(0))
    changed = settings(11, encoder).model_copy(update={"encoder_gain": 1.7})
    larger = (x * 1.7).clamp(max=1)
    assert np.array_equal(encode(x.numpy(), changed, 3), encode(larger.numpy(), settings(11, encoder), 3))
    generators = (torch.Generator().manual_seed(1) for _ in range(2))
    assert torch.equal(
        training_spikes(x, changed, next(generators)), training_spikes(larger, settings(11, encoder), next(generators))
    )


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), 255.0])
@pytest.mark.parametrize("encoder", ["rate", "dither", "latency"])
def test_an_input_that_is_no_rate_is_refused(value: float, encoder: str) -> None:
    with pytest.raises(DomainError, match="1 of 5 values"):
        encode(np.array([[0, 0, 0, 1, value]]), settings(3, encoder), 0)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.float64])
def test_given_spikes(kind: type, tmp_path: Path) -> None:
    spikes = np.random.default_rng(0).uniform(0, 1, (4, 3, 5)) < 0.5
    np.save(tmp_path / "given.npy", spikes.astype(kind))
    np.savez(tmp_path / "given.npz", spikes=spikes.astype(kind))
    for name in ("given.npy", "given.npz"):
        found = load_spikes(tmp_path / name, 2, 3, 5)
        assert found.dtype == np.bool_ and np.array_equal(found, spikes[:2])


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((4, 5, 3)), r"4x5x3 values.*\[images, steps, rows\].*3 x 5.*transpose"),
        (np.zeros((1, 3, 5)), "at least 2 images"),
        (np.zeros((4, 15)), "4x15"),
        (np.array(1.0), "a single number"),
        (np.full((2, 3, 5), 0.5), "no spikes.*0.5"),
        (np.full((2, 3, 5), np.nan), "no spikes.*nan"),
        (np.full((2, 3, 5), "1"), "no spikes.*of type"),
    ],
)
def test_given_spikes_that_are_none(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "given.npy", array)
    with pytest.raises(DatasetError, match=message):
        load_spikes(tmp_path / "given.npy", 2, 3, 5)


def test_given_spikes_from_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="absent.npy: No such file"):
        load_spikes(tmp_path / "absent.npy", 1, 1, 1)
    (tmp_path / "text.npy").write_text("0 1 1")
    with pytest.raises(DatasetError, match="text.npy is no array of numbers"):
        load_spikes(tmp_path / "text.npy", 1, 1, 1)
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04cut")
    with pytest.raises(DatasetError, match="cut.npz is no array of numbers"):
        load_spikes(tmp_path / "cut.npz", 1, 1, 1)
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(DatasetError, match="empty.npy is no array of numbers"):
        load_spikes(tmp_path / "empty.npy", 1, 1, 1)
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(DatasetError, match="objects.npy is no array of numbers"):
        load_spikes(tmp_path / "objects.npy", 1, 1, 1)
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(DatasetError, match=r"holds 2 arrays \(a, b\)"):
        load_spikes(tmp_path / "two.npz", 1, 1, 1)
