"""Figures of a spiking verification against loops over single neurons, and what is refused by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spicetrain.errors import VerificationError
from spicetrain.spiking.definition import SpikingVerificationSettings
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.readout import scores
from spicetrain.spiking.verification.figures import (
    Layer,
    accuracies,
    by_image,
    classes,
    compare_spikes,
    require_within,
    summary_rows,
)
from spicetrain.spiking.verification.summary import SpikingSummary

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
    network = SpikingNetwork((), (), {})
    assert classes(layers, network).tolist() == [2, 1, 1]
    nothing = [hidden, (np.zeros_like(spikes), np.zeros(spikes.shape))]
    found = accuracies(nothing, layers, layers, np.array([2, 1, 0]), network)
    wanted = {"images": 3, "accuracy_model": 1 / 3, "accuracy_circuit_model": 2 / 3, "accuracy_spice": 2 / 3}
    ties = {"tie_rate": 1 / 3, "tie_rate_circuit_model": 1 / 3, "tie_rate_model": 1.0}
    assert found == pytest.approx(wanted | {"accuracy_gap": 1 / 3, "agreement": 1.0} | ties)


def test_the_membrane_decides_between_outputs_that_spiked_as_often_in_training_and_in_verification() -> None:
    rng = np.random.default_rng(5)
    spikes, v = rng.random((200, 3, 4)) < 0.5, rng.normal(0.02, 0.01, (200, 3, 4))
    wanted = []
    for image in range(200):
        counts = spikes[image].sum(0)
        wanted.append(max(range(4), key=lambda j, image=image, counts=counts: (counts[j], v[image, -1, j])))  # type: ignore[misc]
    network = SpikingNetwork((), (), {"readout": "membrane"})
    assert classes([(spikes, v)], network).tolist() == wanted
    assert classes([(spikes, v)], SpikingNetwork((), (), {})).tolist() != wanted
    fired, membranes = (torch.as_tensor(one).double().transpose(0, 1) for one in (spikes, v))
    of_torch = LayerResponse(fired, membranes.requires_grad_())
    found = scores(of_torch, "membrane")
    assert found.argmax(1).tolist() == wanted
    assert torch.equal(scores(of_torch, "counts"), of_torch.spikes.sum(0))
    (gradient,) = torch.autograd.grad(found.sum(), membranes)
    assert (gradient[-1] > 0).all() and not gradient[:-1].any()


SUMMARY: dict[str, Any] = {
    "dataset": "mnist", "technology": "ptm90", "layers": [784, 100, 10], "steps": 10, "netlist": "reduced",
    "method": "regular", "circuit": "lif-1r", "array": "1r", "threshold_share": 0.1, "threshold_V": 0.05,
    "images": 7, "accuracy_model": 0.98, "accuracy_circuit_model": 0.91, "accuracy_spice": 0.9, "accuracy_gap": 0.08,
    "agreement": 0.97, "spike_agreement": 0.99512, "spike_agreement_by_layer": [0.996, 0.98], "spike_mismatches": 12,
    "images_without_mismatch": 3, "membrane_rms_V": 1.5e-3, "membrane_max_V": 0.01, "membrane_points": 999,
    "membrane_rms_V_by_layer": [1e-3, 2e-3],
    "before_mismatch": {"membrane_rms_V": 4.5e-4, "membrane_max_V": 2e-3, "membrane_points": 99},
    "spikes_per_image_input": 800.0, "spikes_per_image_model": [100.0, 9.0], "spikes_per_image_spice": [99.0, 9.0],
    "energy_per_inference_J": 3.21e-10, "energy_by_supply_J": {"vdd": 3.21e-10}, "seconds_per_image": 4.56,
    "seconds_ngspice": 31.9, "seconds_total": 20.0, "ngspice_version": 43, "key": "",
    "flat": {"images": 3, "same_spikes": False, "spike_mismatches": 2, "membrane_difference_max_V": 6e-5,
             "energy_per_inference_J": 3e-10, "energy_by_supply_J": {"vdd": 3e-10},
             "energy_per_inference_reduced_J": 3e-10, "seconds_ngspice": 100.0},
}  # fmt: skip


def summary(**changes: Any) -> SpikingSummary:
    return SpikingSummary.model_validate(SUMMARY | changes)


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ({"accuracy_min": 0.91}, "accuracy_spice = 0.9 of 10000 images, asked at least 0.91"),
        ({"accuracy_gap_max": 0.07}, "accuracy_gap = 0.08 of 10000 images, asked at most 0.07"),
        ({"agreement_min": 0.98}, "agreement = 0.97 of 10000 images, asked at least 0.98"),
        ({"spike_agreement_min": 0.996}, "spike_agreement = 0.99512, asked at least 0.996"),
        ({"membrane_rms_max": 0.02}, "membrane_rms_V / threshold = 0.03, asked at most 0.02"),
        (
            {"flat_membrane_max": 1e-3},
            "flat.membrane_difference_max_V / threshold = 0.0012, asked at most 0.001; flat.spike_mismatches",
        ),
        ({"flat_membrane_max": 2e-3}, "flat.spike_mismatches = 2, asked at most 0"),
    ],
)
def test_what_is_outside_is_named(limit: dict[str, Any], figure: str) -> None:
    with pytest.raises(VerificationError) as caught:
        require_within(summary(images=10_000), SpikingVerificationSettings(**limit))
    assert f"tolerance: {figure}" in str(caught.value) and caught.value.exit_code == 5


@pytest.mark.parametrize("limit", [{"accuracy_min": 0.91}, {"accuracy_gap_max": 0.07}, {"agreement_min": 0.98}])
def test_a_share_of_few_images_is_not_outside_by_chance(limit: dict[str, Any]) -> None:
    few, too_few_right = summary(), summary(accuracy_spice=3 / 7, accuracy_gap=4 / 7, agreement=3 / 7)
    require_within(few, SpikingVerificationSettings(**limit))
    with pytest.raises(VerificationError, match="of 7 images"):
        require_within(too_few_right, SpikingVerificationSettings(**limit))


def test_what_is_inside_or_was_not_asked_passes() -> None:
    require_within(summary(), SpikingVerificationSettings())
    limits: dict[str, Any] = {
        "accuracy_min": 0.9,
        "accuracy_gap_max": 0.08,
        "spike_agreement_min": 0.995,
        "membrane_rms_max": 0.0301,
    }
    require_within(summary(images=10_000), SpikingVerificationSettings(**limits))
    require_within(summary(flat=None), SpikingVerificationSettings(flat_membrane_max=1e-9))
    with pytest.raises(VerificationError, match="membrane_rms_V / threshold = nan"):
        require_within(summary(membrane_rms_V=float("nan")), SpikingVerificationSettings(membrane_rms_max=1.0))


EARLY = {"membrane_rms_V": 3e-3, "membrane_max_V": 4e-3, "membrane_points": 99}
OFF: dict[str, Any] = {"images": 5000, "spike_agreement": 0.98, "membrane_rms_V": 3e-3, "before_mismatch": EARLY}


def test_a_method_that_knows_the_circuit_is_judged_unasked() -> None:
    require_within(summary(**OFF), SpikingVerificationSettings())  # regular claims nothing
    require_within(summary(method="circuit"), SpikingVerificationSettings())
    few = summary(method="circuit", **OFF | {"images": 30, "before_mismatch": SUMMARY["before_mismatch"]})
    require_within(few, SpikingVerificationSettings())  # two right circuits part behind a mismatch
    with pytest.raises(VerificationError) as caught:
        require_within(summary(method="circuit", **OFF), SpikingVerificationSettings())
    for text in (
        "spike_agreement = 0.98 of 5000 images, asked at least 0.99",
        "before_mismatch.membrane_rms_V / threshold = 0.06, asked at most 0.05",
    ):
        assert text in str(caught.value)


def test_what_is_asked_stands_in_place_of_what_is_claimed() -> None:
    asked = SpikingVerificationSettings(spike_agreement_min=0.97, membrane_rms_max=0.07)
    require_within(summary(method="circuit", **OFF), asked)
    with pytest.raises(VerificationError, match="spike_agreement = 0.98, asked at least 0.985"):
        require_within(summary(method="circuit", **OFF), asked.model_copy(update={"spike_agreement_min": 0.985}))


def test_no_agreement_may_be_asked_of_a_method_that_claims_some() -> None:
    nothing = SpikingVerificationSettings(spike_agreement_min=0.0, membrane_rms_max=0.07)
    require_within(summary(method="circuit", **OFF), nothing)


def test_under_other_conditions_a_method_claims_nothing() -> None:
    trained, simulated = {"technology": "ptm90", "temperature_C": 27.0}, {"technology": "ptm90", "temperature_C": 85.0}
    elsewhere = summary(method="circuit", modelled_in=trained, simulated_in=simulated, **OFF)
    require_within(elsewhere, SpikingVerificationSettings())
    with pytest.raises(VerificationError, match="asked at least 0.99"):
        at_home = summary(method="circuit", modelled_in=trained, simulated_in=trained, **OFF)
        require_within(at_home, SpikingVerificationSettings())
    with pytest.raises(VerificationError, match="spike_agreement = 0.98, asked at least 0.985"):
        require_within(elsewhere, SpikingVerificationSettings(spike_agreement_min=0.985))


def test_what_is_told_on_a_terminal() -> None:
    title, rows = summary_rows(summary())
    assert title == "mnist 784-100-10, spiking, regular, lif-1r, 7 images in ngspice"
    assert dict(rows) == {
        "accuracy, own model": "98.00%",
        "accuracy, circuit model": "91.00%",
        "accuracy, SPICE": "90.00%",
        "same class, circuit model and SPICE": "97.00%",
        "spike agreement": "99.512%",
        "membrane error, rms below threshold": "1.500 mV",
        "the same up to an image's first mismatch": "0.450 mV",
        "flat - reduced, max of 3 images": "0.060 mV, 2 spikes differ",
        "energy per inference": "321 pJ",
        "seconds in ngspice an image": "4.56",
        "seconds in ngspice": "131.9",
    }
    assert len(summary_rows(summary(flat=None))[1]) == len(rows) - 1
