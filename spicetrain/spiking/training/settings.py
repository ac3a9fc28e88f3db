"""What is trained, and how: the [network] and [training] tables of an experiment with the spiking system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spicetrain.schema import Definition
from spicetrain.training.settings import Augmentation

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
SpikingMethod = Literal["regular", "circuit"]
SpikeEncoder = Literal["rate", "latency"]


class SpikingNetworkSettings(Definition):
    """Shape of a spiking network, and how an input becomes spikes.

    layers        inputs, hidden neurons ..., outputs
    steps         clock steps that an image is shown for
    encoder       rate: an input x in 0..1 spikes in every step with probability x; latency: once, the earlier the
                  larger it is, below 0.01 never (snntorch.spikegen)
    encoder_seed  of the spikes of the test images: training's test accuracy and the verification see the same ones
    """

    layers: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(784, 100, 10), min_length=2)
    steps: int = Field(default=10, ge=1)
    encoder: SpikeEncoder = "rate"
    encoder_seed: int = Field(default=0, ge=0)


class SpikingTrainingSettings(Definition):
    """How a spiking network is trained.

    method              "circuit": absolute conductances, through the circuit's own membranes; "regular": the weights
                        of a leaky integrate-and-fire network as everybody trains it, mapped to conductances afterwards
    learning_rate       the highest: it rises to it linearly over the share warm_up of all steps, then falls to zero
    surrogate_slope     of snntorch's fast sigmoid, over membranes in units of their threshold
    rate_logit          what an output that spikes in every step counts in the softmax
    beta                of a regular neuron: what a step leaves of its membrane
    clip_quantile       regular: the share of a layer's weights that keep their size; g_max is what the largest of
                        these gets, and larger ones no more
    calibration_images  regular: training images on which the circuit's thresholds are set; 0 leaves them as a linear
                        neuron would have them
    augmentation, validation, seed, device, threads  as for the inverter system
    """

    method: SpikingMethod = "circuit"
    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: Positive = 0.02
    warm_up: Share = 0.15
    surrogate_slope: Positive = 3.0
    rate_logit: Positive = 15.0
    beta: Share = 0.9
    clip_quantile: Annotated[float, Field(gt=0, le=1)] = 0.999
    calibration_images: int = Field(default=300, ge=0)
    augmentation: Augmentation = Augmentation(shift_pixels=1.0)
    validation: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
