"""Chips predicted at once are what each of them is by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bench import simulator

from spicetrain.array.conductances import Conductances
from spicetrain.array.of_chips import ChipConductances
from spicetrain.array.wires import Wires
from spicetrain.errors import DomainError
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training import many_chips
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.many_chips import outputs_of_chips, takes_many
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.stage import solve_stage
from spicetrain.inverter.verification import chips as verification
from spicetrain.inverter.verification.chips import Population, accuracies
from spicetrain.technology import Technology
from spicetrain.variation import VariationSettings, require_statistics
from spicetrain.verification.conditions import Conditions

from .circuits import EXACT, random_crossbar, random_network

IMAGES = 7
VARIATIONS = ({"mismatch": 1.0, "programming": 0.1}, {"mismatch": 0.0, "programming": 0.2}, {"mismatch": 1.0})


@pytest.fixture
def circuit(ptm90: Technology, surface: CurrentSurface, beyond: CurrentSurface) -> FittedCircuit:
    return FittedCircuit(ptm90, Surrogates(surface, shifted_surface=beyond), torch.float64, tolerance=EXACT)


def population(circuit: FittedCircuit, variation: dict[str, float]) -> Population:
    technology = circuit.technology
    network, rng = random_network(technology, 6, 5, 4, 3), np.random.default_rng(0)
    inputs, labels = rng.random((IMAGES, 6), dtype=np.float32), rng.integers(3, size=IMAGES)
    statistics = require_statistics(technology, VariationSettings.model_validate(variation))
    return Population(network, Conditions(technology, technology), circuit.surrogates, statistics, inputs, labels)


@pytest.mark.parametrize("variation", VARIATIONS)
@pytest.mark.parametrize("at_once", (2**15, 2 * IMAGES, 3))  # all; two chips; of one chip three images
def test_they_are_what_each_is_by_itself(
    at_once: int, variation: dict[str, float], circuit: FittedCircuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_chips, "AT_ONCE", at_once)
    of = population(circuit, variation)
    chips = [of.chip(number) for number in range(5)]
    found = outputs_of_chips(chips, of.inputs, circuit)
    assert found.shape == (5, IMAGES, 3)
    for outputs, chip in zip(found, chips, strict=True):
        alone = predict(chip.network, of.inputs, circuit, "kcl", mismatch=chip.mismatch).outputs.numpy()
        np.testing.assert_allclose(outputs, alone, rtol=0, atol=1e-10)
    assert np.ptp(found, axis=0).max() > 1e-4  # they are not alike
    with pytest.raises(DomainError, match=r"outside 0 \.\. 1"):
        outputs_of_chips(chips, of.inputs + 1, circuit)


def test_gradients_are_those_of_each(ptm90: Technology, circuit: FittedCircuit) -> None:
    boxes = [random_crossbar(ptm90, 5, 3, seed) for seed in range(3)]
    rng = np.random.default_rng(1)
    v_in = torch.from_numpy(rng.uniform(-0.03, 0.03, (3, 4, 5)))
    sizes = torch.from_numpy(rng.uniform(1, 4, (5, 2)))

    def leaves(g: Conductances) -> Conductances:
        return type(g)(*(value.requires_grad_() for value in g))

    together = leaves(ChipConductances.of_chips(boxes, torch.float64, circuit.device))
    v_col = solve_stage(v_in.flatten(0, 1), together, sizes, circuit.inverters, EXACT).v_col
    weights = torch.linspace(0.5, 2, v_col.numel(), dtype=torch.float64).view(3, 4, 3)
    found = torch.autograd.grad((v_col * weights.flatten(0, 1)).sum(), list(together))
    for chip, box in enumerate(boxes):
        alone = leaves(Conductances.of(box, torch.float64))
        v_alone = solve_stage(v_in[chip], alone, sizes, circuit.inverters, EXACT).v_col
        torch.testing.assert_close(v_col.view(3, 4, 3)[chip], v_alone, rtol=0, atol=1e-11)
        for one, other in zip(found, torch.autograd.grad((v_alone * weights[chip]).sum(), list(alone)), strict=True):
            torch.testing.assert_close(one[chip], other, rtol=1e-7, atol=1e-12 * float(other.abs().max()))


def test_where_chips_are_predicted_together(circuit: FittedCircuit) -> None:
    assert takes_many(circuit)
    wired = circuit.technology.changed(wires=Wires(row_ohm=5.0, column_ohm=5.0))
    assert not takes_many(replace(circuit, technology=wired))


def test_a_population_elsewhere_asks_for_many_at_once(circuit: FittedCircuit, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device, which computes nothing: what it is asked for is answered by the CPU."""
    of = population(circuit, VARIATIONS[0])
    expected = accuracies(of, simulator(), range(4))
    elsewhere, asked = replace(of, device=torch.device("meta")), []

    def answered(chips: list, inputs: np.ndarray, seen: FittedCircuit) -> np.ndarray:
        asked.append((len(chips), seen.device.type, seen.tolerance.fixed))
        return outputs_of_chips(chips, inputs, circuit)

    monkeypatch.setattr(verification, "outputs_of_chips", answered)
    found = verification._evaluate(elsewhere, simulator(), range(4), "chips")
    assert asked == [(4, "meta", True)]
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert elsewhere.key(range(4)) == of.key(range(4))
