"""Figures of a verification: accuracy, agreement and output error of the model against SPICE; what is asked of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.layered import shape_text
from spicetrain.inverter.definition import VerificationSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.verification.summary import GridFigures, InverterSummary, RegressionFigures
from spicetrain.verification.area import area_row
from spicetrain.verification.chips import chips_rows, limits_of
from spicetrain.verification.limits import Limit, asked, require

# What a method claims that knows the circuit, where that one is simulated: a hundred times what kcl's model
# is off by with the shipped settings, and a tenth of what a neglected load costs.
CLAIMED_ERROR, CLAIMED_AGREEMENT = 5e-3, 0.99

_MODEL = (
    "a technology whose multiplicity does not work, surrogates fitted too coarsely or of another technology, or a "
    "method that neglects the load"
)
_TRAINING = "too few epochs, or a method that neglects the load"
_CONDITIONS = "a network that was not trained for them ([training.conditions]), or conditions that it cannot bridge"
_FLAT = "devices that do not reduce, or ngspice's own tolerances on a large array: look at the outputs of both"


def compare(model_V: NDArray, spice_V: NDArray, labels: NDArray) -> dict[str, float | int]:
    """Figures for outputs [images, outputs] in volts and labels [images].

    agreement: share of images that model and SPICE put into the same class; error: |model - SPICE| over all outputs.
    """
    in_model, in_spice = model_V.argmax(1), spice_V.argmax(1)
    return {
        "images": len(labels),
        "accuracy_model": float(np.mean(in_model == labels)),
        "accuracy_spice": float(np.mean(in_spice == labels)),
        "agreement": float(np.mean(in_model == in_spice)),
        **output_errors(model_V, spice_V),
    }


def output_errors(model_V: NDArray, spice_V: NDArray) -> dict[str, float]:
    """|model - SPICE| over all outputs [images, outputs]: mean, rms and largest, in volts."""
    error = np.abs(model_V - spice_V)
    return {
        "error_mean_V": float(error.mean()),
        "error_rms_V": float(np.sqrt(np.mean(error**2))),
        "error_max_V": float(error.max()),
    }


def require_within(summary: InverterSummary, settings: VerificationSettings) -> None:
    """VerificationError naming every figure that is outside what the settings ask, or the method claims."""
    r2_spice = None if summary.regression is None else summary.regression.r2_spice
    swing_V, flat, images = summary.swing_V or float("nan"), summary.flat, summary.images
    claims = METHODS[summary.method].knows_circuit and summary.model_is_of_the_circuit
    error_max = asked(settings.error_mean_max, CLAIMED_ERROR if claims else None)
    agreement_min = asked(settings.agreement_min, CLAIMED_AGREEMENT if claims else None)
    different = None if flat is None else flat.difference_max_V / swing_V
    require(
        (
            Limit("accuracy_spice", summary.accuracy_spice, settings.accuracy_min, "at least", images, _TRAINING),
            Limit("r2_spice", r2_spice, settings.r2_min, "at least", None, _TRAINING),
            Limit("agreement", summary.agreement, agreement_min, "at least", images, _MODEL),
            Limit("error_mean_V / swing", summary.error_mean_V / swing_V, error_max, "at most", None, _MODEL),
            Limit(
                "error_max_V / swing", summary.error_max_V / swing_V, settings.error_max_max, "at most", None, _MODEL
            ),
            *limits_of(summary.chips, settings.yield_min, agreement_min),
            *_limits_of_grid(summary.grid, settings, claims),
            Limit("solver_unconverged", summary.solver_unconverged, 0, "at most", None, _MODEL),
            Limit("flat.difference_max_V / swing", different, settings.flat_error_max, "at most", None, _FLAT),
        )
    )


def _limits_of_grid(grid: GridFigures | None, settings: VerificationSettings, claims: bool) -> list[Limit]:
    """What is asked under every condition; nothing where there are none."""
    if grid is None:
        return []
    error_max = asked(settings.error_mean_max, CLAIMED_ERROR if claims else None)
    agreement_min = asked(settings.agreement_min, CLAIMED_AGREEMENT if claims else None)
    least, images = settings.grid_accuracy_min, grid.images
    return [
        Limit("grid.accuracy_min", grid.accuracy_min, least, "at least", images, _CONDITIONS),
        Limit("grid.agreement_min", grid.agreement_min, agreement_min, "at least", images, _MODEL),
        Limit("grid.error_mean_V / swing", grid.error_mean_worst, error_max, "at most", None, _MODEL),
        Limit("grid.solver_unconverged", grid.solver_unconverged, 0, "at most", None, _MODEL),
    ]


def grid_rows(grid: GridFigures) -> list[tuple[str, str]]:
    """For a terminal: rows (figure, value)."""
    rows = [
        (f"{grid.count} conditions in SPICE, mean", f"{grid.accuracy_mean:.2%}"),
        (f"worst, {grid.worst}", f"{grid.accuracy_min:.2%}"),
    ]
    for what, by in (("", grid.by_corner), (" C", grid.by_temperature_C), (" of the supply", grid.by_vdd_scale)):
        if len(by) > 1:
            rows += [
                (f"at {name}{what}, mean / worst", f"{one.accuracy_mean:.2%} / {one.accuracy_min:.2%}")
                for name, one in by.items()
            ]
    return [
        *rows,
        ("conditions, agreement, least", f"{grid.agreement_min:.2%}"),
        ("conditions, output error, mean / max", f"{grid.error_mean_V * 1e6:.1f} / {grid.error_max_V * 1e6:.1f} uV"),
        (
            "conditions, static power, least .. most",
            f"{grid.static_power_min_W * 1e6:.4g} .. {grid.static_power_max_W * 1e6:.4g} uW",
        ),
    ]


def regression_rows(figures: RegressionFigures) -> list[tuple[str, str]]:
    """For a terminal: rows (figure, value)."""
    rows = [("R2, own model", f"{figures.r2_model:.5f}"), ("R2, SPICE", f"{figures.r2_spice:.5f}")]
    for name, one in figures.outputs.items():
        rows.append((f"{name}, rms, own model / SPICE", f"{one.rms_model:.4g} / {one.rms_spice:.4g}"))
    return rows


def summary_rows(summary: InverterSummary) -> tuple[str, list[tuple[str, str]]]:
    """For a terminal: a title, and rows (figure, value)."""
    title = f"{summary.dataset} {shape_text(summary.layers)}, {summary.method}, {summary.images} images in ngspice"
    accuracies = {
        "accuracy, own model": summary.accuracy_model,
        "accuracy, SPICE": summary.accuracy_spice,
        "agreement": summary.agreement,
    }
    rows = [(name, f"{share:.2%}") for name, share in accuracies.items() if share is not None]
    if summary.regression is not None:
        rows += regression_rows(summary.regression)
    errors = {"mean": summary.error_mean_V, "rms": summary.error_rms_V, "max": summary.error_max_V}
    rows += [(f"output error, {name}", f"{error * 1e6:.1f} uV") for name, error in errors.items()]
    flat, energy = summary.flat, summary.energy
    if flat is not None:
        rows.append((f"flat - {summary.netlist}, max of {flat.images} images", f"{flat.difference_max_V * 1e6:.2f} uV"))
    if summary.flat_left_out is not None:
        rows.append(("flat, left out", summary.flat_left_out))
    if summary.chips is not None:
        rows += chips_rows(summary.chips)
    if summary.grid is not None:
        rows += grid_rows(summary.grid)
    rows += [(f"outside the measured {name}", f"{number:,}") for name, number in summary.extrapolated.items()]
    if energy is not None:
        rows += [
            (f"hold time, worst of {energy.images} images", f"{energy.hold_time_s * 1e9:.4g} ns"),
            ("energy per inference", f"{energy.energy_per_inference_J * 1e12:.4g} pJ"),
            ("static power of the rails", f"{energy.static_power_W * 1e6:.4g} uW"),
            ("power of the sources", f"{energy.source_power_W * 1e6:.4g} uW"),
        ]
    rows += [] if summary.area is None else [area_row(summary.area)]
    seconds = sum(part.seconds_ngspice for part in (summary, flat, energy) if part is not None)
    return title, [*rows, ("seconds in ngspice", f"{seconds:.1f}")]
