"""The figures of a spiking network's verification, and what its netlist was."""

from __future__ import annotations

from spicetrain.array.layered import shape_text
from spicetrain.report.area import area_blocks
from spicetrain.report.blocks import Block, Figures, Notice, Paragraph, Table
from spicetrain.report.provenance import conditions_blocks, operating_rows
from spicetrain.report.units import count, percent, quantity, seconds
from spicetrain.spiking.verification.summary import SpikingSummary

_SUPPLIES = {
    "vdd": "upper rail",
    "vss": "lower rail",
    "rest": "rest supply",
    "threshold": "supplies of the threshold inverters",
    "word lines": "boosted supplies of the word lines",
    "rows": "ideal sources of the input rows",
    "cells": "both rails through the cells",
}
_NOT_INSIDE = {
    "1r": "the latches and the gates of reset transistors and row drivers, which are ideal",
    "1t1r": "the latches, the gates of reset transistors and of word-line drivers, and the word lines of the inputs, "
    "which are ideal",
}


def result_blocks(summary: SpikingSummary, verify: str) -> list[Block]:
    """Tiles, the netlist in words, accuracies, layers, energy, area, circumstances; KeyError when one is missing.

    verify  the command that made them
    """
    return [
        Figures(_tiles(summary)),
        *conditions_blocks(summary),
        *_netlist(summary, verify),
        _accuracies(summary),
        _layers(summary),
        _energy(summary),
        *area_blocks(summary.area),
        _circumstances(summary),
    ]


def _tiles(summary: SpikingSummary) -> list[tuple[str, str, str]]:
    early = summary.before_mismatch.membrane_rms_V
    return [
        (percent(summary.accuracy_spice), "accuracy in SPICE", f"of {count(int(summary.images), 'test image')}"),
        (percent(summary.accuracy_model), "accuracy of its own model", "the same images and spikes"),
        (percent(summary.spike_agreement, 3), "spike agreement", "every neuron in every step"),
        (
            quantity(summary.membrane_rms_V, "V"),
            "membrane error, rms",
            f"below threshold; {quantity(early, 'V')} up to the first mismatch",
        ),
        (quantity(summary.energy_per_inference_J, "J"), "energy per inference", "all supplies, mean"),
        (seconds(summary.seconds_per_image), "ngspice, an image", "one core"),
    ]


def _netlist(summary: SpikingSummary, verify: str) -> list[Block]:
    flat, array = summary.flat, summary.array
    if summary.netlist == "flat":
        return [Paragraph("Flat netlist: every device and every driver of the array is simulated.")]
    if summary.netlist == "mesh":
        text = (
            "Mesh netlist: ideal sources hold the first layer's rows, so its devices and wires are exactly sources and "
            "conductances at its membranes and between them; in all other layers every device, driver and segment of "
            "wires is simulated. This is exact, but for the wires' capacitance, which stands at the membranes."
        )
    elif array == "1r":
        text = (
            "Reduced netlist: ideal sources hold the first layer's rows, so each of its columns is one source behind "
            "one conductance (Thevenin); all other layers are simulated device by device, with their drivers. This is "
            "exact, no approximation."
        )
    else:
        text = (
            "Reduced netlist, not exact: in every layer the cells of a column are one current, the sum of measured "
            "cell currents as polynomials of the membrane; word lines and their drivers are left out. Neurons are "
            "simulated device by device."
        )
    if flat is None:
        missing = "It was not compared with the flat netlist, every device, in this run."
        if summary.flat_left_out is not None:
            return [Paragraph(text), Notice(f"{missing} Left out: {summary.flat_left_out}.", "")]
        # A flat 1t1r at full size takes hours an image.
        return [Paragraph(text), Notice(missing, f"{verify} --flat-images 3" if array == "1r" else "")]
    images, difference = count(int(flat.images), "image"), quantity(flat.membrane_difference_max_V, "V")
    spikes = "the same spikes" if flat.same_spikes else f"{count(flat.spike_mismatches, 'spike')} differing"
    return [Paragraph(f"{text} Against every device (flat), on {images}: {spikes}, membranes within {difference}.")]


def _accuracies(summary: SpikingSummary) -> Table:
    own = "as the circuit has it" if summary.method == "circuit" else "linear leaky integrate-and-fire neurons"
    rows = [
        (f"{summary.method}, its own model", percent(summary.accuracy_model), _ties(summary.tie_rate_model), own),
        (
            "model of the circuit",
            percent(summary.accuracy_circuit_model),
            _ties(summary.tie_rate_circuit_model),
            "with these weights",
        ),
        (
            "SPICE",
            percent(summary.accuracy_spice),
            _ties(summary.tie_rate),
            f"the class of the circuit's model in {percent(summary.agreement)} of the images",
        ),
    ]
    return Table(
        ("", "accuracy", "ties", ""),
        rows,
        "Same images, same input spikes. Ties: images in which several classes are equal to the read-out, which takes "
        "the first.",
    )


def _ties(rate: float | None) -> str:
    return "" if rate is None else percent(rate)


def _layers(summary: SpikingSummary) -> Table:
    inputs = "levels" if summary.spikes_per_image_input is None else f"{summary.spikes_per_image_input:,.1f}"
    rows = [("input", str(summary.layers[0]), "", inputs, "", "")]
    by_layer = zip(
        summary.layers[1:],
        summary.spikes_per_image_model,
        summary.spikes_per_image_spice,
        summary.spike_agreement_by_layer,
        summary.membrane_rms_V_by_layer,
        strict=True,
    )
    for index, (width, model, spice, agreement, rms_V) in enumerate(by_layer, start=1):
        spikes = ("", "", "") if agreement is None else (f"{model:,.2f}", f"{spice:,.2f}", percent(agreement, 3))
        figures = (*spikes, quantity(rms_V, "V"))
        rows.append((f"layer {index}", str(width), *figures))
    caption = (
        f"Means of an image, {summary.steps} time steps. Agreement: share of neurons and steps in which model and "
        "SPICE both spike or both do not. The membrane error is taken at the latch, in steps in which the neuron "
        "fired in neither."
    )
    return Table(("", "neurons", "spikes, model", "spikes, SPICE", "agreement", "membrane error, rms"), rows, caption)


def _energy(summary: SpikingSummary) -> Table:
    total = summary.energy_per_inference_J
    rows = [
        (_SUPPLIES.get(supply, supply), quantity(joule, "J"), percent(joule / total, 1) if total else "")
        for supply, joule in summary.energy_by_supply_J.items()
    ]
    caption = f"Energy of an image by supply, mean. Not inside: {_NOT_INSIDE[summary.array]}."
    return Table(("supply", "energy", "share"), rows, caption)


def _circumstances(summary: SpikingSummary) -> Table:
    rows = [
        *(
            (key, str(getattr(summary, key)))
            for key in ("dataset", "method", "technology", "circuit", "array", "netlist")
        ),
        *operating_rows(summary),
        ("layers", shape_text(summary.layers)),
        ("time steps", str(summary.steps)),
        ("images", f"{int(summary.images):,}"),
        (
            "ngspice",
            f"version {summary.ngspice_version}, {seconds(summary.seconds_ngspice)} summed over its processes",
        ),
        ("verified in", seconds(summary.seconds_total)),
    ]
    if (flat := summary.flat) is not None:
        energy, reduced = (
            quantity(getattr(flat, key), "J") for key in ("energy_per_inference_J", "energy_per_inference_reduced_J")
        )
        took = seconds(flat.seconds_ngspice)
        same = f"{summary.netlist} {reduced} of the same images"
        rows.append(("flat", f"{energy} an inference, {same}; {took} in ngspice"))
    return Table((), rows)
