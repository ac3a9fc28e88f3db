"""Inputs in 0..1 as trains of spikes, by snntorch.spikegen or dithered; spikes of somebody else from a file."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from snntorch import spikegen
from torch import Tensor

from spicetrain.errors import ConfigurationError, DatasetError
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingNetworkSettings
from spicetrain.spiking.inputs import Inputs
from spicetrain.training.common import require_unit_inputs

_GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 are spread as evenly as any


def encode(inputs: NDArray, settings: SpikingNetworkSettings, seed: int, first: int = 0) -> Inputs:
    """Spikes [images, steps, rows] of inputs [images, rows] in 0..1, the same ones for the same seed (not negative); of
    `direct` levels, without a copy for every step.

    Every image has a seed of its own, made from `seed` and its index, which counts from `first`: the spikes of image k
    do not depend on how many are asked for. torch's own random state stays as it is.

    DomainError when an input is not in 0..1.
    """
    require_unit_inputs(inputs, "it is the rate of a row's spikes")
    x = _amplified(torch.as_tensor(np.asarray(inputs), dtype=torch.float32), settings)
    if settings.encoder != "rate":
        fixed = _FIXED[settings.encoder](x, settings.steps).transpose(0, 1)
        found: Inputs = (fixed if settings.encoder == "direct" else fixed.bool()).numpy()
        return found
    spikes = np.empty((len(x), settings.steps, x.shape[1]), dtype=np.bool_)
    with torch.random.fork_rng(devices=[]):
        for index, image in enumerate(x, start=first):
            torch.default_generator.manual_seed(int(np.random.SeedSequence((seed, index)).generate_state(1)[0]))
            spikes[index - first] = spikegen.rate(image, num_steps=settings.steps).bool().numpy()
    return spikes


def training_spikes(inputs: Tensor, settings: SpikingNetworkSettings, generator: torch.Generator) -> Tensor:
    """Spikes [steps, samples, rows], 0. or 1., of inputs [samples, rows] in 0..1: fresh ones of a minibatch; of
    `direct` levels, expanded along the steps (their stride is 0).

    Rates as `spikegen.rate` has them to one part in 65,536: of 16 random bits a spike instead of a float's, which is
    several times faster and would otherwise take half of a training step. `generator` is on the CPU.
    """
    inputs = _amplified(inputs, settings)
    if settings.encoder != "rate":
        return _FIXED[settings.encoder](inputs, settings.steps)
    total = settings.steps * inputs.numel()
    words = torch.randint(-(2**63), 2**63 - 1, (-(-total // 4),), generator=generator)
    random = words.view(torch.int16)[:total].view(settings.steps, *inputs.shape).to(inputs.device)
    below = (inputs * 65536 - 32768).clamp(max=32767).to(torch.int16)
    return (random < below).to(inputs.dtype)


def require_encoder(settings: SpikingNetworkSettings, circuit: SpikingCircuit) -> None:
    """ConfigurationError when the circuit's rows cannot be driven as the encoder wants."""
    if settings.encoder != "direct" or (circuit.array == "1r" and circuit.inputs == "ideal"):
        return
    if circuit.array == "1t1r":
        reason = "is a 1t1r, whose word lines are gates: a cell's transistor is open or closed, no share of a level"
    else:
        reason = f"has inputs = {circuit.inputs!r}: inverters drive its rows to a rail or to rest, to nothing between"
    raise ConfigurationError(
        f"network.encoder = 'direct' holds the first layer's rows at levels between rest and their rails, and "
        f"circuit {circuit.name!r} {reason}. Take a 1r circuit with inputs = 'ideal', or another "
        "encoder: rate, dither, latency."
    )


def load_spikes(path: Path, images: int, steps: int, rows: int, *, direct: bool = False) -> Inputs:
    """Spike trains [images, steps, rows] from a .npy file, or from a .npz file that holds one array; the first
    `images` of them. Values are 0 or 1, of any kind of number; with `direct` levels in 0..1.

    DatasetError: no such file, damaged, of another shape, other values.
    """
    array = _read(path)
    shape = "x".join(str(length) for length in array.shape) or "a single number"
    if array.ndim != 3 or array.shape[0] < images or array.shape[1:] != (steps, rows):
        raise DatasetError(
            f"{path} holds {shape} values; wanted is [images, steps, rows] with at least {images} images of "
            f"{steps} x {rows}: network.steps clock steps, one row an input. Likely the axes are in another order, or "
            "the spikes were made for another network: transpose them, or change network.steps."
        )
    if direct:
        return _levels(path, array)[:images]
    if array.dtype != np.bool_ and not (np.issubdtype(array.dtype, np.number) and np.isin(array, (0, 1)).all()):
        raise DatasetError(
            f"{path} holds values that are no spikes ({_strange(array)}): every one must be 0 or 1. Likely these are "
            "rates or grey values: encode them first, or leave the file out and let network.encoder do it."
        )
    spikes: NDArray[np.bool_] = array[:images].astype(np.bool_)
    return spikes


def _levels(path: Path, array: NDArray) -> NDArray[np.float32]:
    if array.dtype != np.bool_ and not np.issubdtype(array.dtype, np.number):
        raise DatasetError(f"{path} holds values of type {array.dtype}; wanted are levels, numbers between 0 and 1.")
    outside = ~((array >= 0) & (array <= 1))  # also what is not a number
    if outside.any():
        raise DatasetError(
            f"{path} holds {array[outside][0]:g}, and with network.encoder = 'direct' every value is the level of a "
            "row, between 0 and 1. Likely grey values 0 .. 255: divide by 255."
        )
    return array.astype(np.float32)


def _read(path: Path) -> NDArray:
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        with stored:
            if len(stored.files) != 1:
                raise DatasetError(
                    f"{path} holds {len(stored.files)} arrays ({', '.join(stored.files) or 'none'}); wanted is one, "
                    "of spikes [images, steps, rows]."
                )
            array: NDArray = stored[stored.files[0]]
            return array
    except OSError as error:
        raise DatasetError(f"Cannot read the spikes {path}: {error.strerror or error}.") from error
    except (ValueError, EOFError, BadZipFile) as error:
        raise DatasetError(
            f"{path} is no array of numbers ({error}). Wanted is a .npy or .npz file as numpy.save writes it."
        ) from error


def _strange(array: NDArray) -> str:
    if not np.issubdtype(array.dtype, np.number):
        return f"of type {array.dtype}"
    return f"for example {array[~np.isin(array, (0, 1))][0]:g}"


def _amplified(inputs: Tensor, settings: SpikingNetworkSettings) -> Tensor:
    return inputs if settings.encoder_gain == 1 else (inputs * settings.encoder_gain).clamp(max=1)


def _dither(inputs: Tensor, steps: int) -> Tensor:
    """[steps, samples, rows]: error diffusion in time. A row spikes whenever the sum of its rate passes a whole number,
    from a start in 0..1 that is spread over the rows, so that those of one rate take turns."""
    phases = torch.arange(inputs.shape[1], dtype=torch.float64, device=inputs.device) * _GOLDEN % 1
    spikes, rates = inputs.new_empty(steps, *inputs.shape), inputs.double()
    before = phases.floor()
    for step in range(steps):  # one after another: half the time of all at once
        total = torch.add(phases, rates, alpha=step + 1).floor_()
        spikes[step], before = total - before, total
    return spikes


def _latency(inputs: Tensor, steps: int) -> Tensor:
    """[steps, samples, rows]: linear in the input, the darkest that spike at all in the last step."""
    spikes: Tensor = spikegen.latency(inputs, num_steps=steps, threshold=0.01, normalize=True, linear=True, clip=True)
    return spikes


def _direct(inputs: Tensor, steps: int) -> Tensor:
    return inputs.expand(steps, *inputs.shape)


_FIXED = {"latency": _latency, "dither": _dither, "direct": _direct}
"""Encoders that draw nothing: (inputs [samples, rows], steps) -> spikes [steps, samples, rows]."""
