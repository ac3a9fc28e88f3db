"""What a verification of the spiking system finds: summary.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spicetrain.verification.area import AreaFigures
from spicetrain.verification.chips import ChipFigures
from spicetrain.verification.summary import Record, Summary


class MembraneFigures(Record):
    """Model less SPICE at the latch, over the membranes that are compared: rms and largest, volts, and how many."""

    membrane_rms_V: float
    membrane_max_V: float
    membrane_points: int


class FlatFigures(Record):
    """Every device against the reduced netlist, on the first images."""

    images: int
    same_spikes: bool
    spike_mismatches: int
    membrane_difference_max_V: float
    energy_per_inference_J: float
    energy_by_supply_J: dict[str, float]
    energy_per_inference_reduced_J: float
    seconds_ngspice: float


class OperatingFigures(Record):
    """accuracy_spice, tie_rate, energy  in ngspice under the condition
    accuracy_nominal_model  by the model of the nominal circuit, which knows of no condition
    accuracy_model, agreement, spike_agreement  by the one that was measured and fitted under the condition, if it was;
                            the accuracy on model_images, where that many were asked of models, else on the same
    """

    images: int
    model_images: int | None = None
    accuracy_spice: float
    accuracy_nominal_model: float
    tie_rate: float
    energy_per_inference_J: float
    accuracy_model: float | None = None
    agreement: float | None = None
    spike_agreement: float | None = None
    temperature_C: float
    vdd_V: float
    vss_V: float
    seconds_ngspice: float


class SpikingSummary(Summary):
    """accuracy_model       by the method's own model; accuracy_circuit_model  by the circuit's, with these weights
    accuracy_gap            between the first of them and SPICE
    agreement               same class in the circuit's model and in SPICE
    tie_rate                share of the images in which the read-out has several outputs equal, of which the first is
                            taken: as many spikes, or the same membrane; in SPICE, and tie_rate_model and
                            tie_rate_circuit_model  in the models; None in summaries of older versions
    readout                 see SpikingNetworkSettings
    spike_agreement         share of neurons and steps in which both spike or both do not, of the layers that spike;
                            by_layer  None of an integrator, whose neurons do not. 1 where no layer spikes
    spikes_per_image_input  None where inputs are levels (encoder `direct`)
    threshold_share         (V_th - V_rest) / (V_S - V_rest) of the first layer
    threshold_V             of the first layer, from rest
    flat_left_out           why no image was simulated flat although some were asked for
    model_images            test images in the models alone, and the accuracies of both on them (*_all)
    operating               the nominal chip under operating conditions, by name
    membrane_*              of subthreshold steps, see `figures`; before_mismatch  up to the first differing spike
    """

    system: Literal["spiking"] = "spiking"
    circuit: str
    array: Literal["1r", "1t1r"]
    threshold_share: float
    threshold_V: float | None = None
    steps: int
    readout: str = "counts"
    accuracy_model: float
    accuracy_spice: float
    agreement: float
    accuracy_circuit_model: float
    accuracy_gap: float
    tie_rate: float | None = None
    tie_rate_model: float | None = None
    tie_rate_circuit_model: float | None = None
    spike_agreement: float
    spike_agreement_by_layer: tuple[float | None, ...]
    spike_mismatches: int
    images_without_mismatch: int
    membrane_rms_V: float
    membrane_max_V: float
    membrane_points: int
    membrane_rms_V_by_layer: tuple[float, ...]
    before_mismatch: MembraneFigures
    spikes_per_image_input: float | None
    spikes_per_image_model: tuple[float, ...]
    spikes_per_image_spice: tuple[float, ...]
    energy_per_inference_J: float
    energy_by_supply_J: dict[str, float]
    seconds_per_image: float
    flat: FlatFigures | None = None
    flat_left_out: str | None = None
    chips: ChipFigures | None = None
    model_images: int | None = None
    accuracy_model_all: float | None = None
    accuracy_circuit_model_all: float | None = None
    operating: dict[str, OperatingFigures] = Field(default_factory=dict)
    area: AreaFigures | None = None
