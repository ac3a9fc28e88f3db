"""Images through the netlist of a spiking network, each by one transient or one a layer, in parallel, kept at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.spice.simulate import Simulation
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.inputs import Inputs, packed
from spicetrain.spiking.netlists.network import latched, membranes_at_latch
from spicetrain.spiking.verification.energy import energy_by_supply
from spicetrain.spiking.verification.figures import Layer
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.verification.pieces import Arrays, Piece, run_pieces

Neuron = tuple[int, int]
"""(layer, column)."""

_ENERGY = "energy_J_"


@dataclass(frozen=True)
class Presented:
    """One image: its inputs [steps, rows], and the neurons whose course is kept at all points in time."""

    spikes: Inputs
    drawn: tuple[Neuron, ...] = ()


_IMAGE = Recipe("spiking image", 3)


@dataclass(frozen=True)
class SimulatedImages:
    """What ngspice answered, image by image, as `run_pieces` keeps it."""

    kept: Sequence[Arrays]
    depth: int

    @cached_property
    def layers(self) -> list[Layer]:
        """(spikes, membranes at the latch in volts), [images, steps, columns] each, by layer."""
        return [(self._stacked(f"spikes_{layer}"), self._stacked(f"v_{layer}")) for layer in range(self.depth)]

    def _stacked(self, name: str) -> NDArray:
        return np.stack([image[name] for image in self.kept])

    @cached_property
    def energy_J(self) -> dict[str, NDArray[np.float64]]:
        """By supply, [images]."""
        names = [name for name in self.kept[0] if name.startswith(_ENERGY)]
        return {name.removeprefix(_ENERGY): np.array([float(image[name]) for image in self.kept]) for name in names}

    @property
    def total_energy_J(self) -> NDArray[np.float64]:
        """Of all supplies, [images]."""
        return np.sum([*self.energy_J.values()], axis=0)

    @property
    def mean_energy_J(self) -> float:
        """Of all supplies, an image."""
        return float(self.total_energy_J.mean())

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        """Of ngspice, [images]."""
        return np.array([float(image["seconds"]) for image in self.kept])

    def waveform(self, image: int) -> tuple[NDArray, NDArray, NDArray]:
        """(time [points] in seconds, membranes [points, drawn] in volts, latched spikes [points, drawn] in 0..1)."""
        kept = self.kept[image]
        return kept["time_s"], kept["drawn_V"], kept["drawn_spike"]


def simulate_images(netlist: Netlist, form: Form, images: Sequence[Presented], simulator: Simulator) -> SimulatedImages:
    """Every image simulated.

    Finished ones are kept in the simulator's scratch folder; a later call with the same netlist, form, spikes and
    ngspice goes on from them.

    Raises SimulationError, StorageError; ConfigurationError when the reduced form does not exist.
    """
    pieces = [Piece(image, _key(netlist, form, image, simulator)) for image in images]
    kept = run_pieces(simulator, partial(simulate_image, netlist, form), pieces, f"verify {form}")
    return SimulatedImages(kept, len(netlist.network.crossbars))


def simulate_image(netlist: Netlist, form: Form, simulator: Simulator, image: Presented) -> dict[str, ArrayLike]:
    """One image in ngspice; for a worker, which need not load torch for it. A flat network as a whole; any other layer
    by layer, each driven by what ngspice latched in the one before it: nothing reaches back (netlists/network.py)."""
    every = range(len(netlist.network.crossbars))
    answers: list[Simulation] = []
    inputs, membranes, energy = [image.spikes], list[NDArray](), defaultdict[str, float](float)
    for layer in [None] if form == "flat" else every:
        layers = every if layer is None else [layer]
        answer = simulator.simulate(netlist.deck(inputs[-1], form, layer))
        of_deck = answer.values, netlist.network, netlist.circuit, len(image.spikes), layers
        inputs += latched(*of_deck)
        membranes += membranes_at_latch(*of_deck)
        of_layers = {one: inputs[one] for one in layers}
        for supply, joule in energy_by_supply(answer.values, netlist, of_layers, form).items():
            energy[supply] += joule
        answers.append(answer)
    return {
        "seconds": sum(answer.seconds for answer in answers),
        **{f"spikes_{layer}": array for layer, array in enumerate(inputs[1:])},
        **{f"v_{layer}": array for layer, array in enumerate(membranes)},
        **{_ENERGY + supply: joule for supply, joule in energy.items()},
        **_drawn(answers, image.drawn),
    }


def _drawn(answers: Sequence[Simulation], drawn: Sequence[Neuron]) -> dict[str, ArrayLike]:
    """Of layers that were simulated apart, at the points in time of all of them."""
    if not drawn:
        return {}
    time_s = np.unique(np.concatenate([answer.values["time"] for answer in answers]))

    def course(vector: str) -> NDArray:
        of = next((answer.values for answer in answers if vector in answer.values), None)
        return np.zeros_like(time_s) if of is None else np.interp(time_s, of["time"], of[vector])  # an integrator's

    courses = {
        name: np.stack([course(f"v({node}{layer}_{j})") for layer, j in drawn], 1)
        for name, node in (("drawn_V", "m"), ("drawn_spike", "s"))
    }
    return {"time_s": time_s, **courses}


def _key(netlist: Netlist, form: Form, image: Presented, simulator: Simulator) -> str:
    return _IMAGE.key(
        netlist=netlist, form=form, spikes=packed(image.spikes.reshape(-1)), shape=image.spikes.shape,
        drawn=image.drawn, ngspice=simulator.version,
    )  # fmt: skip
