"""What an experiment of the spiking system says: its tables of a TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from spicetrain.errors import ConfigurationError
from spicetrain.experiment import CharacterizationSettings, Experiment, absolute, absolute_toml
from spicetrain.registry import Registry
from spicetrain.schema import Definition
from spicetrain.spiking.circuit import Fingers, PerLayer, SpikingCircuit, load_circuit
from spicetrain.spiking.methods import METHODS, Method
from spicetrain.training.settings import Augmentation, LoopSettings, Positive
from spicetrain.verification.conditions import ConditionSettings
from spicetrain.verification.settings import Share, Tolerance, VerificationBase

Readout = Literal["counts", "membrane", "integrator"]
SpikeEncoder = Literal["rate", "dither", "latency", "direct"]


class CircuitSettings(Definition):
    """name: a shipped spiking circuit's, or the path of a TOML; the others, when given, stand in place of its own.

    neuron  file of a SPICE subcircuit in place of the circuit's own neuron (docs/own-neuron.md)
    """

    name: str = "lif-1r"
    threshold_V: PerLayer | None = None
    capacitance_F: PerLayer | None = None
    inverter_fingers: Fingers | None = None
    reset_fingers: PerLayer | None = None
    word_line_boost_V: Annotated[float, Field(ge=0)] | None = None
    neuron: Path | None = None

    def load(self) -> SpikingCircuit:
        """The circuit; ConfigurationError when its file is gone or bad."""
        given = self.model_dump(exclude={"name", "neuron"})
        subcircuit = None if self.neuron is None else self.neuron.expanduser().resolve()
        return load_circuit(self.name).changed(**given, subcircuit=subcircuit)

    def trained_as(self) -> dict[str, Any]:
        """Without what is not given of later settings, what it was before there were any."""
        later = ("reset_fingers", "word_line_boost_V", "neuron")
        content = self.model_dump(mode="json")
        return {key: value for key, value in content.items() if key not in later or value is not None}


class SpikingNetworkSettings(Definition):
    """Shape of a spiking network, and how an input becomes spikes.

    layers        inputs, hidden neurons ..., outputs
    steps         clock steps that an image is shown for
    encoder       rate: an input x in 0..1 spikes in every step with probability x; latency: once, the earlier the
                  larger it is, below 0.01 never (both snntorch.spikegen); dither: as evenly as its rate x allows, every
                  row with a phase of its own, always the same; direct: no spikes, the row stands x of the way from
                  rest to its rail in every step, as ideal sources (converters) can hold those of a passive array; on
                  `1r` with ideal inputs only
    encoder_gain  x times this, 1 at most, is what is encoded
    readout       counts: the output that spiked most, of several the first; membrane: of several the one whose membrane
                  is highest at the last latch, as ideal comparators see it (they are in no netlist, like the
                  counters); integrator: the outputs never fire and are never reset, and the one whose membrane is
                  highest at the last latch is the class, as ideal comparators see it
    encoder_seed  of the spikes of the test images: training's test accuracy and the verification see the same ones
    """

    layers: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(784, 100, 10), min_length=2)
    steps: int = Field(default=10, ge=1)
    encoder: SpikeEncoder = "rate"
    encoder_gain: Positive = 1.0
    encoder_seed: int = Field(default=0, ge=0)
    readout: Readout = "counts"

    @property
    def integrator(self) -> int | None:
        """The layer whose neurons do not fire; None: all do."""
        return len(self.layers) - 2 if self.readout == "integrator" else None

    def trained_as(self) -> dict[str, Any]:
        """Without a gain and another read-out, what it was before there could be one."""
        usual = {"encoder_gain": 1.0, "readout": "counts"}
        return {key: value for key, value in self.model_dump(mode="json").items() if usual.get(key) != value}


class SpikingTrainingSettings(LoopSettings):
    """How a spiking network is trained; see LoopSettings for the rest.

    method           one of spiking.methods.METHODS
    laws             of `circuit`, in a step of the optimizer: "simple", currents that are lines or parabolas of the
                     membrane (simple_columns.py), or "measured". Every epoch is scored by the measured ones, and
                     arrays with wires are trained by them
    static_epochs    so many of the epochs are the first, in which a neuron is how often it fires when its inputs never
                     change (static.py): quick, and without the noise of a surrogate gradient. Chips do not vary in them
    surrogate_slope  of snntorch's fast sigmoid, over membranes in units of their threshold
    rate_logit       what an output that spikes in every step counts in the softmax; of an integrator, one whose
                     membrane stands five thresholds above the mean of all (training.readout.SWINGS)
    initial          network.safetensors of another run of the same method to start from; with epochs = 0 that very
                     network, finished as this method's table says: programmed and calibrated otherwise
    """

    methods: ClassVar[Registry[Method]] = METHODS

    method: Annotated[str, METHODS.validator()] = "circuit"
    epochs: int = Field(default=25, ge=0)
    learning_rate: Positive = 0.02
    warm_up: float = Field(default=0.15, ge=0, lt=1)
    augmentation: Augmentation = Augmentation(shift_pixels=1.0)
    laws: Literal["simple", "measured"] = "simple"
    static_epochs: int = Field(default=0, ge=0)
    surrogate_slope: Positive = 3.0
    rate_logit: Positive = 15.0
    initial: Path | None = None

    def require_epochs(self) -> None:
        """ConfigurationError when nothing would be trained."""
        if not self.epochs and self.initial is None:
            raise ConfigurationError(
                "training.epochs = 0 programs the network of training.initial once more, and none is given: give it, "
                "or train for an epoch at least."
            )

    def trained_as(self) -> dict[str, Any]:
        """Without an initial network, what it was before there could be one; laws only where there is a choice."""
        unasked = {"initial"} if self.initial is None else set()
        unasked |= set() if self.method == "circuit" else {"laws"}
        unasked |= set() if self.static_epochs else {"static_epochs"}
        return {key: value for key, value in super().trained_as().items() if key not in unasked}


class SpikingVerificationSettings(VerificationBase):
    """How a trained spiking network is verified; see VerificationBase for the rest.

    netlist              "reduced": on `1r` the first layer's columns as exact Thevenin sources; on `1t1r` all cells of
                         a column as their measured currents, not exact; "mesh", of a technology with [wires]: the first
                         layer as what the exact mesh of its wires is to the membranes, all others flat; "flat": every
                         device, every driver and every segment of wires. None: mesh with wires, reduced without
    waveform_images      of so many of them, chosen neurons are kept at all points in time; 0: of none
    spikes               file of input spikes to take instead of encoding the images
    accuracy_gap_max     between the method's own model and SPICE
    membrane_rms_max     below the threshold, as a share of the first threshold's distance from rest
    flat_membrane_max    of the largest difference between flat and reduced, likewise, and of no differing spike; None:
                         reported only
    model_images         so many test images in the models alone, besides those that are simulated; 0: none
    chips_simulated_images  of the chips in ngspice the first so many of their images; None: all of them
    conditions_simulated so many chips of each of chips_conditions in ngspice as well
    operating            operating conditions, by name: the nominal chip is simulated under each, on the first
                         operating_images
    operating_laws       the circuit is measured and fitted under each, so that there is a model of it there
    """

    images: int = Field(default=500, ge=1)
    netlist: Literal["reduced", "mesh", "flat"] | None = None
    waveform_images: int = Field(default=1, ge=0)
    spikes: Path | None = None
    accuracy_gap_max: Share | None = None
    spike_agreement_min: Share | None = None
    membrane_rms_max: Tolerance | None = None
    flat_membrane_max: Tolerance | None = None
    model_images: int = Field(default=0, ge=0)
    chips_simulated_images: Annotated[int, Field(ge=1)] | None = None
    conditions_simulated: int = Field(default=0, ge=0)
    operating: dict[str, ConditionSettings] = Field(default_factory=dict)
    operating_images: int = Field(default=100, ge=1)
    operating_laws: bool = True

    @model_validator(mode="after")
    def _conditions_have_chips(self) -> Self:
        if self.conditions_simulated > self.chips:
            raise ValueError(
                f"conditions_simulated = {self.conditions_simulated} of chips = {self.chips}: those that are simulated "
                "are the first of them. Give more chips, or simulate fewer"
            )
        return self

    @property
    def further(self) -> dict[str, Any]:
        """What is asked of a verification besides what every one had before there was more, JSON; of a key."""
        names = ("model_images", "chips_simulated_images", "conditions_simulated")
        own = {name: value for name in names if (value := getattr(self, name))}
        if self.operating:
            own |= self.model_dump(mode="json", include={"operating", "operating_images", "operating_laws"})
        return own


class SpikingExperiment(Experiment):
    """Everything a run of the spiking system depends on."""

    system: Literal["spiking"] = "spiking"
    circuit: CircuitSettings = Field(default_factory=CircuitSettings)
    characterization: CharacterizationSettings = CharacterizationSettings(plan="spiking")
    network: SpikingNetworkSettings = Field(default_factory=SpikingNetworkSettings)
    training: SpikingTrainingSettings = Field(default_factory=SpikingTrainingSettings)
    verification: SpikingVerificationSettings = Field(default_factory=SpikingVerificationSettings)

    @classmethod
    def of_today(cls, content: dict[str, Any]) -> dict[str, Any]:
        gone = ("membrane_rms_max_V", "flat_membrane_max_V")
        verification = {key: value for key, value in content.get("verification", {}).items() if key not in gone}
        if verification.get("netlist") == "reduced":  # once written where nothing was said: with wires it is another
            del verification["netlist"]
        training = training_of_today(content.get("training", {}))
        return content | {"verification": verification, "training": training}

    def trained_as(self) -> dict[str, Any]:
        return super().trained_as() | {f"circuit.{key}": value for key, value in self.circuit.trained_as().items()}

    def measured_as(self) -> dict[str, Any]:
        return super().measured_as() | {"circuit": self.circuit}

    def _paths(self, base: Path) -> dict[str, Any]:
        moved = {"name": absolute_toml(self.circuit.name, base), "neuron": absolute(self.circuit.neuron, base)}
        circuit = self.circuit.model_copy(update=moved)
        settled = super()._paths(base)
        spikes = {"spikes": absolute(self.verification.spikes, base)}
        initial = {"initial": absolute(self.training.initial, base)}
        return settled | {
            "circuit": circuit,
            "training": self.training.model_copy(update=initial),
            "verification": settled["verification"].model_copy(update=spikes),
        }


def training_of_today(table: dict[str, Any]) -> dict[str, Any]:
    """[training], or what a checkpoint says of it, as older versions wrote it, in today's words."""
    moved = {key: table[key] for key in ("beta", "clip_quantile", "calibration_images") if key in table}
    rest = {key: value for key, value in table.items() if key not in moved}
    return rest | ({"regular": moved} if moved and table.get("method") == "regular" else {})
