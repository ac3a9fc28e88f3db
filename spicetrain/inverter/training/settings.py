"""What is trained, and how: the [network] and [training] tables of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spicetrain.schema import Definition
from spicetrain.training.settings import Augmentation

Positive = Annotated[float, Field(gt=0)]
Sizing = Literal["fixed", "erim", "layer", "neuron", "inverter"]


class NetworkSettings(Definition):
    """Shape of an inverter-based network.

    layers          inputs, hidden neurons ..., outputs
    inverter_sizes  unit fingers of every inverter behind each crossbar, one number a crossbar
    encoding        unipolar: an input of 0 puts both rows of its pair at mid-rail; bipolar: at opposite rails
    ground_ohm      resistor from every inverter output to mid-rail, as RIM has them; None: there is none
    """

    layers: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(784, 100, 10), min_length=2)
    inverter_sizes: tuple[Positive, ...] = (1.0, 1.0)
    encoding: Literal["unipolar", "bipolar"] = "unipolar"
    ground_ohm: Positive | None = None

    @property
    def ground_S(self) -> float:
        return 0.0 if self.ground_ohm is None else 1 / self.ground_ohm

    @model_validator(mode="after")
    def _one_size_a_crossbar(self) -> Self:
        if len(self.inverter_sizes) != len(self.layers) - 1:
            raise ValueError(
                f"inverter_sizes has {len(self.inverter_sizes)} numbers for {len(self.layers) - 1} crossbars "
                f"(layers = {list(self.layers)}): give one a crossbar"
            )
        return self


class TrainingSettings(Definition):
    """How the network is trained.

    method         one of training.methods.METHODS
    phax_load_S    frozen load of the phax method, siemens from every hidden inverter's output to mid-rail. The default
                   lies between what a trained 100-10 crossbar puts on first (2e-6) and on second inverters (1.2e-5)
    logit_V        output voltage that counts as one unit of the softmax
    augmentation   of the training images, anew in every epoch
    sizing         of the hidden inverters. "fixed": as network.inverter_sizes says. "erim": every one the smallest that
                   carries its row's conductances, as training.erim has it. "layer", "neuron", "inverter": trained
                   from inverter_sizes on, one number for all first and one for all second inverters of a layer, one
                   for both of a pair, or every inverter by itself. Sizes change in the first half of the epochs; then
                   they are whole, and kept
    power_weight_per_W  weight in the loss of the mean static power drawn from the rails
    forward        "model": the method's own view; "spice": every minibatch simulated in ngspice, the backward pass
                   through kcl's Jacobian at the simulated operating point
    steps_per_epoch  minibatches after which an epoch ends (its line in metrics.jsonl, its checkpoint); 0: all images,
                   as when there are fewer
    validation     training images kept out of training, for choices that must not see the test images
    initial        network.safetensors of another run to start from
    device         "auto" takes CUDA when there is one
    threads        of torch on the CPU; 0 leaves it to torch
    """

    method: Literal["kcl", "ideal", "phax", "rim", "latim", "latim-nn"] = "kcl"
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: Positive = 0.05
    logit_V: Positive = 0.05
    phax_load_S: float = Field(default=5e-6, ge=0)
    validation: int = Field(default=0, ge=0)
    seed: int = 0
    augmentation: Augmentation = Field(default_factory=Augmentation)
    sizing: Sizing = "fixed"
    power_weight_per_W: float = Field(default=0.0, ge=0)
    forward: Literal["model", "spice"] = "model"
    steps_per_epoch: int = Field(default=0, ge=0)
    initial: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
