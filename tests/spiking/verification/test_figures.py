"""Figures of a spiking verification against loops over single neurons, and what is refused by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rich.console import Console

from spicetrain.errors import VerificationError
from spicetrain.spiking.definition import SpikingVerificationSettings
from spicetrain.spiking.verification.figures import Layer, accuracies, by_image, classes, compare_spikes, require_within

IMAGES, STEPS, WIDTHS = 6, 4, (3, 2)


def random_pair(seed: int = 0) -> tuple[list[Layer], list[Layer]]:
    """Model and SPICE: mostly the same spikes, of some images all."""
    rng = np.random.default_rng(seed)
    model, spice = [], []
    for width in WIDTHS:
        spikes, v = rng.random((IMAGES, STEPS, width)) < 0.3, rng.normal(0, 0.02, (IMAGES, STEPS, width))
        flipped = rng.random(spikes.shape) < 0.06
        flipped[0] = False
        model.append((spikes, v))
        spice.append((spikes ^ flipped, v + rng.normal(0, 1e-3, v.shape)))
    return model, spice


def by_hand(model: list[Layer], spice: list[Layer]) -> dict[str, Any]:
    """Neuron by neuron: (squares below threshold, those up to the clock step of the first mismatch, mismatches)."""
    below: list[float] = []
    early: list[float] = []
    wrong = []
    for image in range(IMAGES):
        seen = [
            (layer + step, bool(m[0][image, step, j] != s[0][image, step, j]),
             bool(m[0][image, step, j] or s[0][image, step, j]), m[1][image, step, j] - s[1][image, step, j])
            for layer, (m, s) in enumerate(zip(model, spice, strict=True))
            for step in range(STEPS) for j in range(WIDTHS[layer])
        ]  # fmt: skip
        mismatched = [clock for clock, differs, _, _ in seen if differs]
        first = min(mismatched, default=STEPS + len(WIDTHS))
        wrong.append(len(mismatched))
        below += [error for _, _, fired, error in seen if not fired]
        early += [error for clock, _, fired, error in seen if not fired and clock <= first]
    return {"below": below, "early": early, "wrong": wrong}


def rms(values: list[float]) -> float:
    return float((sum(x * x for x in values) / len(values)) ** 0.5)


@pytest.mark.parametrize("seed", [0, 1])
def test_figures_are_those_of_single_neurons(seed: int) -> None:
    model, spice = random_pair(seed)
    found, hand = compare_spikes(model, spice), by_hand(model, spice)
    total = IMAGES * STEPS * sum(WIDTHS)
    assert found["spike_mismatches"] == sum(hand["wrong"]) > 0
    assert found["spike_agreement"] == pytest.approx(1 - sum(hand["wrong"]) / total, rel=1e-12)
    assert found["images_without_mismatch"] == hand["wrong"].count(0) > 0
    assert (found["membrane_rms_V"], found["membrane_points"]) == pytest.approx(
        (rms(hand["below"]), len(hand["below"]))
    )
    assert found["membrane_max_V"] == pytest.approx(max(map(abs, hand["below"])), rel=1e-12)
    early = found["before_mismatch"]
    assert early["membrane_points"] == len(hand["early"]) < len(hand["below"])
    assert early["membrane_rms_V"] == pytest.approx(rms(hand["early"]), rel=1e-12)
    assert early["membrane_max_V"] == pytest.approx(max(map(abs, hand["early"])), rel=1e-12)
    image = by_image(model, spice)
    assert image["mismatches"].tolist() == hand["wrong"]
    for layer in range(2):
        same = [a == b for a, b in zip(model[layer][0].ravel(), spice[layer][0].ravel(), strict=True)]
        assert found["spike_agreement_by_layer"][layer] == pytest.approx(sum(same) / len(same))
        for side, layers in (("model", model), ("spice", spice)):
            per_image = [int(spikes.sum()) for spikes in layers[layer][0]]
            assert found[f"spikes_per_image_{side}"][layer] == pytest.approx(sum(per_image) / IMAGES)
    squares = [found["membrane_rms_V_by_layer"][layer] ** 2 for layer in range(2)]
    assert min(squares) <= found["membrane_rms_V"] ** 2 <= max(squares)


def test_a_later_layer_is_late_by_the_clock() -> None:
    """The only mismatch is in layer 1, step 1, of a net of two layers: step 2 of the clock."""
    silent = [(np.zeros((1, STEPS, width), bool), np.zeros((1, STEPS, width))) for width in WIDTHS]
    spikes = silent[1][0].copy()
    spikes[0, 1, 0] = True
    found = compare_spikes(silent, [silent[0], (spikes, silent[1][1])])
    assert found["before_mismatch"]["membrane_points"] == 3 * WIDTHS[0] + 2 * WIDTHS[1] - 1


def test_errors_of_one_image_are_its_own() -> None:
    model, spice = random_pair()
    alone = [[(spikes[2:3], v[2:3]) for spikes, v in layers] for layers in (model, spice)]
    assert by_image(model, spice)["membrane_rms_V"][2] == pytest.approx(compare_spikes(*alone)["membrane_rms_V"])


def test_where_all_fire_no_membrane_is_compared() -> None:
    fired = [(np.ones((1, 2, 3), bool), np.ones((1, 2, 3)))]
    silent = [(np.zeros((1, 2, 3), bool), np.zeros((1, 2, 3)))]
    found = compare_spikes(fired, silent)
    assert (found["spike_agreement"], found["membrane_points"], found["membrane_rms_V"]) == (0, 0, 0)
    assert compare_spikes(silent, silent)["membrane_points"] == 6


def test_the_class_spikes_most_and_of_several_it_is_the_first() -> None:
    spikes = np.zeros((3, 2, 3), bool)
    spikes[0, 0, 2] = spikes[1, :, 1] = spikes[1, 0, 0] = True
    spikes[2, 0, 1] = spikes[2, 1, 2] = True
    hidden = np.zeros((3, 2, 4), bool), np.zeros((3, 2, 4))
    layers = [hidden, (spikes, np.zeros(spikes.shape))]
    assert classes(layers).tolist() == [2, 1, 1]
    nothing = [hidden, (np.zeros_like(spikes), np.zeros(spikes.shape))]
    found = accuracies(nothing, layers, layers, np.array([2, 1, 0]))
    wanted = {"images": 3, "accuracy_model": 1 / 3, "accuracy_circuit_model": 2 / 3, "accuracy_spice": 2 / 3}
    assert found == pytest.approx(wanted | {"accuracy_gap": 1 / 3, "agreement": 1.0})


SUMMARY: dict[str, Any] = {
    "system": "spiking", "dataset": "mnist", "layers": [784, 100, 10], "method": "regular", "circuit": "lif-1r",
    "images": 7, "accuracy_model": 0.98, "accuracy_circuit_model": 0.91, "accuracy_spice": 0.9, "accuracy_gap": 0.08,
    "agreement": 0.97, "spike_agreement": 0.99512, "membrane_rms_V": 1.5e-3,
    "before_mismatch": {"membrane_rms_V": 4.5e-4}, "energy_per_inference_J": 3.21e-10, "seconds_per_image": 4.56,
    "seconds_ngspice": 31.9, "flat": {"images": 3, "membrane_difference_max_V": 6e-5, "spike_mismatches": 2,
    "seconds_ngspice": 100.0},
}  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ({"accuracy_min": 0.91}, "accuracy_spice = 0.9, asked at least 0.91"),
        ({"accuracy_gap_max": 0.07}, "accuracy_gap = 0.08, asked at most 0.07"),
        ({"agreement_min": 0.98}, "agreement = 0.97, asked at least 0.98"),
        ({"spike_agreement_min": 0.996}, "spike_agreement = 0.99512, asked at least 0.996"),
        ({"membrane_rms_max_V": 1e-3}, "membrane_rms_V = 0.0015, asked at most 0.001"),
        ({"flat_membrane_max_V": 5e-5}, "flat.membrane_difference_max_V = 6e-05, asked at most 5e-05"),
        ({"flat_membrane_max_V": 1e-4}, "flat.spike_mismatches = 2, asked at most 0"),
    ],
)
def test_what_is_outside_is_named(limit: dict[str, Any], figure: str) -> None:
    with pytest.raises(VerificationError) as caught:
        require_within(SUMMARY, SpikingVerificationSettings(**limit))
    assert figure in str(caught.value) and caught.value.exit_code == 5


def test_what_is_inside_or_was_not_asked_passes() -> None:
    require_within(SUMMARY, SpikingVerificationSettings())
    limits: dict[str, Any] = {
        "accuracy_min": 0.9,
        "accuracy_gap_max": 0.08,
        "spike_agreement_min": 0.995,
        "membrane_rms_max_V": 1.5e-3,
    }
    require_within(SUMMARY, SpikingVerificationSettings(**limits))
    without = {key: value for key, value in SUMMARY.items() if key != "flat"}
    require_within(without, SpikingVerificationSettings(flat_membrane_max_V=1e-9))
    with pytest.raises(VerificationError, match="membrane_rms_V = nan"):
        require_within(SUMMARY | {"membrane_rms_V": float("nan")}, SpikingVerificationSettings(membrane_rms_max_V=1.0))


def test_the_table_for_a_terminal() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(summary_table(SUMMARY))
    said = captured.get()
    for text in (
        "mnist 784-100-10, spiking, regular, lif-1r, 7 images", "98.00%", "91.00%", "90.00%", "97.00%", "99.512%",
        "1.500 mV", "0.450 mV", "0.060 mV, 2 spikes differ", "321 pJ", "4.56", "131.9",
    ):  # fmt: skip
        assert text in said
