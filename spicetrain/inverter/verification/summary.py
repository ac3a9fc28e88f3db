"""What a verification of the inverter system finds: summary.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spicetrain.verification.chips import ChipFigures
from spicetrain.verification.summary import Record, Summary


class FlatFigures(Record):
    """Every device against the verification's netlist, on the first images: the largest difference of an output."""

    images: int
    difference_max_V: float
    seconds_ngspice: float


class EnergyFigures(Record):
    """See `energy`: what was measured in time, and with which settings."""

    images: int
    steps: int
    hold_time_s: float
    hold_time_median_s: float
    energy_per_inference_J: float
    static_power_W: float
    source_power_W: float
    source_energy_J: float
    period_s: float
    column_capacitance_F: float
    row_capacitance_F: float
    edge_s: float
    settled: float
    step_min_V: float
    fingers: float
    seconds_ngspice: float


class InverterSummary(Summary):
    """error_*_V             |model - SPICE| over all outputs of all images
    swing_V                between the rails that were simulated
    solver_unconverged     samples whose voltages the model's own solver did not find
    flat_left_out          why none of the images asked for was simulated flat
    extrapolated           values that the model asked of its surrogates outside what was measured, by their names
    """

    system: Literal["inverter"] = "inverter"
    error_mean_V: float
    error_rms_V: float
    error_max_V: float
    swing_V: float | None = None
    solver_unconverged: int
    extrapolated: dict[str, int] = Field(default_factory=dict)
    flat: FlatFigures | None = None
    flat_left_out: str | None = None
    energy: EnergyFigures | None = None
    chips: ChipFigures | None = None
