"""What a spiking method makes of the synapses of a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.drawn import DrawnChips
from spicetrain.spiking.training.parameters import SynapseParameters
from spicetrain.surrogates.extrapolation import NONE, Extrapolation


class LayerResponse(NamedTuple):
    """spikes, 0 or 1, and membranes at the latch in volts, both [steps, samples, columns]; what was asked of the laws
    outside their domain."""

    spikes: Tensor
    membranes: Tensor
    extrapolation: Extrapolation = NONE


# (spikes [steps, samples, rows], conductances, layer, threshold in volts), and of the circuit's model the neurons'
# deviation -> the layer's answer
Layer = Callable[..., LayerResponse]


class Layers(ABC):
    """The layers of a network while it is trained by one method.

    simplified  they learn by simpler laws than those they are scored by
    """

    simplified = False

    @abstractmethod
    def forward(
        self, spikes: Tensor, parameters: SynapseParameters, layer: int, drawn: DrawnChips | None = None
    ) -> LayerResponse:
        """Of input spikes [steps, samples, rows], on the chip that is meant or on `drawn` ones; differentiable."""

    def learning(self, yes: bool) -> None:
        """Whether the layers answer to a step of the optimizer, or are scored."""

    @abstractmethod
    def static(self, rates: Tensor, parameters: SynapseParameters, layer: int, steps: int) -> LayerResponse:
        """In `steps` steps of rows that spike at rates [samples, rows]: its neurons' rates, and its membranes as they
        settle, both [1, samples, columns] (static.py)."""

    @abstractmethod
    def programmed(self, parameters: SynapseParameters, layer: int) -> tuple[Conductances, float]:
        """(siemens, threshold in volts) of the layer on the chip."""

    @abstractmethod
    def synapses(self, network: SpikingNetwork, layer: int) -> Tensor:
        """[rows + 1, columns]: those of a network that was programmed, to go on from."""

    def swing(self, layer: int) -> float:
        """From rest to the threshold, in the unit of the membranes that `forward` gives."""
        return 1.0

    def project(self, parameters: SynapseParameters) -> None:
        """After a step of the optimizer."""

    def correct_wires(self, parameters: Sequence[SynapseParameters]) -> None:
        """Before an epoch: what the arrays' exact meshes have beyond their fast form, of a method that knows wires."""

    def begin(self, network: Callable[[], SpikingNetwork], spikes: Callable[[int], NDArray[np.bool_]]) -> None:
        """Before an epoch under variation; network, spikes: as of `finished`."""

    def finished(self, network: SpikingNetwork, spikes: Callable[[int], NDArray[np.bool_]]) -> SpikingNetwork:
        """The network as it is programmed; `spikes` encodes so many training images, [images, steps, rows]."""
        return network
