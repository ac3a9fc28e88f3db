"""The methods of the spiking system by name: what synapses are while they are trained, and on the chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spicetrain.registry import Registry
from spicetrain.schema import Definition
from spicetrain.training.settings import NoSettings


@dataclass(frozen=True)
class Method:
    """What sets a method apart.

    layers         (FittedSpikingCircuit, Device, training settings) -> its Layers: forward pass, programming
    model          (network, circuit, laws, technology) -> (one layer in float64, thresholds): how it answers for a
                   finished network, with the technology's wires if it knows them
    settings       what it brings of its own: the table [training.<name>]
    images         training images that it needs when all epochs are done, of its settings
    knows_circuit  it claims to predict what ngspice says: a verification judges it by that unless told otherwise
    """

    layers: Callable[..., Any]
    model: Callable[..., Any]
    settings: type[Definition] = NoSettings
    images: Callable[[Any], int] = field(default=lambda settings: 0)
    knows_circuit: bool = False


_TRAINING = "spicetrain.spiking.training"
METHODS: Registry[Method] = Registry(
    "method", {"circuit": f"{_TRAINING}.circuit_method:CIRCUIT", "regular": f"{_TRAINING}.regular_method:REGULAR"}
)
