"""What a verification of the inverter system finds: summary.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spicetrain.verification.area import AreaFigures
from spicetrain.verification.chips import ChipFigures
from spicetrain.verification.summary import Record, Summary


class FlatFigures(Record):
    """Every device against the verification's netlist, on the first images: the largest difference of an output."""

    images: int
    difference_max_V: float
    seconds_ngspice: float


class EnergyFigures(Record):
    """See `energy`: what was measured in time, and with which settings; row_F, column_F: of a segment of [wires]."""

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
    row_F: float = 0.0
    column_F: float = 0.0
    netlist: str | None = None
    edge_s: float
    settled: float
    step_min_V: float
    fingers: float
    seconds_ngspice: float


class ConditionFigures(Record):
    """Accuracy in ngspice over several conditions."""

    count: int
    accuracy_mean: float
    accuracy_min: float


class GridFigures(Record):
    """The network under every condition of a grid, each simulated in ngspice and modelled by a fit of its own.

    nominal        accuracy under the nominal condition, where it is one of them
    worst          the condition of the least accuracy, by name
    by_*           of the conditions that have a corner, a temperature, a supply in common
    agreement_min  of model and SPICE, under the condition where it is least
    error_*        |model - SPICE|: mean of all, largest mean as a share of the condition's own swing, largest of all
    static_power_* of the rails, mean over images, as in EnergyFigures
    """

    count: int
    images: int
    nominal: float | None = None
    accuracy_mean: float
    accuracy_min: float
    worst: str
    by_corner: dict[str, ConditionFigures]
    by_temperature_C: dict[str, ConditionFigures]
    by_vdd_scale: dict[str, ConditionFigures]
    agreement_min: float
    error_mean_V: float
    error_mean_worst: float
    error_max_V: float
    solver_unconverged: int
    static_power_min_W: float
    static_power_mean_W: float
    static_power_max_W: float
    seconds_ngspice: float


class OutputFigures(Record):
    """One output of a regression against its targets: r2, and the rms error in the target's own unit.

    low, high      range of the training targets; low_V, high_V  output voltages that stand for them
    """

    r2_model: float
    r2_spice: float
    rms_model: float
    rms_spice: float
    low: float
    high: float
    low_V: float
    high_V: float


class RegressionFigures(Record):
    """How right a regression is: r2 is the mean over the outputs."""

    r2_model: float
    r2_spice: float
    outputs: dict[str, OutputFigures]


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
    grid: GridFigures | None = None
    regression: RegressionFigures | None = None
    area: AreaFigures | None = None
