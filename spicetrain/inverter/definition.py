"""What an experiment of the inverter system says: its tables of a TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from spicetrain.draw import MOST_CHIPS
from spicetrain.experiment import Experiment, absolute
from spicetrain.inverter.methods import METHODS, Method
from spicetrain.operating import ConditionSet, TrainingConditions
from spicetrain.rails import Rails
from spicetrain.registry import Registry
from spicetrain.schema import Definition
from spicetrain.training.settings import LoopSettings, Positive
from spicetrain.variation import VariationSettings
from spicetrain.verification.conditions import ConditionSettings
from spicetrain.verification.settings import Share, Tolerance, VerificationBase, Volts

_LOGIT = 0.1  # of the rails' swing
_ABSOLUTE = ("error_mean_max_V", "error_max_max_V", "flat_error_max_V")
Trains = Literal["all", "last", "biases"]
Sizing = Literal["fixed", "erim", "layer", "neuron", "inverter"]


class NetworkSettings(Definition):
    """Shape of an inverter-based network.

    layers          inputs, hidden neurons ..., outputs
    inverter_sizes  unit fingers of every inverter behind each crossbar, one number a crossbar
    encoding        unipolar: an input of 0 puts both rows of its pair at mid-rail; bipolar: at opposite rails
    ground_ohm      resistor from every inverter output to mid-rail, as RIM has them; None: there is none
    bias_pairs      pairs of bias devices of every column, in parallel: one is a small part of a column's conductance,
                    too small to calibrate a chip with
    """

    layers: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(784, 100, 10), min_length=2)
    inverter_sizes: tuple[Positive, ...] = (1.0, 1.0)
    encoding: Literal["unipolar", "bipolar"] = "unipolar"
    ground_ohm: Positive | None = None
    bias_pairs: int = Field(default=1, ge=1, le=1000)

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


class ErimSettings(Definition):
    """The rule of sizing "erim": see training.erim.

    slope_share      of the unloaded curve's slope at the threshold that an inverter's load must leave
    threshold_V      how far a load may move that threshold
    largest_fingers  of an inverter. More than these no load gets while sizes change, as those of a network that has
                     learnt nothing yet may ask; one that needs more when sizes are settled is an error
    """

    slope_share: float = Field(default=0.8, gt=0, lt=1)
    threshold_V: Positive = 5e-3
    largest_fingers: int = Field(default=64, ge=1, le=1_000_000)


class TrainingSettings(LoopSettings):
    """How the network is trained; see LoopSettings for the rest.

    method         one of inverter.methods.METHODS
    logit_V        output voltage that counts as one unit of the softmax; None: a tenth of the rails' swing
    sizing         of the hidden inverters. "fixed": as network.inverter_sizes says. "erim": every one the smallest that
                   carries its row's conductances, as training.erim has it. "layer", "neuron", "inverter": trained
                   from inverter_sizes on, one number for all first and one for all second inverters of a layer, one
                   for both of a pair, or every inverter by itself. Sizes change in the first half of the epochs; then
                   they are whole, and kept
    erim           what "erim" takes for carried
    power_weight_per_W  weight in the loss of the mean static power drawn from the rails
    forward        "model": the method's own view; "spice": every minibatch simulated in ngspice, the backward pass
                   through kcl's Jacobian at the simulated operating point
    initial        network.safetensors of another run to start from
    conditions     corners, temperatures and supplies that the network is trained for besides the nominal ones
    """

    methods: ClassVar[Registry[Method]] = METHODS

    method: Annotated[str, METHODS.validator()] = "kcl"
    logit_V: Positive | None = None
    sizing: Sizing = "fixed"
    erim: ErimSettings = Field(default_factory=ErimSettings)
    power_weight_per_W: float = Field(default=0.0, ge=0)
    forward: Literal["model", "spice"] = "model"
    initial: Path | None = None
    conditions: TrainingConditions = Field(default_factory=TrainingConditions)

    def logit(self, rails: Rails) -> float:
        """Volts."""
        return self.logit_V or _LOGIT * 2 * rails.half_swing_V

    def trained_as(self) -> dict[str, Any]:
        """Without the rule of a sizing that it does not ask for, and without conditions where there are none: then it
        is what it was before there were any."""
        unasked = {"erim"} if self.sizing != "erim" else set()
        unasked |= set() if self.conditions else {"conditions"}
        return {key: value for key, value in super().trained_as().items() if key not in unasked}


class VerificationSettings(VerificationBase):
    """How a trained network is verified; see VerificationBase for the rest.

    netlist         "reduced": the first crossbar as exact Thevenin sources; "mesh", of a technology with [wires]: as
                    sources where the exact mesh of its wires lets its columns float; "flat": every device, and every
                    segment of wires. None: mesh with wires, reduced without
    hidden          keep the voltages of every inner node as well
    error_mean_max, error_max_max   of the output error, as a share of the rails' swing
    r2_min          of a regression in SPICE, the mean over its outputs
    grid_accuracy_min  of the accuracy under the worst condition of the grid
    flat_error_max  of the largest difference between flat and the other netlist, likewise: the two are the same circuit
    """

    images: int = Field(default=1000, ge=1)
    netlist: Literal["reduced", "mesh", "flat"] | None = None
    flat_images: int = Field(default=3, ge=0)
    hidden: bool = False
    grid: ConditionSet = Field(default_factory=ConditionSet)
    error_mean_max: Tolerance | None = None
    error_max_max: Tolerance | None = None
    flat_error_max: Tolerance = 1e-5
    r2_min: Annotated[float, Field(le=1)] | None = None
    grid_accuracy_min: Share | None = None

    @model_validator(mode="after")
    def _one_kind_of_conditions(self) -> Self:
        if self.grid and self.conditions != ConditionSettings():
            raise ValueError(
                "verification.conditions and verification.grid are both given: the one simulates the network under "
                "other conditions than it is modelled in, the other models it under each. Give one of them"
            )
        return self


class EnergySettings(Definition):
    """How energy and delay are measured, in a transient over the first so many test images.

    images                how many; the last of them comes before the first. 0 leaves it out, 1 would have no step
    column_capacitance_F  of every crossbar column's wire to ground, besides the transistors' own
    row_capacitance_F     of every inverter output's, likewise
    edge_s                in which the rows go linearly from one image to the next
    settled               an output has settled when it stays within this share of its step
    step_min_V            smaller steps of an output are not waited for
    netlist               as of the verification, but always by default mesh with wires and reduced without; wires have
                          what [wires] says to ground, too
    """

    images: int = Field(default=0, ge=0)
    column_capacitance_F: float = Field(default=0.0, ge=0)
    row_capacitance_F: float = Field(default=0.0, ge=0)
    edge_s: float = Field(default=1e-11, gt=0)
    settled: float = Field(default=0.1, gt=0, lt=1)
    step_min_V: Volts = 1e-3
    netlist: Literal["reduced", "mesh", "flat"] | None = None

    @model_validator(mode="after")
    def _has_a_step(self) -> Self:
        if self.images == 1:
            raise ValueError("energy.images = 1: from one image to itself there is no step; give 2 or more, or 0")
        return self


class CalibrationSettings(Definition):
    """How chips are calibrated, one by one.

    first, chips   the number of the first, and how many
    trains         what is programmed once more: "all" conductances; "last": the last crossbar and all biases; "biases"
    errors         of the chip: "known", or "unknown": then it is measured in every step, here by ngspice
    steps, batch_size  of Adam, its rate falling along half a cosine; learning_rate None: by what is trained
    simulated      the first so many calibrated chips are simulated in ngspice
    images         test images by which they are judged
    variation      from chip to chip
    """

    first: int = Field(default=0, ge=0, lt=MOST_CHIPS)
    chips: int = Field(default=1, ge=1, le=1_000_000)
    trains: Trains = "all"
    errors: Literal["known", "unknown"] = "known"
    steps: int = Field(default=200, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: Positive | None = None
    seed: int = Field(default=0, ge=0)
    simulated: int = Field(default=0, ge=0)
    images: int = Field(default=1000, ge=1)
    variation: VariationSettings = Field(default_factory=VariationSettings)

    @model_validator(mode="after")
    def _chips_are_there(self) -> Self:
        if self.first + self.chips > MOST_CHIPS:
            raise ValueError(f"first = {self.first} and chips = {self.chips}: the last number is 2^32 - 1")
        if self.simulated > self.chips:
            raise ValueError(
                f"simulated = {self.simulated} of chips = {self.chips}: give more chips, or simulate fewer"
            )
        return self


class InverterExperiment(Experiment):
    """Everything a run of the inverter system depends on."""

    system: Literal["inverter"] = "inverter"
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    verification: VerificationSettings = Field(default_factory=VerificationSettings)
    energy: EnergySettings = Field(default_factory=EnergySettings)
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings)

    @model_validator(mode="after")
    def _rim_has_its_resistors(self) -> Self:
        if self.training.method == "rim" and self.network.ground_ohm is None:
            raise ValueError(
                "training.method = 'rim' needs the resistors from every inverter output to mid-rail that it relies on: "
                "give network.ground_ohm, e.g. 1e5"
            )
        return self

    @model_validator(mode="after")
    def _no_neuron_has_a_threshold(self) -> Self:
        asked = {
            "training.variation": self.training.variation,
            "verification.variation": self.verification.variation,
            "calibration.variation": self.calibration.variation,
            **{f"verification.chips_conditions.{k}": one for k, one in self.verification.chips_conditions.items()},
        }
        for table, variation in asked.items():
            for key in variation.of_thresholds:
                raise ValueError(
                    f"{table}.{key} is of spiking neurons: the inverter system has none with a "
                    "threshold. What its transistors do to an inverter is `mismatch`"
                )
        return self

    @classmethod
    def of_today(cls, content: dict[str, Any]) -> dict[str, Any]:
        verification = without(content.get("verification", {}), *_ABSOLUTE)
        training = training_of_today(content.get("training", {}))
        return content | {"verification": verification, "training": training}

    def _paths(self, base: Path) -> dict[str, Any]:
        initial = self.training.model_copy(update={"initial": absolute(self.training.initial, base)})
        return super()._paths(base) | {"training": initial}


def training_of_today(table: dict[str, Any]) -> dict[str, Any]:
    """[training], or what a checkpoint says of it, as older versions wrote it, in today's words."""
    own = {"load_S": table["phax_load_S"]} if table.get("method") == "phax" and "phax_load_S" in table else None
    return without(table, "phax_load_S") | ({} if own is None else {"phax": own})


def own_settings(about: dict[str, Any]) -> Definition:
    """What the method of a network, by its provenance `about`, brought when it was trained; of older versions, too."""
    method = str(about["method"])
    return METHODS[method].settings.model_validate(training_of_today(about).get(method, {}))


def without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A table without keys that have gone."""
    return {key: value for key, value in table.items() if key not in keys}
