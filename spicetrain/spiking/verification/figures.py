"""Figures of a spiking network's verification: accuracies, spikes, membranes of the model against SPICE.

A layer is (spikes [images, steps, columns], membranes at the latch [images, steps, columns] in volts), steps local to
the layer. A subthreshold step of a neuron is one in which it fired in neither the model nor SPICE: only there do the
membranes mean the same. After a spike that only one of the two has, that neuron and all behind it are on different
courses; so membranes are also compared up to the clock step of an image's first such spike, that step included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.layered import shape_text
from spicetrain.spiking.definition import SpikingVerificationSettings
from spicetrain.spiking.methods import METHODS
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.verification.summary import SpikingSummary
from spicetrain.verification.area import area_row
from spicetrain.verification.chips import ChipFigures, chips_rows
from spicetrain.verification.limits import Limit, require

Layer = tuple[NDArray[np.bool_], NDArray[np.float64]]


def output_figures(layers: Sequence[Layer], network: SpikingNetwork) -> NDArray:
    """What the read-out looks at first, [images, outputs]: spikes, or an integrator's membranes at the last latch,
    volts."""
    return output_counts(layers) if network.integrator is None else layers[-1][1][:, -1]


def output_counts(layers: Sequence[Layer]) -> NDArray[np.int64]:
    """Spikes of every output, [images, outputs]."""
    counts: NDArray[np.int64] = layers[-1][0].sum(1)
    return counts


def classes(layers: Sequence[Layer], network: SpikingNetwork) -> NDArray[np.int64]:
    """The output that the network's read-out takes, [images]; of several the first."""
    return _taken(layers, network).argmax(1)


def tie_rate(layers: Sequence[Layer], network: SpikingNetwork) -> float:
    """Share of the images in which the read-out has several outputs equal."""
    return float(np.mean(_taken(layers, network).sum(1) > 1))


def _taken(layers: Sequence[Layer], network: SpikingNetwork) -> NDArray[np.bool_]:
    """Which outputs have the most spikes, and by the read-out `membrane` of these the highest membrane at the last
    latch; of an integrator the highest membrane. [images, outputs]."""
    figures = output_figures(layers, network)
    taken: NDArray[np.bool_] = figures == figures.max(1, keepdims=True)
    if network.about.get("readout") != "membrane":
        return taken
    last = np.where(taken, layers[-1][1][:, -1], -np.inf)
    return last == last.max(1, keepdims=True)


def accuracies(
    own: Sequence[Layer], model: Sequence[Layer], spice: Sequence[Layer], labels: NDArray, network: SpikingNetwork
) -> dict[str, Any]:
    """own: the method's own model; model: that of the circuit. labels [images]."""
    in_own, in_model, in_spice = (classes(layers, network) for layers in (own, model, spice))
    accuracy_own, accuracy_spice = float(np.mean(in_own == labels)), float(np.mean(in_spice == labels))
    return {
        "images": len(labels),
        "accuracy_model": accuracy_own,
        "accuracy_circuit_model": float(np.mean(in_model == labels)),
        "accuracy_spice": accuracy_spice,
        "accuracy_gap": abs(accuracy_own - accuracy_spice),
        "agreement": float(np.mean(in_model == in_spice)),
        "tie_rate": tie_rate(spice, network),
        "tie_rate_model": tie_rate(own, network),
        "tie_rate_circuit_model": tie_rate(model, network),
    }


def compare_spikes(model: Sequence[Layer], spice: Sequence[Layer], *, integrator: int | None = None) -> dict[str, Any]:
    """Spikes and membranes of the circuit model against SPICE, over all neurons and steps, and by layer; of the layer
    that is an integrator, membranes alone."""
    same = [m[0] == s[0] for m, s in zip(model, spice, strict=True)]
    total = sum(layer.size for index, layer in enumerate(same) if index != integrator)
    wrong = sum(int((~layer).sum()) for layer in same)
    below, error = subthreshold(model, spice), errors(model, spice)
    early = up_to_first_mismatch(model, spice)
    before = [q & e for q, e in zip(below, early, strict=True)]
    return {
        "spike_agreement": (total - wrong) / total if total else 1.0,
        "spike_agreement_by_layer": [
            None if index == integrator else float(layer.mean()) for index, layer in enumerate(same)
        ],
        "spike_mismatches": wrong,
        "images_without_mismatch": int(np.sum(mismatches(model, spice) == 0)),
        **_membranes(error, below),
        "membrane_rms_V_by_layer": [_rms(e[q]) for e, q in zip(error, below, strict=True)],
        "before_mismatch": _membranes(error, before),
        "spikes_per_image_model": [float(spikes.sum((1, 2)).mean()) for spikes, _ in model],
        "spikes_per_image_spice": [float(spikes.sum((1, 2)).mean()) for spikes, _ in spice],
    }


def errors(model: Sequence[Layer], spice: Sequence[Layer]) -> list[NDArray[np.float64]]:
    """Membranes of the model less those of SPICE, by layer, volts."""
    return [m[1] - s[1] for m, s in zip(model, spice, strict=True)]


def subthreshold(model: Sequence[Layer], spice: Sequence[Layer]) -> list[NDArray[np.bool_]]:
    """Where a neuron fired in neither of the two, by layer."""
    return [~(m[0] | s[0]) for m, s in zip(model, spice, strict=True)]


def mismatches(model: Sequence[Layer], spice: Sequence[Layer]) -> NDArray[np.int64]:
    """Spikes that only one of the two has, [images]."""
    found: NDArray[np.int64] = np.sum([(m[0] != s[0]).sum((1, 2)) for m, s in zip(model, spice, strict=True)], axis=0)
    return found


def up_to_first_mismatch(model: Sequence[Layer], spice: Sequence[Layer]) -> list[NDArray[np.bool_]]:
    """By layer: steps not later, by the clock, than the image's first spike that only one of the two has."""
    images, steps = model[0][0].shape[:2]
    first = np.full(images, np.iinfo(np.int64).max)
    for depth, (m, s) in enumerate(zip(model, spice, strict=True)):
        wrong = (m[0] != s[0]).any(2)
        first = np.where(wrong.any(1), np.minimum(first, depth + wrong.argmax(1)), first)
    clock = np.arange(steps)
    return [
        np.broadcast_to((clock + depth <= first[:, None])[:, :, None], layer[0].shape)
        for depth, layer in enumerate(model)
    ]


def by_image(model: Sequence[Layer], spice: Sequence[Layer]) -> dict[str, NDArray]:
    """mismatches and membrane_rms_V (subthreshold steps, all layers), [images] each."""
    flat = [
        (np.where(below, error, 0).reshape(len(error), -1), below.reshape(len(below), -1))
        for error, below in zip(errors(model, spice), subthreshold(model, spice), strict=True)
    ]
    square, number = sum((error**2).sum(1) for error, _ in flat), sum(below.sum(1) for _, below in flat)
    return {"mismatches": mismatches(model, spice), "membrane_rms_V": np.sqrt(square / np.maximum(number, 1))}


# What a method claims that knows the circuit, where that one is simulated: some times what the shipped ones
# are off by, and far below what a wrong law costs. Of membranes only before an image's first differing spike, behind
# which two right circuits part, too.
CLAIMED_SPIKES, CLAIMED_MEMBRANE = 0.99, 0.05

_MODEL = "laws of another circuit or fitted too coarsely, or membranes beyond the range that was measured"
_TRAINING = "too few epochs, or weights trained without the circuit"
_CHIPS = "mismatch or programming errors beyond what the laws were fitted for, or what is not drawn counts"
_FLAT = "drivers that the reduced form leaves out, or ngspice's own tolerances: look at the spikes of both"


def require_within(summary: SpikingSummary, settings: SpikingVerificationSettings) -> None:
    """VerificationError naming every figure that is outside what the settings ask, or the method claims."""
    images, threshold_V, flat = summary.images, summary.threshold_V or float("nan"), summary.flat
    early_V = summary.before_mismatch.membrane_rms_V
    claims = METHODS[summary.method].knows_circuit and summary.model_is_of_the_circuit
    spikes = CLAIMED_SPIKES if claims and settings.spike_agreement_min is None else None
    early = CLAIMED_MEMBRANE if claims and settings.membrane_rms_max is None else None
    agreed, membrane = summary.spike_agreement, summary.membrane_rms_V / threshold_V
    limits = [
        Limit("accuracy_spice", summary.accuracy_spice, settings.accuracy_min, "at least", images, _TRAINING),
        Limit("accuracy_gap", summary.accuracy_gap, settings.accuracy_gap_max, "at most", images, _TRAINING),
        Limit("agreement", summary.agreement, settings.agreement_min, "at least", images, _MODEL),
        Limit("spike_agreement", agreed, settings.spike_agreement_min, "at least", None, _MODEL),
        Limit("spike_agreement", agreed, spikes, "at least", images, _MODEL),
        Limit("membrane_rms_V / threshold", membrane, settings.membrane_rms_max, "at most", None, _MODEL),
        Limit("before_mismatch.membrane_rms_V / threshold", early_V / threshold_V, early, "at most", None, _MODEL),
    ]
    if summary.chips is not None and summary.chips.simulated:
        limits.append(_of_chips(summary.chips, settings.spike_agreement_min, spikes))
    if flat is not None and settings.flat_membrane_max is not None:
        different = flat.membrane_difference_max_V / threshold_V
        name = "flat.membrane_difference_max_V / threshold"
        limits.append(Limit(name, different, settings.flat_membrane_max, "at most", None, _FLAT))
        limits.append(Limit("flat.spike_mismatches", flat.spike_mismatches, 0, "at most", None, _FLAT))
    require(limits)


def _of_chips(chips: ChipFigures, asked: float | None, claimed: float | None) -> Limit:
    name, figure, images = "chips.simulated_spike_agreement", chips.simulated_spike_agreement, chips.images
    if asked is not None:
        return Limit(name, figure, asked, "at least", None, _CHIPS)
    return Limit(name, figure, claimed, "at least", images * chips.simulated, _CHIPS)


def summary_rows(summary: SpikingSummary) -> tuple[str, list[tuple[str, str]]]:
    """For a terminal: a title, and rows (figure, value)."""
    title = f"{summary.dataset} {shape_text(summary.layers)}, spiking, {summary.method}, {summary.circuit}"
    early, flat = summary.before_mismatch.membrane_rms_V, summary.flat
    rows = [
        ("accuracy, own model", f"{summary.accuracy_model:.2%}"),
        ("accuracy, circuit model", f"{summary.accuracy_circuit_model:.2%}"),
        ("accuracy, SPICE", f"{summary.accuracy_spice:.2%}"),
        *(() if summary.tie_rate is None else [("images whose class is a tie, SPICE", f"{summary.tie_rate:.2%}")]),
        ("same class, circuit model and SPICE", f"{summary.agreement:.2%}"),
        ("spike agreement", f"{summary.spike_agreement:.3%}"),
        ("membrane error, rms below threshold", f"{summary.membrane_rms_V * 1e3:.3f} mV"),
        ("the same up to an image's first mismatch", f"{early * 1e3:.3f} mV"),
    ]
    if flat is not None:
        difference = f"{flat.membrane_difference_max_V * 1e3:.3f} mV, {flat.spike_mismatches} spikes differ"
        rows.append((f"flat - {summary.netlist}, max of {flat.images} images", difference))
    if summary.flat_left_out is not None:
        rows.append(("flat, left out", summary.flat_left_out))
    if summary.chips is not None:
        rows += chips_rows(summary.chips)
    seconds = summary.seconds_ngspice + (0.0 if flat is None else flat.seconds_ngspice)
    rows += [
        ("energy per inference", f"{summary.energy_per_inference_J * 1e12:.4g} pJ"),
        *(() if summary.area is None else [area_row(summary.area)]),
        ("seconds in ngspice an image", f"{summary.seconds_per_image:.2f}"),
        ("seconds in ngspice", f"{seconds:.1f}"),
    ]
    return f"{title}, {summary.images} images in ngspice", rows


def _membranes(error: Sequence[NDArray], where: Sequence[NDArray]) -> dict[str, Any]:
    chosen = np.concatenate([e[w] for e, w in zip(error, where, strict=True)])
    return {
        "membrane_rms_V": _rms(chosen),
        "membrane_max_V": float(np.abs(chosen).max(initial=0)),
        "membrane_points": int(chosen.size),
    }


def _rms(error: NDArray) -> float:
    return float(np.sqrt(np.mean(error**2))) if error.size else 0.0
