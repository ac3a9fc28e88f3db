"""Figures of a verification: accuracy, agreement and output error of the model against SPICE."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from spicetrain.array.layered import shape_text
from spicetrain.inverter.verification.settings import VerificationSettings
from spicetrain.spiking.verification.figures import spiking_table
from spicetrain.verification.limits import require


def compare(model_V: NDArray, spice_V: NDArray, labels: NDArray) -> dict[str, float | int]:
    """Figures for outputs [images, outputs] in volts and labels [images].

    agreement: share of images that model and SPICE put into the same class; error: |model - SPICE| over all outputs.
    """
    error = np.abs(model_V - spice_V)
    in_model, in_spice = model_V.argmax(1), spice_V.argmax(1)
    return {
        "images": len(labels),
        "accuracy_model": float(np.mean(in_model == labels)),
        "accuracy_spice": float(np.mean(in_spice == labels)),
        "agreement": float(np.mean(in_model == in_spice)),
        "error_mean_V": float(error.mean()),
        "error_rms_V": float(np.sqrt(np.mean(error**2))),
        "error_max_V": float(error.max()),
    }


def require_within(summary: dict, settings: VerificationSettings) -> None:
    """VerificationError naming every figure that is outside what the settings ask."""
    flat = summary.get("flat") or {}
    limits = (
        ("accuracy_spice", summary["accuracy_spice"], settings.accuracy_min, "at least"),
        ("agreement", summary["agreement"], settings.agreement_min, "at least"),
        ("error_mean_V", summary["error_mean_V"], settings.error_mean_max_V, "at most"),
        ("error_max_V", summary["error_max_V"], settings.error_max_max_V, "at most"),
        ("solver_unconverged", summary["solver_unconverged"], 0, "at most"),
        ("flat.difference_max_V", flat.get("difference_max_V"), settings.flat_error_max_V, "at most"),
    )
    require(limits, "a method that neglects the load, too few epochs, or surrogates of another technology")


def summary_table(summary: dict[str, Any]) -> Table:
    """The figures of summary.json, of either system, for a terminal."""
    return spiking_table(summary) if summary.get("system") == "spiking" else _inverter_table(summary)


def _inverter_table(summary: dict[str, Any]) -> Table:
    layers = shape_text(summary["layers"])
    table = Table(title=f"{summary['dataset']} {layers}, {summary['method']}, {summary['images']} images in ngspice")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_row("accuracy, own model", f"{summary['accuracy_model']:.2%}")
    table.add_row("accuracy, SPICE", f"{summary['accuracy_spice']:.2%}")
    table.add_row("agreement", f"{summary['agreement']:.2%}")
    for name in ("mean", "rms", "max"):
        table.add_row(f"output error, {name}", f"{summary[f'error_{name}_V'] * 1e6:.1f} uV")
    if flat := summary.get("flat"):
        table.add_row(f"flat - reduced, max of {flat['images']} images", f"{flat['difference_max_V'] * 1e6:.2f} uV")
    energy = summary.get("energy")
    if energy:
        table.add_row(f"hold time, worst of {energy['images']} images", f"{energy['hold_time_s'] * 1e9:.4g} ns")
        table.add_row("energy per inference", f"{energy['energy_per_inference_J'] * 1e12:.4g} pJ")
        table.add_row("static power of the rails", f"{energy['static_power_W'] * 1e6:.4g} uW")
        table.add_row("power of the sources", f"{energy['source_power_W'] * 1e6:.4g} uW")
    seconds = sum((part or {}).get("seconds_ngspice", 0.0) for part in (summary, flat, energy))
    table.add_row("seconds in ngspice", f"{seconds:.1f}")
    return table
