"""A chip of an inverter-based network: its devices and transistors as they were built. Numpy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.built import built
from spicetrain.draw import Draw
from spicetrain.inverter.network import Network
from spicetrain.mismatch import Kind
from spicetrain.storage import content_hash
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

KINDS: tuple[Kind, Kind] = ("nmos", "pmos")


@dataclass(frozen=True)
class InverterMismatch:
    """Of the inverters behind one crossbar, transistors (n, p) first: [2, inverters of a column, columns].

    shift   volts by which a transistor's gate is lower than its inverter's input: what V_T is larger by, for the nMOS
    factor  of its current
    """

    shift: NDArray[np.float64]
    factor: NDArray[np.float64]


@dataclass(frozen=True)
class Chip:
    """network   what was programmed, its crossbars as the devices then are
    mismatch  of the inverters behind every crossbar; None: there is none
    """

    network: Network
    mismatch: tuple[InverterMismatch, ...] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is simulated."""
        arrays = [array.tobytes() for layer in self.mismatch or () for array in vars(layer).values()]
        return content_hash(self.network.fingerprint, *arrays)


def chip_of(network: Network, technology: Technology, statistics: Statistics, draw: Draw) -> Chip:
    """The chip of a number, programmed to be `network`."""
    device = technology.memristor
    crossbars = tuple(
        built(box, device, statistics.array, draw, i, network.bias_pairs) for i, box in enumerate(network.crossbars)
    )
    as_built = replace(network, crossbars=crossbars) if statistics.array else network
    if not statistics.transistors:
        return Chip(as_built)
    sigmas = np.array(sigmas_of(technology, statistics))
    return Chip(as_built, tuple(_mismatch(sigmas, sizes, layer, draw) for layer, sizes in enumerate(network.sizes)))


def sigmas_of(technology: Technology, statistics: Statistics) -> list[tuple[float, float]]:
    """(sigma(V_T) in volts, sigma(beta) / beta) of one finger of the nMOS and of the pMOS of the unit inverter; sigma
    falls with the root of the fingers. TechnologyError when an area is not known."""
    return [statistics.sigma(kind, getattr(technology.inverter, kind)) for kind in KINDS]


def _mismatch(sigmas: NDArray, sizes: NDArray, layer: int, draw: Draw) -> InverterMismatch:
    """sigmas [2 (n, p), 2 (V_T, beta)] of one finger; sizes [columns, inverters of a column]."""
    shape = sizes.shape
    drawn = np.array([list(_drawn(draw, layer, kind, shape)) for kind in KINDS])  # [n p, V_T beta, columns, inverters]
    of_size = (sigmas[:, :, None, None] * drawn / np.sqrt(sizes)).swapaxes(2, 3)
    # A current has a sign: a beta mismatch beyond 5 sigma of 20 % stays positive.
    return InverterMismatch(of_size[:, 0], np.maximum(1 + of_size[:, 1], 1e-3))


def _drawn(draw: Draw, layer: int, kind: str, shape: tuple[int, ...]) -> Iterator[NDArray]:
    for what in ("V_T", "beta"):
        yield draw.normal(f"mismatch {layer} {kind} {what}", shape)
