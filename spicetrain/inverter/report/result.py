"""The figures of a verification of the inverter system."""

from __future__ import annotations

from spicetrain.array.layered import shape_text
from spicetrain.inverter.report.regression import regression_tiles
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.report.area import area_blocks
from spicetrain.report.blocks import Block, Figures, Notice, Table
from spicetrain.report.provenance import conditions_blocks, operating_rows
from spicetrain.report.units import count, percent, quantity, seconds

_FAR = 0.01  # of the rails' distance


def result_blocks(summary: InverterSummary, verify: str) -> list[Block]:
    """Tiles, circumstances, area."""
    notices = [*conditions_blocks(summary), *_far_off(summary), *_extrapolated(summary)]
    return [Figures(_tiles(summary)), *notices, _circumstances(summary), *area_blocks(summary.area)]


def _far_off(summary: InverterSummary) -> list[Block]:
    there = summary.simulated_in or {}
    if "vdd_V" not in there or summary.error_mean_V < _FAR * (there["vdd_V"] - there["vss_V"]):
        return []
    off = f"{quantity(summary.error_mean_V, 'V')} in the mean, {quantity(summary.error_max_V, 'V')} at most"
    return [Notice(f"The model's outputs are {off} from those of ngspice: it was trained for another circuit.")]


def _extrapolated(summary: InverterSummary) -> list[Block]:
    if not summary.extrapolated:
        return []
    asked = ", ".join(f"{name} for {count(number, 'value')}" for name, number in summary.extrapolated.items())
    return [Notice(f"The model asked its surrogates outside the domain they were measured in: {asked}.")]


def _tiles(summary: InverterSummary) -> list[tuple[str, str, str]]:
    images = int(summary.images)
    shares = (
        (summary.accuracy_spice, "accuracy in SPICE", f"of {count(images, 'test image')}"),
        (summary.accuracy_model, "accuracy of the model", "the same images"),
        (summary.agreement, "agreement", "same class in both"),
    )
    return [
        *((percent(share), label, remark) for share, label, remark in shares if share is not None),
        *([] if summary.regression is None else regression_tiles(summary.regression)),
        (quantity(summary.error_mean_V, "V"), "mean output error", f"rms {quantity(summary.error_rms_V, 'V')}"),
        (quantity(summary.error_max_V, "V"), "largest output error", f"of {count(images, 'image')}, all outputs"),
    ]


def _circumstances(summary: InverterSummary) -> Table:
    took = seconds(summary.seconds_ngspice)
    rows = [
        ("dataset", str(summary.dataset)),
        ("layers", shape_text(summary.layers)),
        ("method", str(summary.method)),
        ("technology", str(summary.technology)),
        *operating_rows(summary),
        ("netlist", str(summary.netlist)),
        ("images", f"{int(summary.images):,}"),
        ("ngspice", f"version {summary.ngspice_version}, {took} summed over its processes"),
        ("verified in", seconds(summary.seconds_total)),
    ]
    if (flat := summary.flat) is not None:
        difference, took = quantity(flat.difference_max_V, "V"), seconds(flat.seconds_ngspice)
        text = f"{difference} at most, on {count(int(flat.images), 'image')} ({took} in ngspice, summed likewise)"
        rows.append((f"flat less {summary.netlist} netlist", text))
    if summary.flat_left_out is not None:
        rows.append(("flat netlist, left out", summary.flat_left_out))
    return Table((), rows)
